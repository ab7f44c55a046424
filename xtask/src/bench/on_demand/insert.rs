//! Durable single-row inserts into one database: how they scale with clients that write at once.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use tempfile::TempDir;

use super::select;
use crate::bench::fixture::{self, ADD_ROW, COUNT_ROWS, ROW};
use crate::bench::floor;
use crate::bench::load::Plan;
use crate::bench::peer::Peer;
use crate::bench::report::{Column, ROWHOUSE, RUSQLITE, Results, SQLITE_RX};
use crate::bench::target::Target;

/// How many write at once.
const CLIENTS: [usize; 4] = [1, 8, 32, 64];
/// How long they write.
const DURATION: Duration = Duration::from_secs(2);
/// How long SQLite in process does.
const IN_PROCESS: Duration = Duration::from_secs(1);
/// Rows per transaction of the grouped floor.
const GROUP: u32 = 100;
/// Room for the one database.
const MAX_CONNECTIONS: u32 = 20;
/// The database that is written to.
const NAME: &str = "written";

const GROUPED: &str = "durable INSERT, 100 per transaction";

/// Measures the server, the peer and the floors.
pub(super) async fn run(results: &mut Results, python: &Path) -> Result<()> {
    for clients in CLIENTS {
        let folder = prepared()?;
        let server = Peer::rowhouse(folder.path(), MAX_CONNECTIONS)?;
        write(results.of(ROWHOUSE), server, NAME, clients).await?;
        let folder = prepared()?;
        let peer = Peer::sqlite_rx(python, &fixture::file(folder.path(), NAME))?;
        write(results.of(SQLITE_RX), peer, "", clients).await?;
    }
    for (name, together) in [(what(1).as_str(), 1), (GROUPED, GROUP)] {
        let folder = prepared()?;
        let load = floor::insert(&fixture::file(folder.path(), NAME), together, IN_PROCESS)?;
        results.of(RUSQLITE).load(name, &load);
    }
    Ok(())
}

/// How throughput scales with clients.
pub(super) fn targets(results: &Results) -> Option<Vec<Target>> {
    let rate = |clients| results.median(&what(clients), ROWHOUSE);
    let scale = rate(32)? / rate(1)?;
    let mut targets = vec![Target::at_least("durable INSERT, 32 clients to 1 client", "times", 8.0, scale)];
    let reading = select::what(16);
    if let Some(read) = results.median(&reading, ROWHOUSE) {
        let name = format!("{} to {reading}", what(64));
        targets.push(Target::at_least(name, "times", 0.5, rate(64)? / read));
    }
    Some(targets)
}

fn what(clients: usize) -> String {
    let s = if clients == 1 { "" } else { "s" };
    format!("durable INSERT, {clients} client{s}")
}

fn prepared() -> Result<TempDir> {
    let folder = fixture::folder()?;
    fixture::prepare(&fixture::file(folder.path(), NAME))?;
    Ok(folder)
}

/// Lets the clients write, and makes sure that every row that was acknowledged is there once.
async fn write(mut column: Column<'_>, mut peer: Peer, database: &str, clients: usize) -> Result<()> {
    peer.ready().await?;
    let databases = [database.to_owned()];
    let plan =
        Plan { databases: &databases, query: ADD_ROW, argument: Some(ROW), clients, duration: DURATION };
    let load = plan.run(&peer).await?;
    let rows = peer.connect().await?.number(database, COUNT_ROWS).await?;
    let wanted = load.answers as u64 + 1;
    ensure!(rows == wanted, "{rows} rows are there where {wanted} were acknowledged");
    column.load(&what(clients), &load);
    peer.stop()
}
