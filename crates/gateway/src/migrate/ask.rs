//! What is asked of a database while it is migrated.
use futures::StreamExt as _;
use rowhouse_engine::{Batch, Connection, EngineError, Options, SqlPolicy};
use rowhouse_types::{Request, ValueRef};
use std::time::{Duration, Instant};

/// How long is waited for the lock of a database, and how long a question of ours may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The most rows of an answer: no schema has so many parts.
const MAX_ROWS: u64 = 200_000;

/// The most bytes of an answer.
const MAX_BYTES: u64 = 64 << 20;

/// Asks a question of ours; the rows.
pub(super) async fn ask(
    connection: &mut dyn Connection,
    sql: impl Into<std::sync::Arc<str>>,
) -> Result<Vec<Vec<Option<String>>>, EngineError> {
    let options = Options {
        deadline: Some(Instant::now() + PATIENCE),
        policy: SqlPolicy::Standard,
        foreign_keys: true,
        max_rows: Some(MAX_ROWS),
        max_bytes: Some(MAX_BYTES),
    };
    let batches = run(connection, Request::execute(sql), options).await?;
    let cell = |value: ValueRef<'_>| match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(text) => Some(text.to_owned()),
        ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
    };
    let rows = batches.iter().flat_map(Batch::rows);
    Ok(rows.map(|row| row.values().map(cell).collect()).collect())
}

/// Runs statements, within the transaction that is open if one is.
pub(super) async fn sequence(
    connection: &mut dyn Connection,
    sql: impl Into<std::sync::Arc<str>>,
    (foreign_keys, patience): (bool, Option<Duration>),
) -> Result<(), EngineError> {
    let options = Options {
        deadline: patience.map(|patience| Instant::now() + patience),
        policy: SqlPolicy::Standard,
        foreign_keys,
        max_rows: None,
        max_bytes: None,
    };
    run(connection, Request::sequence(sql), options).await.map(drop)
}

async fn run(
    connection: &mut dyn Connection,
    request: Request,
    options: Options,
) -> Result<Vec<Batch>, EngineError> {
    let mut chunks = connection.run(request, options);
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
