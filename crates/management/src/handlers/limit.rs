//! The limit of client connections: told, set, raised, lowered. An answer means that it is in force.
use crate::reply::{Json, Problem};
use crate::request::Write;
use crate::shared::{Shared, recorded};
use axum::extract::State;
use rowhouse_gateway::{Cause, Change, ChangeError, Changed};
use rowhouse_wire::management::{
    Amount, DecreaseRefused, Decreased, Failed, Increased, LimitSet, LimitStatus, NewLimit,
};
use std::sync::Arc;

/// The limit of client connections, and how many there are.
#[utoipa::path(get, path = "/limit", responses((status = 200, body = LimitStatus)))]
pub(crate) async fn status(State(shared): State<Arc<Shared>>) -> Json<LimitStatus> {
    let status = shared.context.clients.status();
    Json(LimitStatus { active_connections: status.active, current_limit: status.limit.get() })
}

/// Sets the limit of client connections.
#[utoipa::path(put, path = "/limit", request_body = NewLimit, responses(
    (status = 200, body = LimitSet),
    (status = 400, body = Failed, description = "More are connected, or the body asks for no limit"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn set(State(shared): State<Arc<Shared>>, write: Write) -> Result<Json<LimitSet>, Problem> {
    let NewLimit { drain, limit, reason } = NewLimit::parse(&write.body)?;
    let (_, to) = change(&shared, Change::Set { limit, drain }, (write.cause, reason)).await?;
    Ok(Json(LimitSet::to(to)))
}

/// Raises the limit of client connections by an amount, 100 unless said.
#[utoipa::path(post, path = "/limit/increase", request_body = Amount, responses(
    (status = 200, body = Increased),
    (status = 400, body = Failed, description = "It would be too great, or the body asks for no amount"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn increase(
    State(shared): State<Arc<Shared>>,
    write: Write,
) -> Result<Json<Increased>, Problem> {
    let Amount { amount, drain: _, reason } = Amount::parse(&write.body)?;
    let (from, to) = change(&shared, Change::Increase(amount), (write.cause, reason)).await?;
    Ok(Json(Increased::new(from, to)))
}

/// Lowers the limit of client connections by an amount, 100 unless said.
#[utoipa::path(post, path = "/limit/decrease", request_body = Amount, responses(
    (status = 200, body = Decreased),
    (status = 400, body = DecreaseRefused, description = "More are connected than it would allow; or, without the numbers, the body asks for no amount"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn decrease(
    State(shared): State<Arc<Shared>>,
    write: Write,
) -> Result<Json<Decreased>, Problem> {
    let Amount { amount, drain, reason } = Amount::parse(&write.body)?;
    let (from, to) = change(&shared, Change::Decrease { amount, drain }, (write.cause, reason)).await?;
    Ok(Json(Decreased::new(from, to)))
}

/// Changes the limit, and waits until that is recorded. Returns the limit before and now.
async fn change(
    shared: &Shared,
    change: Change,
    (cause, reason): (Cause, Option<String>),
) -> Result<(u32, u32), Problem> {
    let cause = Cause { reason, ..cause };
    let Changed { from, to, recording, .. } = shared.context.clients.change(change, cause)?;
    recorded(recording).await?;
    Ok((from.get(), to.get()))
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::DecreaseBelowActive { active, limit, .. } => {
                Self::Decrease(Box::new(DecreaseRefused::new(active, limit.get(), error.to_string())))
            }
            _ => Self::bad_request(error.to_string()),
        }
    }
}
