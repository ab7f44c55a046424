//! The floors: what the same work costs without rowhouse.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use omq_tokio::{Options, Socket, SocketType};
use rusqlite::Connection;

use super::fixture::{ADD_ROW, ROW};
use super::load::Load;
use super::peer;
use super::report::Times;

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

/// Opens a database in process, as the server does, or creates it, and answers a first query.
pub(super) fn open(file: &Path, query: &str) -> Result<(Connection, Duration)> {
    let start = Instant::now();
    let connection = connect(file)?;
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

/// Inserts a row into the next database for so long, with so many kept open, the newest.
pub(super) fn rotate(files: &[PathBuf], room: usize, duration: Duration) -> Result<Load> {
    let mut open: VecDeque<(&Path, Connection)> = VecDeque::new();
    let mut times = Vec::new();
    let cpu = peer::own_cpu()?;
    let start = Instant::now();
    let mut now = start;
    for file in files.iter().cycle() {
        let connection = match open.iter().position(|(kept, _)| *kept == file) {
            Some(kept) => open.remove(kept).context("found just now")?.1,
            None => {
                if open.len() == room {
                    open.pop_front();
                }
                connect(file)?
            }
        };
        connection.prepare_cached(ADD_ROW)?.execute([ROW])?;
        open.push_back((file, connection));
        let committed = Instant::now();
        times.push(committed - now);
        now = committed;
        if now >= start + duration {
            break;
        }
    }
    let (requests, took, cpu) = (times.len(), start.elapsed(), peer::own_cpu()? - cpu);
    Ok(Load { requests, answers: requests, took, cpu, times: Times::new(times) })
}

/// Inserts rows for so long, so many per transaction; the times are those of transactions.
pub(super) fn insert(file: &Path, together: u32, duration: Duration) -> Result<Load> {
    let connection = connect(file)?;
    let mut statement = connection.prepare(ADD_ROW)?;
    let mut times = Vec::new();
    let cpu = peer::own_cpu()?;
    let start = Instant::now();
    let mut now = start;
    while now < start + duration {
        if together > 1 {
            connection.execute_batch("BEGIN IMMEDIATE")?;
        }
        for _ in 0..together {
            statement.execute([ROW])?;
        }
        if together > 1 {
            connection.execute_batch("COMMIT")?;
        }
        let committed = Instant::now();
        times.push(committed - now);
        now = committed;
    }
    let requests = times.len() * usize::try_from(together)?;
    let cpu = peer::own_cpu()? - cpu;
    Ok(Load { requests, answers: requests, took: start.elapsed(), cpu, times: Times::new(times) })
}

fn connect(file: &Path) -> Result<Connection> {
    let connection = Connection::open(file)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::fixture;

    #[test]
    fn rotation_inserts_into_each_in_turn() {
        let folder = tempfile::TempDir::new().unwrap();
        let names = fixture::names("floor", 3);
        fixture::prepare_many(folder.path(), &names, 0).unwrap();
        let files: Vec<_> = names.iter().map(|name| fixture::file(folder.path(), name)).collect();

        let loads = [1, 3].map(|room| rotate(&files, room, Duration::from_millis(20)).unwrap());

        let rows = files.iter().map(|file| {
            let (connection, _) = open(file, fixture::READ_ROW).unwrap();
            connection.query_row(fixture::COUNT_ROWS, [], |row| row.get::<_, i64>(0)).unwrap()
        });
        let inserted: usize = loads.iter().map(|load| load.requests).sum();
        assert_eq!(usize::try_from(rows.sum::<i64>()).unwrap(), inserted + files.len());
    }

    #[test]
    fn grouped_inserts_are_counted_by_row() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = fixture::file(folder.path(), "floor");
        fixture::prepare(&file).unwrap();

        let load = insert(&file, 100, Duration::from_millis(1)).unwrap();

        let (connection, _) = open(&file, fixture::READ_ROW).unwrap();
        let rows: i64 = connection.query_row(fixture::COUNT_ROWS, [], |row| row.get(0)).unwrap();
        assert_eq!(usize::try_from(rows).unwrap(), load.requests + 1);
        assert_eq!(load.requests % 100, 0);
    }
}
