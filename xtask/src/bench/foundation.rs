//! The first comparison: one path through the server, measured against what it is made of.
//!
//! Each round measures every subject in turn, so that a noisy minute strikes all of them alike.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::load::Plan;
use super::peer::Peer;
use super::report::{ECHO, P50, P99, ROWHOUSE, RUSQLITE, Results, SQLITE_RX, Times};
use super::{fixture, floor, opening};

/// Databases opened cold, and created, per round and kind.
const OPENINGS: usize = 100;
/// Databases open at once while memory is measured.
const OPEN: usize = 500;
/// Room for every database of a round.
const MAX_CONNECTIONS: u32 = 1000;
/// How long one client asks, and how long many do.
const ONE_CLIENT: Duration = Duration::from_secs(2);
const MANY_CLIENTS: Duration = Duration::from_secs(3);
const CLIENTS: usize = 16;
/// How long the server is left alone with its open databases.
const IDLE: Duration = Duration::from_secs(3);
/// Runs of `SELECT 1` in process.
const IN_PROCESS: u32 = 500_000;

/// Runs the comparison for so many rounds.
///
/// # Errors
///
/// When a peer cannot be built or started, or answers wrongly.
pub(super) async fn run(rounds: u32, python: &Path) -> Result<Results> {
    let mut results = Results::new("foundation");
    for round in 1..=rounds {
        println!("round {round} of {rounds}");
        openings(&mut results).await?;
        warm(&mut results, python).await?;
        memory(&mut results).await?;
    }
    Ok(results)
}

/// Measures opening and creating databases.
async fn openings(results: &mut Results) -> Result<()> {
    let (served, bare) = (fixture::folder()?, fixture::folder()?);
    for kind in ["cold", "row"] {
        for folder in [&served, &bare] {
            fixture::prepare_many(folder.path(), &fixture::names(kind, OPENINGS), 0)?;
        }
    }
    let mut server = Peer::rowhouse(served.path(), MAX_CONNECTIONS)?;
    server.ready().await?;
    let client = server.connect().await?;
    client.query("", "SELECT 1").await?;

    for (kind, query, what) in [
        ("cold", "SELECT 1", "cold open, SELECT 1"),
        ("row", fixture::READ_ROW, "cold open, one row"),
        ("new", "SELECT 1", "create, SELECT 1"),
    ] {
        let names = fixture::names(kind, OPENINGS);
        let times = opening::served(&client, &names, query).await?;
        for name in &names {
            ensure!(fixture::file(served.path(), name).exists(), "{name} was answered without a file");
        }
        results.of(ROWHOUSE).times(what, &Times::new(times), &[P50, P99]);
        let (times, _open) = opening::in_process(bare.path(), &names, query)?;
        results.of(RUSQLITE).times(what, &Times::new(times), &[P50, P99]);
    }
    server.stop()
}

/// Measures round trips on a database that is open.
async fn warm(results: &mut Results, python: &Path) -> Result<()> {
    let (folder, other) = (fixture::folder()?, fixture::folder()?);
    fixture::prepare(&fixture::file(folder.path(), "warm"))?;
    let (named, default) = (["warm".to_owned()], [String::new()]);
    let mut peers = [
        (ROWHOUSE, &named, Peer::rowhouse(folder.path(), MAX_CONNECTIONS)?),
        (ECHO, &named, Peer::echo()?),
        (SQLITE_RX, &default, Peer::sqlite_rx(python, &fixture::file(other.path(), "warm"))?),
    ];
    for (_, _, peer) in &mut peers {
        peer.ready().await?;
    }
    let plan = |databases, clients, duration| Plan {
        databases,
        query: "SELECT 1",
        argument: None,
        clients,
        duration,
    };
    for (subject, databases, peer) in &peers {
        let load = plan(*databases, 1, ONE_CLIENT).run(peer).await?;
        results.of(subject).load("warm SELECT 1, 1 client", &load);
    }
    let in_process = floor::select_one(IN_PROCESS)?.as_secs_f64() * 1e6;
    results.of(RUSQLITE).add("warm SELECT 1, 1 client, p50", "µs", in_process);
    for (subject, databases, peer) in &peers {
        let load = plan(*databases, CLIENTS, MANY_CLIENTS).run(peer).await?;
        results.of(subject).load("warm SELECT 1, 16 clients", &load);
    }
    peers.into_iter().try_for_each(|(_, _, peer)| peer.stop())
}

/// Measures what an open database costs while nobody asks.
async fn memory(results: &mut Results) -> Result<()> {
    let folder = fixture::folder()?;
    let names = fixture::names("open", OPEN);
    fixture::prepare_many(folder.path(), &names, 0)?;
    let mut server = Peer::rowhouse(folder.path(), MAX_CONNECTIONS)?;
    server.ready().await?;
    let open = opening::cost(&server, &names, IDLE).await?;
    let mut column = results.of(ROWHOUSE);
    column.add("memory per open database (PSS)", "KiB", open.memory);
    column.add("memory with one open (PSS)", "KiB", open.memory_with_one);
    column.add("file descriptors per open database", "", open.descriptors);
    column.add(format!("idle with {OPEN} open, server CPU"), "% of a core", open.idle);
    server.stop()
}
