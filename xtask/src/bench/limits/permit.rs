//! A permit: taken and given back, in process, alone and by many threads at once.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rowhouse_sync::Limiter;
use tokio::sync::Semaphore;

use crate::bench::report::{ROWHOUSE, Results, SEMAPHORE};
use crate::bench::target::Target;

/// Permits taken and given back by each thread.
const TIMES: u32 = 1_000_000;
/// Threads at once.
const THREADS: u32 = 8;
/// A limit that is never reached.
const LIMIT: NonZeroU32 = NonZeroU32::new(1000).expect("positive");

const ALONE: &str = "acquire and release, 1 thread";
const TOGETHER: &str = "acquire and release, 8 threads";

/// Measures the limiter and the semaphore that most programs use.
pub(super) fn run(results: &mut Results) -> Result<()> {
    let limiter = Limiter::new(LIMIT, 0);
    let semaphore = Arc::new(Semaphore::new(LIMIT.get() as usize));
    let ours = || drop(black_box(limiter.try_acquire()).expect("the limit is not reached"));
    let theirs = || drop(black_box(semaphore.clone().try_acquire_owned()).expect("the limit is not reached"));
    for (what, threads) in [(ALONE, 1), (TOGETHER, THREADS)] {
        results.of(ROWHOUSE).add(what, "ns", each(threads, ours)?);
        results.of(SEMAPHORE).add(what, "ns", each(threads, theirs)?);
    }
    Ok(())
}

/// Returns the nanoseconds that one step takes when so many threads do nothing else: of the machine's time,
/// not of one thread's, which may not run at all.
fn each(threads: u32, step: impl Fn() + Sync) -> Result<f64> {
    let start = Barrier::new(threads as usize);
    let took = std::thread::scope(|scope| {
        let run = || {
            start.wait();
            let began = Instant::now();
            (0..TIMES).for_each(|_| step());
            (began, Instant::now())
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let ran: Vec<_> = running.into_iter().map(|thread| thread.join().ok()).collect::<Option<_>>()?;
        let began = ran.iter().map(|(began, _)| *began).min()?;
        ran.iter().map(|(_, ended)| ended.duration_since(began)).max()
    });
    let took: Duration = took.context("a thread panicked")?;
    Ok(took.as_secs_f64() * 1e9 / f64::from(TIMES * threads))
}

/// A permit alone and among eight threads.
pub(super) fn targets(results: &Results) -> Option<Vec<Target>> {
    let of = |name| results.median(name, ROWHOUSE);
    Some(vec![
        Target::at_most(ALONE, "ns", 150.0, of(ALONE)?),
        Target::at_most(TOGETHER, "ns", 1000.0, of(TOGETHER)?),
    ])
}
