//! A new client while thousands have connected and say nothing.

use std::net::TcpStream;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::bench::fixture;
use crate::bench::peer::Peer;
use crate::bench::report::{P50, P99, ROWHOUSE, Results, Times};
use crate::bench::target::Target;

/// Connections whose clients say nothing.
const HALF_OPEN: usize = 5_000;
/// New clients, one after the other.
const NEWCOMERS: usize = 50;
/// Room for the database.
const MAX_CONNECTIONS: u32 = 20;

const ALONE: &str = "a new client's first answer";
const BESIDE: &str = "a new client's first answer, 5,000 half-open";

/// Connects new clients before the crowd is there and while it is.
pub(super) async fn run(results: &mut Results) -> Result<()> {
    let folder = fixture::folder()?;
    fixture::prepare(&fixture::file(folder.path(), "one"))?;
    let mut server = Peer::rowhouse(folder.path(), MAX_CONNECTIONS)?;
    server.ready().await?;
    let alone = newcomers(&server).await?;
    let crowd: Vec<TcpStream> = (0..HALF_OPEN)
        .map(|_| TcpStream::connect(server.socket()))
        .collect::<Result<_, _>>()
        .context("a crowd")?;
    let beside = newcomers(&server).await?;
    drop(crowd);
    let mut column = results.of(ROWHOUSE);
    column.times(ALONE, &alone, &[P50, P99]);
    column.times(BESIDE, &beside, &[P50, P99]);
    server.stop()
}

async fn newcomers(server: &Peer) -> Result<Times> {
    let mut times = Vec::new();
    for _ in 0..NEWCOMERS {
        let start = Instant::now();
        server.connect().await?.query("one", "SELECT 1").await?;
        times.push(start.elapsed());
    }
    Ok(Times::new(times))
}

/// The slowest of the newcomers.
pub(super) fn targets(results: &Results) -> Option<Vec<Target>> {
    let p99 = results.median(&format!("{BESIDE}, p99"), ROWHOUSE)? / 1e3;
    Some(vec![Target::at_most(format!("{BESIDE}, p99"), "ms", 100.0, p99)])
}
