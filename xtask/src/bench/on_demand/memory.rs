//! What thousands of open databases cost while nobody asks.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::bench::peer::Peer;
use crate::bench::report::{ROWHOUSE, Results};
use crate::bench::target::Target;
use crate::bench::{fixture, opening};

/// Databases open at once.
const OPEN: usize = 5_000;
/// Room for exactly those.
const MAX_CONNECTIONS: u32 = 5_000;
/// How long the server is left alone with them.
const IDLE: Duration = Duration::from_secs(10);

const MEMORY: &str = "memory per open database (PSS)";
const DESCRIPTORS: &str = "file descriptors per open database";
const THREADS: &str = "threads with 5,000 open";
const THREADS_ONE: &str = "threads with one open";
const IDLE_CPU: &str = "idle with 5,000 open, server CPU";

/// Opens them all and leaves the server alone.
pub(super) async fn run(results: &mut Results) -> Result<()> {
    let folder = fixture::folder()?;
    let names = fixture::names("open", OPEN);
    fixture::prepare_many(folder.path(), &names, 16 << 10)?;
    let mut server = Peer::rowhouse(folder.path(), MAX_CONNECTIONS)?;
    server.ready().await?;
    let cost = opening::cost(&server, &names, IDLE).await?;
    let mut column = results.of(ROWHOUSE);
    column.add(MEMORY, "KiB", cost.memory);
    column.add("memory with one open (PSS)", "KiB", cost.memory_with_one);
    column.add(DESCRIPTORS, "", cost.descriptors);
    let [one, all] = cost.threads;
    column.add(THREADS_ONE, "", one as f64);
    column.add(THREADS, "", all as f64);
    column.add(IDLE_CPU, "% of a core", cost.idle);
    column.add("opening 5,000, one after the other", "s", cost.took.as_secs_f64());
    let start = Instant::now();
    server.stop()?;
    column.add("stopping with 5,000 open", "s", start.elapsed().as_secs_f64());
    Ok(())
}

/// The cost of each.
pub(super) fn targets(results: &Results) -> Option<Vec<Target>> {
    let of = |name| results.median(name, ROWHOUSE);
    let threads = (of(THREADS)? - of(THREADS_ONE)?) / OPEN as f64;
    Some(vec![
        Target::at_most(MEMORY, "KiB", 200.0, of(MEMORY)?),
        Target::at_most(DESCRIPTORS, "", 3.0, of(DESCRIPTORS)?),
        // Threads are shared, and as many as have work: a few more or less say nothing.
        Target::at_most("threads per open database", "", 0.01, threads),
        Target::at_most(IDLE_CPU, "% of a core", 0.5, of(IDLE_CPU)?),
    ])
}
