//! What was done before: the history of the limit, and the audit.
use crate::page;
use crate::reply::{Json, Problem};
use crate::request::{Asked, name, target};
use crate::shared::Shared;
use axum::extract::State;
use rowhouse_gateway::{Action, JournalError, Query, Recorded};
use rowhouse_wire::management::{Audit, AuditEntry, FAILED, Failed, History, LimitChange, SUCCESS};
use serde::Deserialize;
use std::sync::Arc;
use std::time::SystemTime;
use utoipa::IntoParams;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryQuery {
    /// How many at most: 1 to 1000, 100 unless said.
    limit: Option<u32>,
    /// The `next` of the page before.
    before: Option<u64>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// Of this action only, such as `drop_database`.
    action: Option<String>,
    /// Of this database only.
    database: Option<String>,
    /// Not older than this: `2026-11-21T19:30:00Z`.
    since: Option<String>,
    /// How many at most: 1 to 1000, 100 unless said.
    limit: Option<u32>,
    /// The `next` of the page before.
    before: Option<u64>,
}

/// Changes of the limit of client connections, made and refused, the newest first.
#[utoipa::path(get, path = "/limit/history", params(HistoryQuery), responses(
    (status = 200, body = History),
    (status = 400, body = Failed),
    (status = 503, body = Failed, description = "They cannot be read now"),
))]
pub(crate) async fn limit(
    State(shared): State<Arc<Shared>>,
    Asked(HistoryQuery { limit, before }): Asked<HistoryQuery>,
) -> Result<Json<History>, Problem> {
    let query = Query { action: Some(Action::ClientLimit), before, ..Query::default() };
    let (recorded, next) = entries(&shared, query, limit).await?;
    Ok(Json(History { changes: recorded.into_iter().map(change).collect(), next }))
}

/// What was done to the server and refused, the newest first.
#[utoipa::path(get, path = "/audit", params(AuditQuery), responses(
    (status = 200, body = Audit),
    (status = 400, body = Failed),
    (status = 503, body = Failed, description = "They cannot be read now"),
))]
pub(crate) async fn audit(
    State(shared): State<Arc<Shared>>,
    Asked(asked): Asked<AuditQuery>,
) -> Result<Json<Audit>, Problem> {
    let AuditQuery { action, database, since, limit, before } = asked;
    let query = Query {
        action: action.as_deref().map(self::action).transpose()?,
        database: database.as_deref().map(target).transpose()?,
        since: since.as_deref().map(moment).transpose()?,
        before,
        ..Query::default()
    };
    let (recorded, next) = entries(&shared, query, limit).await?;
    Ok(Json(Audit { entries: recorded.into_iter().map(entry).collect(), next }))
}

/// One page, and where the next begins.
async fn entries(
    shared: &crate::shared::Shared,
    query: Query,
    limit: Option<u32>,
) -> Result<(Vec<Recorded>, Option<u64>), Problem> {
    let most = page::size(limit)?;
    let query = Query { limit: u32::try_from(most).unwrap_or(u32::MAX), ..query };
    let journal = shared.context.journal.clone();
    let read: Result<_, JournalError> = shared.on_data(async move { journal.entries(query).await }).await?;
    let recorded = read.map_err(|error| {
        tracing::error!(%error, "the journal cannot be read");
        Problem::unavailable("what was recorded cannot be read now: see the server's log and its disk")
    })?;
    let next = recorded.last().filter(|_| recorded.len() == most).map(|last| last.id);
    Ok((recorded, next.filter(|id| 1 < *id)))
}

fn action(word: &str) -> Result<Action, Problem> {
    Action::from_word(word).ok_or_else(|| {
        let words: Vec<_> = Action::ALL.iter().map(|action| action.as_str()).collect();
        Problem::bad_request(format!("action must be one of {}", words.join(", ")))
    })
}

fn moment(text: &str) -> Result<SystemTime, Problem> {
    humantime::parse_rfc3339_weak(text)
        .map_err(|_| Problem::bad_request("since must be a time in UTC such as 2026-11-21T19:30:00Z"))
}

fn change(recorded: Recorded) -> LimitChange {
    let Recorded { id, at, entry, .. } = recorded;
    LimitChange {
        active: entry.active,
        at: page::moment(at),
        from: entry.from.and_then(|from| from.parse().ok()),
        id,
        reason: entry.cause.reason,
        result: word(&entry.result),
        error: entry.result.err(),
        source: entry.cause.interface.as_str().to_owned(),
        to: entry.to.and_then(|to| to.parse().ok()),
        who: entry.cause.who,
    }
}

fn entry(recorded: Recorded) -> AuditEntry {
    let Recorded { id, at, entry, .. } = recorded;
    AuditEntry {
        action: entry.action.as_str().to_owned(),
        active: entry.active,
        at: page::moment(at),
        database: entry.database.as_ref().map(|database| name(database).to_owned()),
        from: entry.from,
        id,
        reason: entry.cause.reason,
        result: word(&entry.result),
        error: entry.result.err(),
        source: entry.cause.interface.as_str().to_owned(),
        to: entry.to,
        who: entry.cause.who,
    }
}

fn word(result: &Result<(), String>) -> String {
    if result.is_ok() { SUCCESS.to_owned() } else { FAILED.to_owned() }
}
