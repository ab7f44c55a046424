//! Databases asked for the first time: by a client of a server, and in process.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rusqlite::Connection;

use super::client::Client;
use super::peer::Peer;
use super::{fixture, floor};

/// What databases cost a server while they are open and nobody asks.
pub(super) struct Cost {
    /// Memory (PSS) with one open, in KiB.
    pub(super) memory_with_one: f64,
    /// Memory (PSS) for each more, in KiB.
    pub(super) memory: f64,
    /// File descriptors for each more.
    pub(super) descriptors: f64,
    /// Threads with one open, and with all.
    pub(super) threads: [u64; 2],
    /// The share of a core that the server uses, in percent.
    pub(super) idle: f64,
    /// How long it took to open them all, one after the other.
    pub(super) took: Duration,
}

/// Asks a server of each database for the first time; the answer is one row.
pub(super) async fn served(client: &Client, names: &[String], query: &str) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(names.len());
    for name in names {
        let start = Instant::now();
        let rows = client.query(name, query).await?;
        times.push(start.elapsed());
        ensure!(rows.len() == 1, "`{query}` on {name} answered {rows:?}");
    }
    Ok(times)
}

/// Opens, or creates, the databases in process; they are open until the connections are dropped.
pub(super) fn in_process(
    folder: &Path,
    names: &[String],
    query: &str,
) -> Result<(Vec<Duration>, Vec<Connection>)> {
    let opened = names.iter().map(|name| floor::open(&fixture::file(folder, name), query));
    let opened = opened.collect::<Result<Vec<_>>>()?;
    Ok(opened.into_iter().map(|(connection, took)| (took, connection)).unzip())
}

/// Opens the databases, leaves the server alone for a while, and tells what they cost it.
pub(super) async fn cost(server: &Peer, names: &[String], idle: Duration) -> Result<Cost> {
    let client = server.connect().await?;
    // The first brings what all share.
    let (first, names) = names.split_first().context("no database to open")?;
    client.query(first, fixture::READ_ROW).await?;
    let (memory, descriptors, threads) = (server.memory()?, server.descriptors()?, server.threads()?);
    let start = Instant::now();
    served(&client, names, fixture::READ_ROW).await?;
    let took = start.elapsed();
    let each = |after: u64, before: u64| (after as f64 - before as f64) / names.len() as f64;
    let (memory_each, descriptors) =
        (each(server.memory()?, memory), each(server.descriptors()?, descriptors));
    let threads = [threads, server.threads()?];
    let cpu = server.cpu()?;
    tokio::time::sleep(idle).await;
    let used = (server.cpu()? - cpu).as_secs_f64() / idle.as_secs_f64();
    Ok(Cost {
        memory_with_one: memory as f64,
        memory: memory_each,
        descriptors,
        threads,
        idle: used * 100.0,
        took,
    })
}
