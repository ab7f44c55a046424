//! First answers of databases that are not open: of three sizes, closed cleanly, and left behind by a
//! server that was killed while it wrote to them.
//!
//! Every life of a server opens all of them once. The lives on the databases left behind end by a kill
//! too, and nothing is written, so that each finds the same logs; SQLite in process opens the same files
//! between the lives.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rusqlite::config::DbConfig;
use tempfile::TempDir;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::bench::client::Client;
use crate::bench::fixture::{self, READ_ROW};
use crate::bench::opening;
use crate::bench::peer::Peer;
use crate::bench::report::{P50, P99, ROWHOUSE, RUSQLITE, Results, Times};
use crate::bench::target::Target;

/// What the sizes are called, and their bytes.
const SIZES: [(&str, u64); 3] = [("16 KiB", 16 << 10), ("10 MiB", 10 << 20), ("200 MiB", 200 << 20)];
/// Databases of each size.
const COPIES: usize = 5;
/// Lives of a server per round and state: so many times as many first answers of each size.
const LIVES: usize = 20;
/// Room for all of them.
const MAX_CONNECTIONS: u32 = 100;
/// A database to open first, so that the server's code and threads are warm.
const WARM_UP: &str = "warm-up";
/// What may still be called independent of size, and of a kill: a log of bounded length is read through.
const BY_SIZE: f64 = 1.5;
const BY_KILL: f64 = 2.0;

/// Writes some pages.
const WRITE_MUCH: &str = "INSERT INTO filler (v) VALUES (randomblob(60000))";
/// How often: some 200 pages, most of the 256 after which the server begins to empty a log.
const WRITES: usize = 12;
/// The log that these must at least leave behind.
const LOG: u64 = 512 << 10;
/// How long all databases are written to after that, before the server is killed.
const WRITING: Duration = Duration::from_millis(20);
/// Writes a page or two.
const WRITE_LITTLE: &str = "INSERT INTO kept (v) VALUES ('written when the server was killed')";

/// How the databases were left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum State {
    Closed,
    Killed,
}

/// The times of one state, size and subject.
type Key = (State, &'static str, &'static str);
/// The times of all of them.
type Measured = HashMap<Key, Vec<Duration>>;

/// The databases, in the one state and in the other.
pub(super) struct Fixture {
    closed: TempDir,
    killed: TempDir,
}

/// Measures the first answers of every size and state.
pub(super) async fn run(results: &mut Results, fixture: &Fixture) -> Result<()> {
    let states = [(State::Closed, &fixture.closed), (State::Killed, &fixture.killed)];
    let mut times = Measured::new();
    for _ in 0..LIVES {
        for (state, folder) in states {
            life(&mut times, state, folder.path()).await?;
            in_process(&mut times, state, folder.path())?;
        }
    }
    for (state, _) in states {
        for (size, _) in SIZES {
            for subject in [ROWHOUSE, RUSQLITE] {
                let all = Times::new(times.remove(&(state, size, subject)).unwrap_or_default());
                results.of(subject).times(&what(size, state), &all, &[P50, P99]);
            }
        }
    }
    let log = log_size(fixture.killed.path())? as f64 / f64::from(1 << 20);
    results.of(ROWHOUSE).add("log left by the kill", "MiB", log);
    Ok(())
}

/// The time of a first answer, and that neither size nor a kill makes it much longer.
pub(super) fn targets(results: &Results) -> Option<Vec<Target>> {
    let of = |percentile, state| -> Option<Vec<f64>> {
        let names = SIZES.iter().map(|(size, _)| format!("{}, {percentile}", what(size, state)));
        names.map(|name| results.median(&name, ROWHOUSE)).collect()
    };
    let (closed, killed) = (of("p50", State::Closed)?, of("p50", State::Killed)?);
    let tail = [of("p99", State::Closed)?, of("p99", State::Killed)?].concat();
    let large = closed[2].max(killed[2]) / 1e3;
    let by_size = (closed[2] / closed[0]).max(killed[2] / killed[0]);
    let by_kill = killed.iter().zip(&closed).map(|(killed, closed)| killed / closed);
    Some(vec![
        Target::at_most("cold open of 200 MiB, p50, killed before or not", "ms", 1.0, large),
        Target::at_most("cold open of any size, p99, killed before or not", "ms", 10.0, worst(tail) / 1e3),
        Target::at_most("cold open, p50, of 200 MiB to that of 16 KiB", "times", BY_SIZE, by_size),
        Target::at_most(
            "cold open, p50, after a kill to that after closing",
            "times",
            BY_KILL,
            worst(by_kill),
        ),
    ])
}

fn worst(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(f64::NAN, f64::max)
}

fn what(size: &str, state: State) -> String {
    match state {
        State::Closed => format!("cold open, {size}"),
        State::Killed => format!("cold open after a kill, {size}"),
    }
}

