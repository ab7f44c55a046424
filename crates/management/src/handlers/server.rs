//! The server as a whole: whether it lives, whether it is ready, how many clients it has.
use crate::reply::{Json, Problem, json};
use crate::request::Asked;
use crate::shared::Shared;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use rowhouse_gateway::Doing;
use rowhouse_wire::management::{Failed, Health, Ready, Stats, StatsDetail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::IntoParams;

/// That the process lives. Looks at nothing that databases are served with.
#[utoipa::path(get, path = "/health", responses((status = 200, body = Health)))]
pub(crate) async fn health(State(shared): State<Arc<Shared>>) -> Json<Health> {
    Json(Health::of(&shared.service_name))
}

/// Whether the server takes clients.
#[utoipa::path(get, path = "/ready", responses(
    (status = 200, body = Ready, description = "It does"),
    (status = 503, body = Ready, description = "It does not: a check is false"),
))]
pub(crate) async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let latches = shared.context.operator.ready().latches;
    let mut checks: BTreeMap<_, _> = latches.into_iter().map(|(name, met)| (name.to_owned(), met)).collect();
    checks.insert("serving".to_owned(), shared.probe.serving(&shared).await);
    let ready = checks.values().all(|met| *met);
    let (status, word) =
        if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    json(status, &Ready { checks, status: word.to_owned() })
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatsQuery {
    /// Whether more than the four numbers that scripts know is told.
    #[serde(default)]
    detail: bool,
}

/// How many clients there are, and for how many more there is room.
#[utoipa::path(get, path = "/stats", params(StatsQuery), responses(
    (status = 200, body = Stats, description = "With `detail=true` there is more: see StatsDetail"),
    (status = 400, body = Failed),
))]
pub(crate) async fn stats(
    State(shared): State<Arc<Shared>>,
    Asked(StatsQuery { detail }): Asked<StatsQuery>,
) -> Result<Response, Problem> {
    let clients = &shared.context.clients;
    let status = clients.status();
    let stats = Stats::of(status.active, status.limit.get());
    if !detail {
        return Ok(Json(stats).into_response());
    }
    let doing = clients.list();
    let busy = doing.iter().filter(|client| matches!(client.doing, Doing::Busy { .. })).count();
    let busy = u32::try_from(busy).unwrap_or(u32::MAX).min(status.active);
    let detail = StatsDetail {
        active_connections: stats.active_connections,
        available_slots: stats.available_slots,
        busy_connections: busy,
        idle_connections: stats.active_connections - busy,
        max_connections: stats.max_connections,
        refused_connections: status.refused,
        unidentified_connections: status.unidentified,
        usage_percentage: stats.usage_percentage,
    };
    Ok(Json(detail).into_response())
}
