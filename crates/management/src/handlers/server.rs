//! The server as a whole: whether it lives, whether it is ready, how many clients it has.
use crate::gate::Caller;
use crate::operator::Readiness;
use crate::reply::{Json, Problem, json};
use crate::request::Asked;
use crate::shared::Shared;
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use rowhouse_gateway::{Doing, Health};
use rowhouse_wire::management::{self as wire, Failed, Ready, ReadyChecks, Stats, StatsDetail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::IntoParams;

/// The most organizations that are told.
const TOLD_MAX: usize = 1000;

/// That the process lives. Looks at nothing that databases are served with.
#[utoipa::path(get, path = "/health", responses((status = 200, body = wire::Health)))]
pub(crate) async fn health(State(shared): State<Arc<Shared>>) -> Json<wire::Health> {
    Json(wire::Health::of(&shared.service_name))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReadyQuery {
    /// With `1` the status is 200 whatever is told, and nothing is told of the server itself.
    #[serde(default)]
    compat: u8,
}

/// Whether the server takes clients, and the databases answer.
#[utoipa::path(get, path = "/ready", params(ReadyQuery), responses(
    (status = 200, body = Ready, description = "It does"),
    (status = 503, body = Ready, description = "It does not: something is false"),
    (status = 400, body = Failed),
))]
pub(crate) async fn ready(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Asked(ReadyQuery { compat }): Asked<ReadyQuery>,
) -> Response {
    let Readiness { latches, takes_all } = shared.context.operator.ready();
    let mut server: BTreeMap<_, _> = latches.into_iter().map(|(name, met)| (name.to_owned(), met)).collect();
    let serving = shared.probe.serving(&shared).await;
    server.insert("serving".to_owned(), serving);
    let gateway = shared.context.gateway.clone();
    // Whose runtime does not answer is not waited for.
    let health = match serving {
        true => shared.on_data(async move { gateway.health().await }).await.unwrap_or_default(),
        false => Health::default(),
    };
    let answers = health.metadata && (!takes_all || health.is_whole());
    let ready = answers && server.values().all(|met| *met);
    let status = match ready || compat == 1 {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let word = if ready { "ready" } else { "not_ready" };
    // Which organizations there are is no stranger's business.
    let told =
        if caller.is_known { health } else { Health { metadata: health.metadata, ..Health::default() } };
    let server = (compat != 1).then_some(server);
    json(status, &Ready { checks: checks(told, server), status: word.to_owned() })
}

/// What is told of databases, by the names that health checks know them by. Of very many, those that do not
/// answer are told first.
fn checks(Health { metadata, organizations }: Health, server: Option<BTreeMap<String, bool>>) -> ReadyChecks {
    let mut all: Vec<_> = organizations.into_iter().collect();
    all.sort_by_key(|(_, answers)| *answers);
    all.truncate(TOLD_MAX);
    let named = all.into_iter().map(|(name, answers)| (format!("results_{name}"), answers));
    let org_databases: BTreeMap<_, _> = named.collect();
    let mut databases = org_databases.clone();
    databases.insert("metadata".to_owned(), metadata);
    ReadyChecks { databases, metadata_db: metadata, org_databases, server }
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
