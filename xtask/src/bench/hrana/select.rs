//! Reads over `/v2/pipeline`, beside a handler that parses the same request and answers the same bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::ask::Statement;
use super::bare::Bare;
use super::line::{Asked, Line};
use super::load::{self, Questions};
use crate::bench::fixture;
use crate::bench::peer::Peer;
use crate::bench::report::{AXUM, Column, ROWHOUSE, Results};
use crate::bench::target::Target;

/// How many ask at once.
const CONNECTIONS: [usize; 2] = [1, 64];
/// For how long.
const DURATION: Duration = Duration::from_secs(3);
/// The database that is read.
const NAME: &str = "read";
/// Room for the one database.
const MAX_CONNECTIONS: u32 = 20;

/// Measures the server and its floor.
pub(super) async fn run(results: &mut Results) -> Result<()> {
    let folder = fixture::folder()?;
    fixture::prepare(&fixture::file(folder.path(), NAME))?;
    let (mut server, address) = Peer::rowhouse_http(folder.path(), MAX_CONNECTIONS)?;
    server.ready().await?;
    for (statement, name) in statements() {
        let asked = Asked::Http(statement.pipeline(NAME));
        let answer = Line::http(address).await?.ask(&asked).await?;
        let (bare, floor) = Peer::bare(folder.path(), Bare::Http.as_str(), &answer).await?;
        let asked: Questions = Arc::new([asked]);
        for connections in CONNECTIONS {
            let what = what(name, connections);
            ask(results.of(ROWHOUSE), &server, address, (&asked, connections), &what).await?;
            ask(results.of(AXUM), &bare, floor, (&asked, connections), &what).await?;
        }
        bare.kill()?;
    }
    results.of(ROWHOUSE).add("memory (PSS)", "KiB", server.memory()? as f64);
    server.stop()
}

/// Lets so many connections ask.
async fn ask(
    mut column: Column<'_>,
    peer: &Peer,
    address: SocketAddr,
    (asked, connections): (&Questions, usize),
    what: &str,
) -> Result<()> {
    let lines = connect(address, connections).await?;
    column.load(what, &load::run(peer, lines, asked.clone(), DURATION).await?);
    Ok(())
}

/// So many connections over HTTP.
pub(super) async fn connect(address: SocketAddr, connections: usize) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for _ in 0..connections {
        lines.push(Line::http(address).await?);
    }
    Ok(lines)
}

fn statements() -> [(Statement, &'static str); 2] {
    [(Statement::select_one(), "SELECT 1"), (Statement::look_up(), "look-up by primary key")]
}

pub(super) fn what(name: &str, connections: usize) -> String {
    let s = if connections == 1 { "" } else { "s" };
    format!("{name}, {connections} connection{s}")
}

/// The distance to the floor, at the most connections.
pub(super) fn targets(results: &Results) -> Option<Vec<Target>> {
    let mut targets = Vec::new();
    for (_, name) in statements() {
        let what = what(name, CONNECTIONS[1]);
        let to = |name: &str| Some(results.median(name, ROWHOUSE)? / results.median(name, AXUM)?);
        let cpu = to(&format!("{what}, server CPU"))?;
        targets.push(Target::at_least(format!("{what}, to the bare handler's"), "times", 0.7, to(&what)?));
        targets.push(Target::at_most(format!("{what}, CPU to the bare handler's"), "times", 1.4, cpu));
    }
    Some(targets)
}
