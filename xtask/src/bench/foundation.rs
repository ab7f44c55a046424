//! The first comparison: one path through the server, measured against what it is made of.
//!
//! Each round measures every subject in turn, so that a noisy minute strikes all of them alike.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::client::Client;
use super::floor;
use super::peer::Peer;
use super::report::{ECHO, Metric, ROWHOUSE, RUSQLITE, Results, SQLITE_RX, Times};
use crate::{run, venv};

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

const COLD_P50: Metric = Metric { name: "cold open, SELECT 1, p50", unit: "µs" };
const COLD_P99: Metric = Metric { name: "cold open, SELECT 1, p99", unit: "µs" };
const COLD_ROW_P50: Metric = Metric { name: "cold open, one row, p50", unit: "µs" };
const COLD_ROW_P99: Metric = Metric { name: "cold open, one row, p99", unit: "µs" };
const CREATE_P50: Metric = Metric { name: "create, SELECT 1, p50", unit: "µs" };
const CREATE_P99: Metric = Metric { name: "create, SELECT 1, p99", unit: "µs" };
const ONE_P50: Metric = Metric { name: "warm SELECT 1, 1 client, p50", unit: "µs" };
const ONE_P99: Metric = Metric { name: "warm SELECT 1, 1 client, p99", unit: "µs" };
const ONE_P999: Metric = Metric { name: "warm SELECT 1, 1 client, p99.9", unit: "µs" };
const ONE_CPU: Metric = Metric { name: "warm SELECT 1, 1 client, server CPU", unit: "µs/request" };
const MANY_RATE: Metric = Metric { name: "warm SELECT 1, 16 clients", unit: "requests/s" };
const MANY_P50: Metric = Metric { name: "warm SELECT 1, 16 clients, p50", unit: "µs" };
const MANY_P99: Metric = Metric { name: "warm SELECT 1, 16 clients, p99", unit: "µs" };
const MANY_P999: Metric = Metric { name: "warm SELECT 1, 16 clients, p99.9", unit: "µs" };
const MANY_CPU: Metric = Metric { name: "warm SELECT 1, 16 clients, server CPU", unit: "µs/request" };
const MEMORY: Metric = Metric { name: "memory per open database (PSS)", unit: "KiB" };
const MEMORY_NONE: Metric = Metric { name: "memory with none open (PSS)", unit: "KiB" };
const DESCRIPTORS: Metric = Metric { name: "file descriptors per open database", unit: "" };
const IDLE_CPU: Metric = Metric { name: "idle with 500 open, server CPU", unit: "% of a core" };

/// What one load did to a peer.
struct Load {
    times: Times,
    requests: usize,
    took: Duration,
    cpu: Duration,
}

/// Runs the comparison for so many rounds.
///
/// # Errors
///
/// When a peer cannot be built or started, or answers wrongly.
pub(super) async fn run(rounds: u32) -> Result<Results> {
    let python = venv::ready()?;
    run::run(&mut run::cargo(&["build", "--release", "--package", "rowhouse"]))?;
    let mut results = Results::new("foundation");
    for round in 1..=rounds {
        println!("round {round} of {rounds}");
        openings(&mut results).await?;
        warm(&mut results, &python).await?;
        memory(&mut results).await?;
    }
    Ok(results)
}

/// Measures opening and creating databases.
async fn openings(results: &mut Results) -> Result<()> {
    let served = TempDir::new()?;
    let bare = TempDir::new()?;
    for kind in ["cold", "row"] {
        for name in names(kind, OPENINGS) {
            floor::prepare(&file(served.path(), &name))?;
            floor::prepare(&file(bare.path(), &name))?;
        }
    }
    let mut server = Peer::rowhouse(served.path(), MAX_CONNECTIONS)?;
    server.ready().await?;
    let client = Client::connect(server.address(), "openings").await?;
    client.query("", "SELECT 1").await?;

    for (kind, query, p50, p99) in [
        ("cold", "SELECT 1", COLD_P50, COLD_P99),
        ("row", floor::READ_ROW, COLD_ROW_P50, COLD_ROW_P99),
        ("new", "SELECT 1", CREATE_P50, CREATE_P99),
    ] {
        let mut times = Vec::new();
        for name in names(kind, OPENINGS) {
            let start = Instant::now();
            let rows = client.query(&name, query).await?;
            times.push(start.elapsed());
            ensure!(rows.len() == 1, "`{query}` on {name} answered {rows:?}");
            ensure!(file(served.path(), &name).exists(), "{name} was answered without a file");
        }
        add_times(results, ROWHOUSE, &Times::new(times), [(p50, 500), (p99, 990)]);
        add_times(results, RUSQLITE, &in_process(kind, query, bare.path())?, [(p50, 500), (p99, 990)]);
    }
    server.stop()
}

