//! What monitors read of a server that knows very many databases.

use std::fs::File;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::bench::fixture;
use crate::bench::http::Http;
use crate::bench::peer::Peer;
use crate::bench::report::{P50, P99, ROWHOUSE, Results, Times};
use crate::bench::target::Target;

/// Databases that are known and not open.
const KNOWN: usize = 100_000;
/// Databases that are open.
const OPEN: usize = 1_000;
/// How often the metrics are read.
const READS: usize = 50;

const SIZE: &str = "GET /metrics, 100,000 known and 1,000 open";
const TIME: &str = "GET /metrics";

/// Lets a server know many databases and reads its metrics.
pub(super) async fn run(results: &mut Results) -> Result<()> {
    let folder = fixture::folder()?;
    // Known by their names: what is in them is looked at when they are opened.
    for name in fixture::names("known", KNOWN) {
        File::create(fixture::file(folder.path(), &name)).context("cannot write a database")?;
    }
    let names = fixture::names("open", OPEN);
    fixture::prepare_many(folder.path(), &names, 0)?;
    let mut server = Peer::rowhouse(folder.path(), u32::try_from(OPEN)?)?;
    server.ready().await?;
    let client = server.connect().await?;
    for name in &names {
        client.query(name, "SELECT 1").await?;
    }
    let address = server.management();
    let read = move || {
        let (mut times, mut bytes) = (Vec::new(), 0);
        for _ in 0..READS {
            let start = Instant::now();
            let body = Http::connect(address)?.get("/metrics")?;
            times.push(start.elapsed());
            ensure!(body.contains("rowhouse_connections_active"), "the metrics lack the connections");
            bytes = body.len();
        }
        Ok((Times::new(times), bytes))
    };
    let (times, bytes) = tokio::task::spawn_blocking(read).await.context("who read panicked")??;
    let mut column = results.of(ROWHOUSE);
    column.add(SIZE, "KiB", bytes as f64 / 1024.0);
    column.times(TIME, &times, &[P50, P99]);
    server.stop()
}

/// The size of the text.
pub(super) fn targets(results: &Results) -> Option<Vec<Target>> {
    Some(vec![Target::at_most(SIZE, "KiB", 1000.0, results.median(SIZE, ROWHOUSE)?)])
}
