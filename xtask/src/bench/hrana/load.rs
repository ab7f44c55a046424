//! Load: so many connections, each of which waits for its answer before it asks again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use super::line::{Asked, Line};
use crate::bench::load::Load;
use crate::bench::peer::Peer;
use crate::bench::report::Times;

/// What is asked, in turn by all connections together.
pub(super) type Questions = Arc<[Asked]>;

/// Lets the connections ask for so long; the first answer to each, which may open a database, is not measured.
///
/// # Errors
///
/// When a connection gets no answer, or an error.
pub(super) async fn run(peer: &Peer, lines: Vec<Line>, asked: Questions, duration: Duration) -> Result<Load> {
    let turn = Arc::new(AtomicUsize::new(0));
    let (mut ready, clients) = (Vec::new(), lines.len());
    for mut line in lines {
        line.ask(next(&asked, &turn)).await?;
        ready.push(line);
    }
    let cpu = peer.cpu()?;
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for line in ready {
        tasks.spawn(work(line, asked.clone(), turn.clone(), start + duration));
    }
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        times.extend(done.context("a connection panicked")?.context("a connection got no answer")?);
    }
    let (took, cpu, requests) = (start.elapsed(), peer.cpu()? - cpu, times.len());
    Ok(Load { requests, answers: requests + clients, times: Times::new(times), took, cpu })
}

async fn work(
    mut line: Line,
    asked: Questions,
    turn: Arc<AtomicUsize>,
    until: Instant,
) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    let mut now = Instant::now();
    while now < until {
        line.ask(next(&asked, &turn)).await?;
        let answered = Instant::now();
        times.push(answered - now);
        now = answered;
    }
    Ok(times)
}

fn next<'a>(asked: &'a Questions, turn: &AtomicUsize) -> &'a Asked {
    &asked[turn.fetch_add(1, Ordering::Relaxed) % asked.len()]
}
