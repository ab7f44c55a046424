//! The routes, and their description, which is made from the same handlers.
use crate::handlers::{
    access, connections, database_limits, databases, history, limit, members, metrics, migrations, operate,
    organizations, pools, server,
};
use crate::reply::{method_not_allowed, not_found, text};
use crate::shared::Shared;
use axum::Router;
use http::StatusCode;
use std::sync::Arc;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi as Description, SecurityRequirement};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What stands at the head of the description.
#[derive(OpenApi)]
#[openapi(info(
    title = "rowhouse management",
    description = "Limits, databases and the server itself, seen and changed while it runs. What changes something needs the header `Content-Type: application/json`.",
))]
struct Head;

/// Answers by path and method.
pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    let (router, description) = described().split_for_parts();
    let description = finished(description);
    let description = move || {
        let body = description.clone();
        async move { text(StatusCode::OK, "application/json", body) }
    };
    router
        .route("/openapi.json", axum::routing::get(description))
        .with_state(shared.clone())
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
}

/// Every route with its description.
fn described() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::with_openapi(Head::openapi())
        .routes(routes!(server::health))
        .routes(routes!(server::ready))
        .routes(routes!(server::stats))
        .routes(routes!(limit::status, limit::set))
        .routes(routes!(limit::increase))
        .routes(routes!(limit::decrease))
        .routes(routes!(history::limit))
        .routes(routes!(history::audit))
        .routes(routes!(connections::list))
        .routes(routes!(connections::close))
        .routes(routes!(databases::list, databases::create))
        .routes(routes!(pools::list))
        .routes(routes!(databases::show, databases::remove))
        .routes(routes!(database_limits::status, database_limits::set))
        .routes(routes!(database_limits::increase))
        .routes(routes!(database_limits::decrease))
        .routes(routes!(database_limits::all, database_limits::change_all))
        .routes(routes!(databases::evict))
        .routes(routes!(databases::pause))
        .routes(routes!(databases::resume))
        .routes(routes!(databases::checkpoint))
        .routes(routes!(databases::backup))
        .routes(routes!(operate::config, operate::change_config))
        .routes(routes!(operate::log_level, operate::set_log_level))
        .routes(routes!(access::tokens, access::create_token))
        .routes(routes!(access::revoke_token))
        .routes(routes!(access::users, access::add_user))
        .routes(routes!(access::remove_user))
        .routes(routes!(organizations::list, organizations::create))
        .routes(routes!(organizations::show, organizations::remove))
        .routes(routes!(organizations::suspend))
        .routes(routes!(organizations::resume))
        .routes(routes!(members::list, members::create))
        .routes(routes!(members::show, members::remove))
        .routes(routes!(members::suspend))
        .routes(routes!(members::resume))
        .routes(routes!(members::identities, members::link))
        .routes(routes!(members::unlink))
        .routes(routes!(members::settings, members::set))
        .routes(routes!(migrations::show, migrations::start))
        .routes(routes!(metrics::metrics))
}

/// The description as it is served: with what clients ask on the main port, this version, and how one says
/// who one is.
fn finished(mut description: Description) -> String {
    description.merge(rowhouse_wire::query::description());
    description.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let components = description.components.get_or_insert_default();
    components.add_security_scheme("token", bearer);
    let none = SecurityRequirement::default();
    description.security = Some(vec![none, SecurityRequirement::new("token", [""; 0])]);
    let mut text = description.to_pretty_json().expect("a description is JSON");
    text.push('\n');
    text
}
