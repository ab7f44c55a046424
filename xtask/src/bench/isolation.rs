//! Databases in a process of their own, beside databases that share the server's.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use super::fixture::{self, ADD_ROW, READ_ROW, ROW};
use super::load::Plan;
use super::opening;
use super::peer::Peer;
use super::report::{P50, P99, ROWHOUSE, ROWHOUSE_BY_PROCESS, Results, Times};

/// Databases that are opened for the first time, and then kept open.
const OPENED: usize = 100;
/// Databases that are created.
const CREATED: usize = 50;
/// Room for all of them.
const MAX_CONNECTIONS: u32 = 400;
/// How many ask at once, and for how long.
const LOADS: [(usize, Duration); 2] = [(1, Duration::from_secs(2)), (16, Duration::from_secs(3))];
/// How long the server is left alone with them.
const IDLE: Duration = Duration::from_secs(3);

/// Starts a server on a folder with room for so many databases.
type Start = fn(&Path, u32) -> Result<Peer>;

/// The two ways.
const WAYS: [(&str, Start); 2] =
    [(ROWHOUSE, Peer::rowhouse), (ROWHOUSE_BY_PROCESS, Peer::rowhouse_by_process)];

/// Runs the comparison for so many rounds.
///
/// # Errors
///
/// When a server cannot be started, or answers wrongly.
pub(super) async fn run(rounds: u32) -> Result<Results> {
    let mut results = Results::new("isolation");
    for round in 1..=rounds {
        println!("round {round} of {rounds}");
        for (subject, start) in WAYS {
            first_answers(&mut results, subject, start).await?;
        }
        load(&mut results).await?;
    }
    Ok(results)
}

/// What it costs to open and to create a database, and to keep it.
async fn first_answers(results: &mut Results, subject: &'static str, start: Start) -> Result<()> {
    let folder = folder("kept", OPENED)?;
    let mut server = start(folder.path(), MAX_CONNECTIONS)?;
    server.ready().await?;
    let client = server.connect().await?;
    let created = opening::served(&client, &fixture::names("new", CREATED), "SELECT 1").await?;
    server.stop()?;
    let mut server = start(folder.path(), MAX_CONNECTIONS)?;
    server.ready().await?;
    let client = server.connect().await?;
    let opened = opening::served(&client, &fixture::names("kept", OPENED), READ_ROW).await?;
    drop(client);
    server.stop()?;
    let mut server = start(folder.path(), MAX_CONNECTIONS)?;
    server.ready().await?;
    let cost = opening::cost(&server, &fixture::names("kept", OPENED), IDLE).await?;
    server.stop()?;
    let mut column = results.of(subject);
    column.times("cold open, one row", &Times::new(opened), &[P50, P99]);
    column.times("create, SELECT 1", &Times::new(created), &[P50, P99]);
    column.add("memory per open database (PSS)", "KiB", cost.memory);
    column.add("file descriptors per open database", "", cost.descriptors);
    column.add("idle with 100 open, server CPU", "% of a core", cost.idle);
    Ok(())
}

/// What a request costs, on one database that is open.
async fn load(results: &mut Results) -> Result<()> {
    let folders = [folder("warm", 1)?, folder("warm", 1)?];
    let databases = fixture::names("warm", 1);
    let mut servers = Vec::new();
    for ((subject, start), folder) in WAYS.into_iter().zip(&folders) {
        let mut server = start(folder.path(), MAX_CONNECTIONS)?;
        server.ready().await?;
        servers.push((subject, server));
    }
    for (what, query, argument) in [("SELECT 1", "SELECT 1", None), ("INSERT", ADD_ROW, Some(ROW))] {
        for (clients, duration) in LOADS {
            for (subject, server) in &servers {
                let plan = Plan { databases: &databases, query, argument, clients, duration };
                let s = if clients == 1 { "" } else { "s" };
                results.of(subject).load(&format!("{what}, {clients} client{s}"), &plan.run(server).await?);
            }
        }
    }
    servers.into_iter().try_for_each(|(_, server)| server.stop())
}

fn folder(kind: &str, count: usize) -> Result<TempDir> {
    let folder = fixture::folder()?;
    fixture::prepare_many(folder.path(), &fixture::names(kind, count), 0)?;
    Ok(folder)
}
