//! Reads over WebSocket with one stream per connection, beside a WebSocket that answers the same bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::ask::Statement;
use super::bare::Bare;
use super::line::{Asked, Line};
use super::load::{self, Questions};
use super::select::what;
use crate::bench::fixture;
use crate::bench::peer::Peer;
use crate::bench::report::{Column, ROWHOUSE, Results, WEBSOCKET};
use crate::bench::target::Target;

/// How many ask at once.
const CONNECTIONS: [usize; 2] = [1, 64];
/// For how long.
const DURATION: Duration = Duration::from_secs(3);
/// The database that is read.
const NAME: &str = "read";
/// Room for the one database.
const MAX_CONNECTIONS: u32 = 20;
const SELECT: &str = "WebSocket, SELECT 1";

/// Measures the server and its floor.
pub(super) async fn run(results: &mut Results) -> Result<()> {
    let folder = fixture::folder()?;
    fixture::prepare(&fixture::file(folder.path(), NAME))?;
    let (mut server, address) = Peer::rowhouse_http(folder.path(), MAX_CONNECTIONS)?;
    server.ready().await?;
    let asked = Asked::Socket(Statement::select_one().message().into());
    let answer = Line::socket(address, NAME).await?.ask(&asked).await?;
    let (bare, floor) = Peer::bare(folder.path(), Bare::Socket.as_str(), &answer).await?;
    let asked: Questions = Arc::new([asked]);
    for connections in CONNECTIONS {
        ask(results.of(ROWHOUSE), (&server, address), &asked, connections).await?;
        ask(results.of(WEBSOCKET), (&bare, floor), &asked, connections).await?;
    }
    bare.kill()?;
    server.stop()
}

/// Lets so many connections ask.
async fn ask(
    mut column: Column<'_>,
    (peer, address): (&Peer, SocketAddr),
    asked: &Questions,
    connections: usize,
) -> Result<()> {
    let mut lines = Vec::new();
    for _ in 0..connections {
        lines.push(Line::socket(address, NAME).await?);
    }
    column.load(&what(SELECT, connections), &load::run(peer, lines, asked.clone(), DURATION).await?);
    Ok(())
}

/// The distance to the floor, at the most connections.
pub(super) fn targets(results: &Results) -> Option<Vec<Target>> {
    let what = what(SELECT, CONNECTIONS[1]);
    let share = results.median(&what, ROWHOUSE)? / results.median(&what, WEBSOCKET)?;
    Some(vec![Target::at_least(format!("{what}, to the bare WebSocket's"), "times", 0.7, share)])
}
