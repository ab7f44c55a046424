//! Changing the limit: in process, and over HTTP, where it is durable before it is answered.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rowhouse_sync::Limiter;

use crate::bench::fixture;
use crate::bench::http::Http;
use crate::bench::peer::Peer;
use crate::bench::report::{P50, P99, ROWHOUSE, Results, Times};
use crate::bench::target::Target;

/// Changes in process.
const TIMES: u32 = 200_000;
/// Changes over HTTP.
const REQUESTS: u32 = 500;
/// What the limit is changed to and fro from 10: a step, and very far.
const NEAR: NonZeroU32 = NonZeroU32::new(11).expect("positive");
const FAR: NonZeroU32 = NonZeroU32::new(1_000_000).expect("positive");
const BASE: NonZeroU32 = NonZeroU32::new(10).expect("positive");
/// Room for no database: none is asked for.
const MAX_CONNECTIONS: u32 = 20;

/// Measures small and large changes.
pub(super) async fn run(results: &mut Results) -> Result<()> {
    for to in [NEAR, FAR] {
        let took = in_process(to).as_secs_f64() * 1e9;
        results.of(ROWHOUSE).add(format!("limit 10 to {to}, in process"), "ns", took);
    }
    let folder = fixture::folder()?;
    let mut server = Peer::rowhouse(folder.path(), MAX_CONNECTIONS)?;
    server.ready().await?;
    let address = server.management();
    for to in [NEAR, FAR] {
        let changing = tokio::task::spawn_blocking(move || over_http(address, to));
        let times = changing.await.context("who changed it panicked")??;
        results.of(ROWHOUSE).times(&format!("PUT /limit, 10 to {to}"), &times, &[P50, P99]);
    }
    server.stop()
}

fn in_process(to: NonZeroU32) -> Duration {
    let limiter = Limiter::new(BASE, 0);
    let start = Instant::now();
    for _ in 0..TIMES / 2 {
        limiter.resize(to);
        limiter.resize(BASE);
    }
    start.elapsed() / TIMES
}

/// A new connection for each change, as a command makes.
fn over_http(address: SocketAddr, to: NonZeroU32) -> Result<Times> {
    let mut times = Vec::new();
    for number in 0..REQUESTS {
        let limit = if number % 2 == 0 { to } else { BASE };
        let start = Instant::now();
        let mut http = Http::connect(address)?;
        let answer = http.put("/limit", &format!("{{\"limit\":{limit}}}"))?;
        times.push(start.elapsed());
        ensure!(answer.contains(&format!("\"new_limit\":{limit}")), "it answered {answer}");
    }
    Ok(Times::new(times))
}

/// A change in process and over HTTP, and that its cost does not grow with the limit.
pub(super) fn targets(results: &Results) -> Option<Vec<Target>> {
    let of = |name: &str| results.median(name, ROWHOUSE);
    let [near, far] = [of("limit 10 to 11, in process")?, of("limit 10 to 1000000, in process")?];
    let p99 = of("PUT /limit, 10 to 1000000, p99")?.max(of("PUT /limit, 10 to 11, p99")?);
    Some(vec![
        Target::at_most("a limit change in process", "ms", 1.0, far.max(near) / 1e6),
        Target::at_most("the same, 10 to 1,000,000 against 10 to 11", "times", 1.5, far / near),
        Target::at_most("PUT /limit, recorded on disk, p99", "ms", 5.0, p99 / 1e3),
    ])
}