/// Opens, or creates, the same databases in process.
fn in_process(kind: &str, query: &str, folder: &Path) -> Result<Times> {
    let mut times = Vec::new();
    let mut kept = Vec::new();
    for name in names(kind, OPENINGS) {
        let file = file(folder, &name);
        let (connection, took) =
            if kind == "new" { floor::create(&file)? } else { floor::cold_open(&file, query)? };
        times.push(took);
        kept.push(connection);
    }
    Ok(Times::new(times))
}

/// Measures round trips on a database that is open.
async fn warm(results: &mut Results, python: &Path) -> Result<()> {
    let folder = TempDir::new()?;
    floor::prepare(&file(folder.path(), "warm"))?;
    let other = TempDir::new()?;
    let mut peers = [
        (ROWHOUSE, "warm", Peer::rowhouse(folder.path(), MAX_CONNECTIONS)?),
        (ECHO, "warm", Peer::echo()?),
        (SQLITE_RX, "", Peer::sqlite_rx(python, &file(other.path(), "warm"))?),
    ];
    for (_, _, peer) in &mut peers {
        peer.ready().await?;
    }
    for (subject, database, peer) in &peers {
        let load = load(peer, database, 1, ONE_CLIENT).await?;
        add_times(results, subject, &load.times, [(ONE_P50, 500), (ONE_P99, 990), (ONE_P999, 999)]);
        results.add(ONE_CPU, subject, load.cpu_per_request());
    }
    results.add(ONE_P50, RUSQLITE, floor::select_one(IN_PROCESS)?.as_secs_f64() * 1e6);
    for (subject, database, peer) in &peers {
        let load = load(peer, database, CLIENTS, MANY_CLIENTS).await?;
        results.add(MANY_RATE, subject, load.requests as f64 / load.took.as_secs_f64());
        add_times(results, subject, &load.times, [(MANY_P50, 500), (MANY_P99, 990), (MANY_P999, 999)]);
        results.add(MANY_CPU, subject, load.cpu_per_request());
    }
    peers.into_iter().try_for_each(|(_, _, peer)| peer.stop())
}

/// Lets so many clients ask for so long, each waiting for its answer before it asks again.
async fn load(peer: &Peer, database: &str, clients: usize, duration: Duration) -> Result<Load> {
    let mut connected = Vec::new();
    for number in 0..clients {
        let client = Client::connect(peer.address(), format!("load-{number}")).await?;
        let request = client.request(database, "SELECT 1")?;
        client.exchange(request.clone()).await?;
        connected.push((client, request));
    }
    let cpu = peer.cpu()?;
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for (client, request) in connected {
        tasks.spawn(async move {
            let mut times = Vec::new();
            let mut now = Instant::now();
            while now < start + duration {
                client.exchange(request.clone()).await?;
                let answered = Instant::now();
                times.push(answered - now);
                now = answered;
            }
            anyhow::Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        times.extend(done.context("a client panicked")??);
    }
    let took = start.elapsed();
    Ok(Load { requests: times.len(), times: Times::new(times), took, cpu: peer.cpu()? - cpu })
}

/// Measures what an open database costs while nobody asks.
async fn memory(results: &mut Results) -> Result<()> {
    let folder = TempDir::new()?;
    for name in names("open", OPEN) {
        floor::prepare(&file(folder.path(), &name))?;
    }
    let mut server = Peer::rowhouse(folder.path(), MAX_CONNECTIONS)?;
    server.ready().await?;
    let client = Client::connect(server.address(), "memory").await?;
    client.query("", "SELECT 1").await?;
    let (memory, descriptors) = (server.memory()?, server.descriptors()?);
    for name in names("open", OPEN) {
        client.query(&name, floor::READ_ROW).await?;
    }
    let per_database = |after: u64, before: u64| (after as f64 - before as f64) / OPEN as f64;
    results.add(MEMORY, ROWHOUSE, per_database(server.memory()?, memory));
    results.add(MEMORY_NONE, ROWHOUSE, memory as f64);
    results.add(DESCRIPTORS, ROWHOUSE, per_database(server.descriptors()?, descriptors));
    let cpu = server.cpu()?;
    tokio::time::sleep(IDLE).await;
    results.add(IDLE_CPU, ROWHOUSE, (server.cpu()? - cpu).as_secs_f64() / IDLE.as_secs_f64() * 100.0);
    server.stop()
}

fn add_times<const N: usize>(
    results: &mut Results,
    subject: &'static str,
    times: &Times,
    of: [(Metric, usize); N],
) {
    for (metric, share) in of {
        results.add(metric, subject, times.per_mille(share));
    }
}

fn names(kind: &str, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |number| format!("{kind}-{number}"))
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.db"))
}

// === impl Load ===

impl Load {
    /// Returns the server's processor time for one request, in µs.
    fn cpu_per_request(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.requests as f64
    }
}
