//! The server's options and its log, seen and changed.
use crate::operator::{ConfigChange, OperatorError};
use crate::reply::{Json, Problem};
use crate::request::Write;
use crate::shared::{Shared, recorded};
use axum::extract::State;
use rowhouse_wire::management::{Config, ConfigChanged, Done, Failed, LogLevel, SUCCESS};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Every option, its value, where that came from, and whether it changes while the server runs.
#[utoipa::path(get, path = "/config", responses((status = 200, body = Config)))]
pub(crate) async fn config(State(shared): State<Arc<Shared>>) -> Json<Config> {
    Json(Config { options: shared.context.operator.config() })
}

/// Changes options, all or none; null undoes a change.
#[utoipa::path(patch, path = "/config", request_body = BTreeMap<String, Value>, responses(
    (status = 200, body = ConfigChanged),
    (status = 400, body = Failed, description = "One of them cannot be changed so; nothing was"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn change_config(
    State(shared): State<Arc<Shared>>,
    write: Write,
) -> Result<Json<ConfigChanged>, Problem> {
    let changes: BTreeMap<String, Value> = write.read()?;
    let change = shared.context.operator.change_config(&changes, write.cause)?;
    let ConfigChange { changed, unchanged, recordings } = change;
    for recording in recordings {
        recorded(recording).await?;
    }
    let message = match changed.as_slice() {
        [] => "Nothing changed".to_owned(),
        changed => format!("Changed: {}", changed.join(", ")),
    };
    Ok(Json(ConfigChanged { changed, message, status: SUCCESS.to_owned(), unchanged }))
}

/// What is logged.
#[utoipa::path(get, path = "/log-level", responses((status = 200, body = LogLevel)))]
pub(crate) async fn log_level(State(shared): State<Arc<Shared>>) -> Json<LogLevel> {
    Json(LogLevel { level: shared.context.operator.log_level() })
}

/// Changes what is logged.
#[utoipa::path(put, path = "/log-level", request_body = LogLevel, responses(
    (status = 200, body = Done),
    (status = 400, body = Failed, description = "The filter makes no sense"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn set_log_level(
    State(shared): State<Arc<Shared>>,
    write: Write,
) -> Result<Json<Done>, Problem> {
    let LogLevel { level } = write.read()?;
    recorded(shared.context.operator.set_log_level(&level, write.cause)?).await?;
    Ok(Json(Done::new(format!("Log level set to {level}"))))
}

impl From<OperatorError> for Problem {
    fn from(error: OperatorError) -> Self {
        Self::bad_request(error.to_string())
    }
}
