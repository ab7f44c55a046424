//! `/health` while the data plane has more to do than it can.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::bench::fixture;
use crate::bench::http::Http;
use crate::bench::load::Plan;
use crate::bench::peer::Peer;
use crate::bench::report::{P50, P99, P999, ROWHOUSE, Results, Times};
use crate::bench::target::Target;

/// How many ask at once: far more than the machine has cores.
const CLIENTS: usize = 64;
/// For how long.
const DURATION: Duration = Duration::from_secs(5);
/// How often the server is asked how it is.
const EVERY: Duration = Duration::from_millis(5);
/// Room for the databases.
const MAX_CONNECTIONS: u32 = 20;

const IDLE: &str = "GET /health, server idle";
const SATURATED: &str = "GET /health, 64 clients";

/// Asks the server how it is, first alone and then beside clients that never pause.
pub(super) async fn run(results: &mut Results) -> Result<()> {
    let folder = fixture::folder()?;
    let names = fixture::names("busy", 8);
    fixture::prepare_many(folder.path(), &names, 0)?;
    let mut server = Peer::rowhouse(folder.path(), MAX_CONNECTIONS)?;
    server.ready().await?;
    let address = server.management();
    let idle = asking(address, Duration::from_secs(2), None).await?;
    results.of(ROWHOUSE).times(IDLE, &idle, &[P50, P99, P999]);
    let stop = Arc::new(AtomicBool::new(false));
    let query = "INSERT INTO kept (v) VALUES ('a row such as applications write')";
    let plan = Plan { databases: &names, query, argument: None, clients: CLIENTS, duration: DURATION };
    let loading = async {
        let load = plan.run(&server).await;
        stop.store(true, Ordering::Relaxed);
        load
    };
    let (load, times) = tokio::try_join!(loading, asking(address, DURATION * 10, Some(stop.clone())))?;
    ensure!(load.requests > 0, "the data plane did nothing");
    let mut column = results.of(ROWHOUSE);
    column.times(SATURATED, &times, &[P50, P99, P999]);
    column.add("INSERT beside it, 64 clients", "requests/s", load.rate());
    server.stop()
}

/// The time for one answer, of all that were asked for until then, over one connection each as monitors do.
async fn asking(address: SocketAddr, most: Duration, stop: Option<Arc<AtomicBool>>) -> Result<Times> {
    let ask = move || {
        let (began, mut times) = (Instant::now(), Vec::new());
        while began.elapsed() < most && !stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            let start = Instant::now();
            let body = Http::connect(address)?.get("/health")?;
            times.push(start.elapsed());
            ensure!(body.contains("\"healthy\""), "it answered {body}");
            std::thread::sleep(EVERY);
        }
        Ok(Times::new(times))
    };
    tokio::task::spawn_blocking(ask).await.context("who asked panicked")?
}

/// The answer's time while the data plane is saturated.
pub(super) fn targets(results: &Results) -> Option<Vec<Target>> {
    let p99 = results.median(&format!("{SATURATED}, p99"), ROWHOUSE)? / 1e3;
    Some(vec![Target::at_most("GET /health while 64 clients write, p99", "ms", 20.0, p99)])
}
