//! SQL of the gateway's own, through the port: how requests are run, and how values get in and out.
use futures::StreamExt as _;
use rowhouse_engine::{Batch, Connection, EngineError, Options, SqlPolicy};
use rowhouse_types::{Arguments, Request, Value, ValueRef};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How requests of the gateway's own are run.
const OPTIONS: Options = Options {
    deadline: None,
    policy: SqlPolicy::Standard,
    foreign_keys: true,
    max_rows: None,
    max_bytes: None,
};

/// Runs a request of the gateway's own; the rows it yields.
pub(crate) async fn run(
    connection: &mut dyn Connection,
    request: Request,
) -> Result<Vec<Batch>, EngineError> {
    let mut chunks = connection.run(request, OPTIONS);
    let mut rows = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        rows.push(chunk.rows);
        if chunk.outcome.is_some() {
            return Ok(rows);
        }
    }
    Err(EngineError::Lost)
}

/// As [`run`], of one statement.
pub(crate) async fn execute(
    connection: &mut dyn Connection,
    sql: impl Into<Arc<str>>,
    arguments: impl Into<Vec<Value>>,
) -> Result<Vec<Batch>, EngineError> {
    run(connection, Request::execute_with(sql, arguments)).await
}

/// As [`run`], of one statement with each set of arguments; nothing without any.
pub(crate) async fn repeat(
    connection: &mut dyn Connection,
    sql: Arc<str>,
    sets: Vec<Vec<Value>>,
) -> Result<(), EngineError> {
    if sets.is_empty() {
        return Ok(());
    }
    let sets = sets.into_iter().map(Arguments::Positional).collect();
    run(connection, Request::Repeat { sql, sets }).await.map(drop)
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(crate) fn number(n: u64) -> Value {
    Value::Integer(i64::try_from(n).unwrap_or(i64::MAX))
}

pub(crate) fn integer(cell: Option<ValueRef<'_>>) -> Option<i64> {
    match cell {
        Some(ValueRef::Integer(n)) => Some(n),
        _ => None,
    }
}

pub(crate) fn words<'a>(cell: Option<ValueRef<'a>>) -> Option<&'a str> {
    match cell {
        Some(ValueRef::Text(text)) => Some(text),
        _ => None,
    }
}

/// As [`execute`]; how many rows were changed.
pub(crate) async fn change(
    connection: &mut dyn Connection,
    sql: impl Into<Arc<str>>,
    arguments: impl Into<Vec<Value>>,
) -> Result<u64, EngineError> {
    let mut chunks = connection.run(Request::execute_with(sql, arguments), OPTIONS);
    while let Some(chunk) = chunks.next().await {
        if let Some(outcome) = chunk?.outcome {
            return Ok(outcome.changed);
        }
    }
    Err(EngineError::Lost)
}

/// A time, in microseconds after 1970.
pub(crate) fn micros(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// The time so many microseconds after 1970.
pub(crate) fn at(micros: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(micros.unsigned_abs())
}

/// A text, or nothing.
pub(crate) fn optional(value: Option<&str>) -> Value {
    value.map_or(Value::Null, text)
}
