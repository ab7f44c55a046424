//! One database while another runs slow queries.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;

use crate::bench::client::Client;
use crate::bench::fixture;
use crate::bench::load::{Load, Plan};
use crate::bench::peer::Peer;
use crate::bench::report::{P50, P99, P999, ROWHOUSE, Results};
use crate::bench::target::Target;

/// Slow queries at a time: none, one, and as many as one database may run.
const SLOW: [usize; 3] = [0, 1, 8];
/// Runs for seconds, on a processor and without touching the disk.
const SLOW_QUERY: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000000) SELECT count(*) FROM n";
/// How long the slow queries run before anything is measured.
const HEAD_START: Duration = Duration::from_millis(200);
/// How long the other database is asked.
const DURATION: Duration = Duration::from_secs(3);
/// Room for both.
const MAX_CONNECTIONS: u32 = 20;

/// Measures the quiet database alone and beside the busy one.
pub(super) async fn run(results: &mut Results) -> Result<()> {
    let folder = fixture::folder()?;
    for name in ["busy", "quiet"] {
        fixture::prepare(&fixture::file(folder.path(), name))?;
    }
    let mut server = Peer::rowhouse(folder.path(), MAX_CONNECTIONS)?;
    server.ready().await?;
    for slow in SLOW {
        let load = beside(&server, slow).await?;
        results.of(ROWHOUSE).times(&what(slow), &load.times, &[P50, P99, P999]);
    }
    server.stop()
}

/// How long the quiet database takes at worst.
pub(super) fn targets(results: &Results) -> Option<Vec<Target>> {
    let p99 = results.median(&format!("{}, p99", what(1)), ROWHOUSE)? / 1e3;
    let name = "SELECT 1 beside a slow query on another database, p99";
    Some(vec![
        Target::at_most(name, "ms", 20.0, p99),
        Target::at_most(format!("{name}, then"), "ms", 5.0, p99),
    ])
}

fn what(slow: usize) -> String {
    match slow {
        0 => "SELECT 1, other databases idle".to_owned(),
        1 => "SELECT 1, 1 slow query on another database".to_owned(),
        slow => format!("SELECT 1, {slow} slow queries on another database"),
    }
}

/// Asks the quiet database while so many slow queries run on the busy one.
async fn beside(server: &Peer, slow: usize) -> Result<Load> {
    let mut tasks = JoinSet::new();
    for _ in 0..slow {
        tasks.spawn(keep_busy(server.connect().await?));
    }
    tokio::time::sleep(HEAD_START).await;
    let databases = ["quiet".to_owned()];
    let plan =
        Plan { databases: &databases, query: "SELECT 1", argument: None, clients: 1, duration: DURATION };
    let load = plan.run(server).await?;
    match tasks.try_join_next() {
        Some(ended) => ended.context("a slow client panicked")??,
        None => ensure!(tasks.len() == slow, "a slow query ended"),
    }
    // Their clients leave, and the server interrupts what they asked.
    tasks.shutdown().await;
    Ok(load)
}

/// Runs one slow query after the other.
async fn keep_busy(client: Client) -> Result<()> {
    loop {
        client.query("busy", SLOW_QUERY).await?;
    }
}
