//! The floors: what the same work costs without rowhouse.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use omq_tokio::{Options, Socket, SocketType};
use rusqlite::Connection;

/// The row that a prepared database holds, to be read by a first query.
pub(super) const READ_ROW: &str = "SELECT v FROM kept WHERE id = 1";

/// Answers every message with itself, until killed: what the transport alone costs.
///
/// # Errors
///
/// When the address cannot be bound or the socket fails.
pub(super) async fn serve_echo(address: &str) -> Result<()> {
    let router = Socket::new(SocketType::Router, Options::default());
    router.bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    loop {
        let message = router.recv().await?;
        router.send(message).await?;
    }
}

/// Writes a database with one row, closed and checkpointed.
pub(super) fn prepare(file: &Path) -> Result<()> {
    let connection = Connection::open(file).with_context(|| format!("cannot create {}", file.display()))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.execute_batch(
        "CREATE TABLE kept (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO kept VALUES (1, 'one')",
    )?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// Opens a prepared database in process, as the server does, and answers a first query.
pub(super) fn cold_open(file: &Path, query: &str) -> Result<(Connection, Duration)> {
    let start = Instant::now();
    let connection = Connection::open(file)?;
    first_answer(connection, query, start)
}

/// Creates a database in process and answers a first query.
pub(super) fn create(file: &Path) -> Result<(Connection, Duration)> {
    let start = Instant::now();
    let connection = Connection::open(file)?;
    first_answer(connection, "SELECT 1", start)
}

fn first_answer(connection: Connection, query: &str, start: Instant) -> Result<(Connection, Duration)> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.query_row(query, [], |row| row.get::<_, rusqlite::types::Value>(0))?;
    Ok((connection, start.elapsed()))
}

/// Runs `SELECT 1` on a kept statement so many times and returns the time of one.
pub(super) fn select_one(times: u32) -> Result<Duration> {
    let connection = Connection::open_in_memory()?;
    let mut statement = connection.prepare("SELECT 1")?;
    let start = Instant::now();
    for _ in 0..times {
        statement.query_row([], |row| row.get::<_, i64>(0))?;
    }
    Ok(start.elapsed() / times)
}
