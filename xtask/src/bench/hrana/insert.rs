//! Durable single-row inserts into one database: how they scale with connections that write at once.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::ask::{self, Statement};
use super::line::{Asked, Line};
use super::load;
use super::select::{connect, what};
use crate::bench::fixture;
use crate::bench::peer::Peer;
use crate::bench::report::{ROWHOUSE, Results};
use crate::bench::target::Target;

/// How many write at once.
const CONNECTIONS: [usize; 3] = [1, 8, 64];
/// For how long.
const DURATION: Duration = Duration::from_secs(3);
/// The database that is written to.
const NAME: &str = "written";
/// Room for the one database.
const MAX_CONNECTIONS: u32 = 20;
const INSERT: &str = "durable INSERT";

/// Lets the connections write, and makes sure that every row that was acknowledged is there once.
pub(super) async fn run(results: &mut Results) -> Result<()> {
    let folder = fixture::folder()?;
    fixture::prepare(&fixture::file(folder.path(), NAME))?;
    let (mut server, address) = Peer::rowhouse_http(folder.path(), MAX_CONNECTIONS)?;
    server.ready().await?;
    let mut rows = 1;
    for connections in CONNECTIONS {
        let asked = Arc::new([Asked::Http(Statement::insert().pipeline(NAME))]);
        let load = load::run(&server, connect(address, connections).await?, asked, DURATION).await?;
        rows += load.answers as u64;
        results.of(ROWHOUSE).load(&what(INSERT, connections), &load);
    }
    let count = Asked::Http(Statement::count().pipeline(NAME));
    let answer = Line::http(address).await?.ask(&count).await?;
    let there = ask::number(&answer).context("the server counted nothing")?;
    ensure!(there == rows, "{there} rows are there where {rows} were acknowledged");
    server.stop()
}

/// How inserts compare with reads.
pub(super) fn targets(results: &Results) -> Option<Vec<Target>> {
    let rate = |name, connections| results.median(&what(name, connections), ROWHOUSE);
    let share = rate(INSERT, 64)? / rate("SELECT 1", 64)?;
    let name = format!("{}, to SELECT 1", what(INSERT, 64));
    Some(vec![Target::at_least(name, "times", 0.5, share)])
}
