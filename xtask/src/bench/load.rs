//! Load: so many clients, each of which waits for its answer before it asks again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use tokio::task::JoinSet;

use super::client::{self, Client};
use super::peer::Peer;
use super::report::Times;

/// What is asked, and for how long.
pub(super) struct Plan<'a> {
    /// The databases, asked in turn by all clients together.
    pub(super) databases: &'a [String],
    pub(super) query: &'a str,
    /// The text bound to the query's parameter, if it has one.
    pub(super) argument: Option<&'a str>,
    pub(super) clients: usize,
    pub(super) duration: Duration,
}

/// What a load did to a peer.
pub(super) struct Load {
    pub(super) times: Times,
    /// Answers within the time that was measured.
    pub(super) requests: usize,
    /// All answers, those to the clients' first requests too.
    pub(super) answers: usize,
    pub(super) took: Duration,
    /// The peer's processor time.
    pub(super) cpu: Duration,
}

/// One client at work.
struct Worker {
    client: Client,
    /// A request for each database.
    requests: Vec<Bytes>,
    turn: Arc<AtomicUsize>,
    checks: bool,
}

// === impl Plan ===

impl Plan<'_> {
    /// Lets the clients ask; the first answer to each, which may open a database, is not measured.
    ///
    /// # Errors
    ///
    /// When a client gets no answer, or an error at its first or last request.
    pub(super) async fn run(&self, peer: &Peer) -> Result<Load> {
        ensure!(!self.databases.is_empty(), "a load needs a database");
        let turn = Arc::new(AtomicUsize::new(0));
        let mut workers = Vec::new();
        for number in 0..self.clients {
            let id = format!("load-{number}");
            let request = |name: &String| client::request(&id, name, self.query, self.argument);
            let requests = self.databases.iter().map(request).collect::<Result<_>>()?;
            let client = peer.connect().await?;
            let worker = Worker { client, requests, turn: turn.clone(), checks: !peer.echoes() };
            worker.check(&worker.ask().await?)?;
            workers.push(worker);
        }
        let cpu = peer.cpu()?;
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for worker in workers {
            tasks.spawn(worker.work(start + self.duration));
        }
        let mut times = Vec::new();
        while let Some(done) = tasks.join_next().await {
            times.extend(done.context("a client panicked")?.context("a client got no answer")?);
        }
        let (took, cpu) = (start.elapsed(), peer.cpu()? - cpu);
        let requests = times.len();
        Ok(Load { requests, answers: requests + self.clients, times: Times::new(times), took, cpu })
    }
}

// === impl Worker ===

impl Worker {
    async fn work(self, until: Instant) -> Result<Vec<Duration>> {
        let mut times = Vec::new();
        let mut now = Instant::now();
        let mut last = None;
        while now < until {
            last = Some(self.ask().await?);
            let answered = Instant::now();
            times.push(answered - now);
            now = answered;
        }
        last.map_or(Ok(()), |answer| self.check(&answer))?;
        Ok(times)
    }

    /// Asks the database whose turn it is.
    async fn ask(&self) -> Result<Bytes> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.requests.len();
        self.client.exchange(self.requests[turn].clone()).await
    }

    fn check(&self, answer: &[u8]) -> Result<()> {
        if self.checks { client::rows(answer).map(drop) } else { Ok(()) }
    }
}

// === impl Load ===

impl Load {
    /// Returns the requests answered in a second.
    pub(super) fn rate(&self) -> f64 {
        self.requests as f64 / self.took.as_secs_f64()
    }

    /// Returns the peer's processor time for one request, in µs.
    pub(super) fn cpu_per_request(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.requests as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_costs_are_per_request() {
        let (took, cpu) = (Duration::from_secs(2), Duration::from_millis(1));
        let load = Load { times: Times::new(Vec::new()), requests: 100, answers: 101, took, cpu };

        assert_eq!(load.rate().round(), 50.0);
        assert_eq!(load.cpu_per_request().round(), 10.0);
    }
}
