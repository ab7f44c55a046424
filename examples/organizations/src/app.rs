//! The routes, and what they share.
use crate::schema::Schema;
use crate::{jobs, organizations, ready};
use axum::Router;
use axum::extract::FromRef;
use axum::routing::{get, post};
use rowhouse_axum::OrganizationLayer;
use rowhouse_gateway::ConnectionManager;
use std::sync::Arc;

/// What the routes share.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) manager: ConnectionManager,
    pub(crate) schema: Arc<Schema>,
}

impl FromRef<App> for ConnectionManager {
    fn from_ref(app: &App) -> Self {
        app.manager.clone()
    }
}

/// The application over these databases.
pub fn app(manager: &rowhouse::ConnectionManager) -> Router {
    let state = App { manager: ConnectionManager::clone(manager), schema: Arc::default() };
    let layer = OrganizationLayer::new(state.manager.clone(), manager.access().clone());
    Router::new()
        .route("/organizations", post(organizations::create))
        .route("/organizations/{org_id}", get(organizations::show))
        .route("/organizations/{org_id}/users", post(organizations::add_user))
        .route("/organizations/{org_id}/jobs", post(jobs::create))
        .route("/organizations/{org_id}/jobs/{id}", get(jobs::show))
        .route("/organizations/{org_id}/jobs/{id}/result", post(jobs::finish))
        .route("/ready", get(ready::ready))
        .layer(layer)
        .with_state(state)
}