fn names(size: &str) -> Vec<String> {
    fixture::names(&size.replace(' ', "-"), COPIES)
}

/// Lets a server open every database once.
async fn life(times: &mut Measured, state: State, folder: &Path) -> Result<()> {
    let log = if state == State::Killed { log_size(folder)? } else { 0 };
    let mut server = Peer::rowhouse(folder, MAX_CONNECTIONS)?;
    server.ready().await?;
    let client = server.connect().await?;
    client.query(WARM_UP, READ_ROW).await?;
    for (size, _) in SIZES {
        let took = opening::served(&client, &names(size), READ_ROW).await?;
        times.entry((state, size, ROWHOUSE)).or_default().extend(took);
    }
    if state == State::Closed {
        return server.stop();
    }
    server.kill()?;
    ensure!(log == log_size(folder)?, "the server emptied a log that was left to it by reading only");
    Ok(())
}

/// Opens every database once in process.
fn in_process(times: &mut Measured, state: State, folder: &Path) -> Result<()> {
    for (size, _) in SIZES {
        let (took, connections) = opening::in_process(folder, &names(size), READ_ROW)?;
        times.entry((state, size, RUSQLITE)).or_default().extend(took);
        for connection in connections {
            // The last connection to close empties the log, unless told not to.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, state == State::Killed)?;
        }
    }
    Ok(())
}

/// Returns the size of the smallest log left behind.
fn log_size(folder: &Path) -> Result<u64> {
    let names = SIZES.iter().flat_map(|(size, _)| names(size));
    let sizes = names.map(|name| {
        let log = fixture::log(folder, &name);
        Ok(fs::metadata(&log).with_context(|| format!("{name} has no log"))?.len())
    });
    sizes.collect::<Result<Vec<_>>>()?.into_iter().min().context("no database was left behind")
}

// === impl Fixture ===

impl Fixture {
    /// Writes the databases, and leaves half of them to a server that is killed while it writes.
    pub(super) async fn make() -> Result<Self> {
        let fixture = Self { closed: fixture::folder()?, killed: fixture::folder()? };
        for folder in [&fixture.closed, &fixture.killed] {
            fixture::prepare(&fixture::file(folder.path(), WARM_UP))?;
            for (size, bytes) in SIZES {
                println!("  writing {COPIES} databases of {size}");
                fixture::prepare_many(folder.path(), &names(size), bytes)?;
            }
        }
        println!("  killing a server that writes to all of them");
        leave(fixture.killed.path()).await?;
        let log = log_size(fixture.killed.path())?;
        ensure!(log >= LOG, "the kill left a log of {log} bytes only");
        Ok(fixture)
    }
}

/// Lets a server write to every database, and kills it meanwhile.
async fn leave(folder: &Path) -> Result<()> {
    let mut server = Peer::rowhouse(folder, MAX_CONNECTIONS)?;
    server.ready().await?;
    let names: Vec<String> = SIZES.iter().flat_map(|(size, _)| names(size)).collect();
    let ready = Arc::new(Barrier::new(names.len() + 1));
    let mut writers = JoinSet::new();
    for name in names {
        let (client, ready) = (server.connect().await?, ready.clone());
        writers.spawn(async move {
            for _ in 0..WRITES {
                client.query(&name, WRITE_MUCH).await?;
            }
            ready.wait().await;
            write_on(&client, &name).await
        });
    }
    tokio::select! {
        _ = ready.wait() => {}
        Some(ended) = writers.join_next() => return ended.context("a writer panicked")?,
    }
    tokio::time::sleep(WRITING).await;
    server.kill()
}

/// Writes until the answer stays out.
async fn write_on(client: &Client, name: &str) -> Result<()> {
    loop {
        client.query(name, WRITE_LITTLE).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_targets_look_at_the_slowest() {
        let mut results = Results::new("test");
        for (number, (size, _)) in SIZES.into_iter().enumerate() {
            for (state, slower) in [(State::Closed, 0.0), (State::Killed, 300.0)] {
                let time = 800.0 + 100.0 * number as f64 + slower;
                for percentile in ["p50", "p99"] {
                    let name = format!("{}, {percentile}", what(size, state));
                    results.of(ROWHOUSE).add(&*name, "µs", time);
                }
            }
        }

        let lines: Vec<String> = targets(&results).unwrap().iter().map(Target::to_string).collect();

        assert!(lines[0].starts_with("**missed**") && lines[0].contains(" 1.30 ms"), "{lines:?}");
        assert!(lines[1].starts_with("**met**") && lines[1].contains(" 1.30 ms"), "{lines:?}");
        assert!(lines[2].contains(" 1.25 times"), "{lines:?}");
        assert!(lines[3].contains(" 1.38 times"), "{lines:?}");
    }
}
