//! What one database may use: the limit of its sessions, in the shapes of that of clients; and all limits.
use crate::limits::{patch, told};
use crate::reply::{Json, Problem};
use crate::request::{Named, Write};
use crate::shared::{Shared, recorded};
use axum::extract::State;
use rowhouse_gateway::{Cause, Change};
use rowhouse_types::Target;
use rowhouse_wire::management::{
    Amount, DecreaseRefused, Decreased, Failed, Increased, LimitSet, LimitStatus, Limits, NewLimit,
};
use std::sync::Arc;

/// The limit of a database's sessions, and how many are at work.
#[utoipa::path(get, path = "/databases/{name}/limit", params(("name" = String, Path, description = "Its name")), responses(
    (status = 200, body = LimitStatus),
    (status = 404, body = Failed, description = "There is no such database"),
))]
pub(crate) async fn status(
    State(shared): State<Arc<Shared>>,
    Named(target): Named,
) -> Result<Json<LimitStatus>, Problem> {
    let gateway = shared.context.gateway.clone();
    let report = shared.on_data(async move { gateway.inspect(&target).await }).await??;
    let active = report.open.map_or(0, |open| open.status.active);
    Ok(Json(LimitStatus { active_connections: active, current_limit: report.limits.sessions.get() }))
}

/// Sets the limit of a database's sessions.
#[utoipa::path(put, path = "/databases/{name}/limit", request_body = NewLimit, params(("name" = String, Path, description = "Its name")), responses(
    (status = 200, body = LimitSet),
    (status = 400, body = Failed, description = "More are at work, or the body asks for no limit"),
    (status = 404, body = Failed, description = "There is no such database"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn set(
    State(shared): State<Arc<Shared>>,
    Named(target): Named,
    write: Write,
) -> Result<Json<LimitSet>, Problem> {
    let NewLimit { drain, limit, reason } = NewLimit::parse(&write.body)?;
    let cause = Cause { reason, ..write.cause };
    let (_, to) = change(&shared, target, (Change::Set { limit, drain }, cause)).await?;
    Ok(Json(LimitSet::to(to)))
}

/// Raises the limit of a database's sessions by an amount, 100 unless said.
#[utoipa::path(post, path = "/databases/{name}/limit/increase", request_body = Amount, params(("name" = String, Path, description = "Its name")), responses(
    (status = 200, body = Increased),
    (status = 400, body = Failed, description = "It would be too great, or the body asks for no amount"),
    (status = 404, body = Failed, description = "There is no such database"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn increase(
    State(shared): State<Arc<Shared>>,
    Named(target): Named,
    write: Write,
) -> Result<Json<Increased>, Problem> {
    let Amount { amount, drain: _, reason } = Amount::parse(&write.body)?;
    let cause = Cause { reason, ..write.cause };
    let (from, to) = change(&shared, target, (Change::Increase(amount), cause)).await?;
    Ok(Json(Increased::new(from, to)))
}

/// Lowers the limit of a database's sessions by an amount, 100 unless said.
#[utoipa::path(post, path = "/databases/{name}/limit/decrease", request_body = Amount, params(("name" = String, Path, description = "Its name")), responses(
    (status = 200, body = Decreased),
    (status = 400, body = DecreaseRefused, description = "More are at work than it would allow; or, without the numbers, the body asks for no amount"),
    (status = 404, body = Failed, description = "There is no such database"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn decrease(
    State(shared): State<Arc<Shared>>,
    Named(target): Named,
    write: Write,
) -> Result<Json<Decreased>, Problem> {
    let Amount { amount, drain, reason } = Amount::parse(&write.body)?;
    let cause = Cause { reason, ..write.cause };
    let (from, to) = change(&shared, target, (Change::Decrease { amount, drain }, cause)).await?;
    Ok(Json(Decreased::new(from, to)))
}

/// All that a database may use, by the names of the options.
#[utoipa::path(get, path = "/databases/{name}/limits", params(("name" = String, Path, description = "Its name")), responses(
    (status = 200, body = Limits),
    (status = 404, body = Failed, description = "There is no such database"),
))]
pub(crate) async fn all(
    State(shared): State<Arc<Shared>>,
    Named(target): Named,
) -> Result<Json<Limits>, Problem> {
    let gateway = shared.context.gateway.clone();
    let report = shared.on_data(async move { gateway.inspect(&target).await }).await??;
    Ok(Json(told(&report.limits)))
}

/// Changes what a database may use, all that is asked for or nothing; null gives a limit of all
/// databases back. Answers with what is in force.
#[utoipa::path(patch, path = "/databases/{name}/limits", request_body = Limits, params(("name" = String, Path, description = "Its name")), responses(
    (status = 200, body = Limits),
    (status = 400, body = Failed, description = "A limit cannot be that"),
    (status = 404, body = Failed, description = "There is no such database"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn change_all(
    State(shared): State<Arc<Shared>>,
    Named(target): Named,
    write: Write,
) -> Result<Json<Limits>, Problem> {
    let asked: Limits = write.read()?;
    let (patch, drain) = patch(&asked)?;
    let (gateway, cause) = (shared.context.gateway.clone(), write.cause);
    let changed =
        shared.on_data(async move { gateway.set_limits(&target, &patch, drain, &cause).await }).await??;
    recorded(changed.recording).await?;
    Ok(Json(told(&changed.to)))
}

/// Changes the limit, and waits until that is recorded. Returns the limit before and now.
async fn change(
    shared: &Shared,
    target: Target,
    (change, cause): (Change, Cause),
) -> Result<(u32, u32), Problem> {
    let gateway = shared.context.gateway.clone();
    let work = async move { gateway.change_sessions(&target, change, &cause).await };
    let changed = shared.on_data(work).await??;
    recorded(changed.recording).await?;
    Ok((changed.from.get(), changed.to.get()))
}
