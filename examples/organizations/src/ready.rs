//! Whether the databases answer: the metadata database, and those of the organizations that are open.
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use rowhouse_gateway::ConnectionManager;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How it is asked.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    /// With `1` the status is 200 whatever is told.
    #[serde(default)]
    compat: u8,
}

/// Whether the databases answer.
#[derive(Debug, Serialize)]
pub(crate) struct Ready {
    status: &'static str,
    checks: Checks,
}

/// Whether each database does.
#[derive(Debug, Serialize)]
pub(crate) struct Checks {
    databases: BTreeMap<String, bool>,
    metadata_db: bool,
    org_databases: BTreeMap<String, bool>,
}

/// `GET /ready`.
pub(crate) async fn ready(
    State(manager): State<ConnectionManager>,
    Query(Asked { compat }): Query<Asked>,
) -> (StatusCode, Json<Ready>) {
    let databases = manager.health_check().await;
    let mut org_databases = databases.clone();
    let metadata_db = org_databases.remove("metadata").unwrap_or(false);
    let is_ready = databases.values().all(|answers| *answers);
    let status = match is_ready || compat == 1 {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let checks = Checks { databases, metadata_db, org_databases };
    (status, Json(Ready { status: if is_ready { "ready" } else { "not_ready" }, checks }))
}
