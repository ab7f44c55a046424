//! Every interleaving of a few threads, up to a bound of preemptions.
//!
//! loom itself fails a test in which a wake-up is lost (a deadlock) or a handle leaks.

use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering::SeqCst};
use loom::thread::{self, JoinHandle};

use super::{Acquire, Limiter, LimiterStatus, Refused};

/// Enough for every race of two steps with a third in between.
const PREEMPTIONS: usize = 3;

fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    // A deeper search is asked for by LOOM_MAX_PREEMPTIONS.
    builder.preemption_bound = builder.preemption_bound.or(Some(PREEMPTIONS));
    builder.check(model);
}

fn limit(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

/// Polls once with a waker that wakes nobody.
fn poll_once(acquire: &mut Acquire) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    match Pin::new(acquire).poll(&mut cx) {
        Poll::Ready(outcome) => {
            drop(outcome.unwrap());
            true
        }
        Poll::Pending => false,
    }
}

/// A thread that acquires, finds at most `max` inside, and releases.
fn worker(limiter: &Limiter, inside: &Arc<AtomicU32>, max: u32) -> JoinHandle<()> {
    let (limiter, inside) = (limiter.clone(), inside.clone());
    thread::spawn(move || visit(&limiter, &inside, max))
}

fn visit(limiter: &Limiter, inside: &AtomicU32, max: u32) {
    let permit = block_on(limiter.acquire()).unwrap();
    assert!(inside.fetch_add(1, SeqCst) < max, "more inside than the limit");
    inside.fetch_sub(1, SeqCst);
    drop(permit);
}

fn assert_idle(limiter: &Limiter) {
    let status = limiter.status();
    assert_eq!((status.held, status.waiting), (0, 0));
}

#[test]
fn acquires_and_releases_exclude_each_other_and_lose_no_waiter() {
    explore(|| {
        let limiter = Limiter::new(limit(1), 9);
        let inside = Arc::new(AtomicU32::new(0));
        let workers = [worker(&limiter, &inside, 1), worker(&limiter, &inside, 1)];
        visit(&limiter, &inside, 1);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        assert_idle(&limiter);
    });
}

#[test]
fn a_growth_races_acquires_and_releases() {
    explore(|| {
        let limiter = Limiter::new(limit(1), 9);
        let inside = Arc::new(AtomicU32::new(0));
        let workers = [worker(&limiter, &inside, 2), worker(&limiter, &inside, 2)];
        limiter.resize(limit(2));
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        assert_idle(&limiter);
    });
}

#[test]
fn a_shrink_races_acquires_and_releases() {
    explore(|| {
        let limiter = Limiter::new(limit(2), 9);
        let inside = Arc::new(AtomicU32::new(0));
        let workers = [worker(&limiter, &inside, 2), worker(&limiter, &inside, 2)];
        limiter.resize(limit(1));
        visit(&limiter, &inside, 2);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        assert_idle(&limiter);
    });
}

/// A waiter who leaves while he is granted takes no permit with him.
#[test]
fn a_cancel_races_the_release_that_grants_it() {
    explore(|| {
        let limiter = Limiter::new(limit(1), 9);
        let held = limiter.try_acquire().unwrap();
        let mut leaver = limiter.acquire();
        assert!(!poll_once(&mut leaver));
        let waiter = {
            let limiter = limiter.clone();
            thread::spawn(move || drop(block_on(limiter.acquire()).unwrap()))
        };
        let leave = thread::spawn(move || drop(leaver));
        drop(held);
        leave.join().unwrap();
        waiter.join().unwrap();
        assert_idle(&limiter);
    });
}

/// A grant that falls between two polls wakes the waker of the later one or is seen by it.
#[test]
fn a_change_of_waker_races_the_release_that_wakes_it() {
    explore(|| {
        let limiter = Limiter::new(limit(1), 9);
        let held = limiter.try_acquire().unwrap();
        let mut acquire = limiter.acquire();
        assert!(!poll_once(&mut acquire));
        let waiter = thread::spawn(move || drop(block_on(acquire).unwrap()));
        drop(held);
        waiter.join().unwrap();
        assert_idle(&limiter);
    });
}

/// Whoever waits when the limiter closes is either granted or failed, never forgotten.
#[test]
fn a_close_races_acquires_and_releases() {
    explore(|| {
        let limiter = Limiter::new(limit(1), 9);
        let held = limiter.try_acquire().unwrap();
        let waiter = {
            let limiter = limiter.clone();
            thread::spawn(move || match block_on(limiter.acquire()) {
                Ok(permit) => drop(permit),
                Err(refused) => assert_eq!(refused, Refused::Closed),
            })
        };
        let closer = {
            let limiter = limiter.clone();
            thread::spawn(move || limiter.close())
        };
        drop(held);
        closer.join().unwrap();
        waiter.join().unwrap();
        assert!(limiter.try_acquire().is_none());
        assert_idle(&limiter);
    });
}

/// A limit that is never set below what is out is never exceeded, whatever happens in between.
#[test]
fn a_conditional_shrink_races_acquires_and_releases() {
    explore(|| {
        let limiter = Limiter::new(limit(2), 9);
        let held = limiter.try_acquire().unwrap();
        let visitor = {
            let limiter = limiter.clone();
            thread::spawn(move || {
                let permit = limiter.try_acquire();
                let status = limiter.status();
                assert!(status.held <= status.limit.get(), "more out than the limit");
                drop(permit);
            })
        };
        let releaser = thread::spawn(move || drop(held));
        let shrunk = limiter.adjust(|status| if status.held < 2 { Ok(limit(1)) } else { Err(status.held) });
        let status = limiter.status();
        assert_eq!(status.limit, if shrunk.is_ok() { limit(1) } else { limit(2) });
        assert!(status.held <= status.limit.get(), "more out than the limit");
        visitor.join().unwrap();
        releaser.join().unwrap();
        assert_idle(&limiter);
    });
}

/// Neither of two increases is lost.
#[test]
fn two_increases_race_each_other_and_a_waiter() {
    explore(|| {
        let limiter = Limiter::new(limit(1), 9);
        let held = limiter.try_acquire().unwrap();
        let waiter = {
            let limiter = limiter.clone();
            thread::spawn(move || drop(block_on(limiter.acquire()).unwrap()))
        };
        let more = |status: &LimiterStatus| Ok::<_, ()>(status.limit.saturating_add(1));
        let other = {
            let limiter = limiter.clone();
            thread::spawn(move || {
                limiter.adjust(more).unwrap();
            })
        };
        limiter.adjust(more).unwrap();
        other.join().unwrap();
        waiter.join().unwrap();
        assert_eq!(limiter.status().limit, limit(3));
        drop(held);
        assert_idle(&limiter);
    });
}

/// Three kinds of step on one waiter at once: granted, cancelled, and the limit shrunk below him.
#[test]
fn a_shrink_races_a_cancel_and_a_release() {
    explore(|| {
        let limiter = Limiter::new(limit(2), 9);
        let held = [limiter.try_acquire().unwrap(), limiter.try_acquire().unwrap()];
        let mut leaver = limiter.acquire();
        assert!(!poll_once(&mut leaver));
        let leave = thread::spawn(move || drop(leaver));
        let shrink = {
            let limiter = limiter.clone();
            thread::spawn(move || {
                limiter.resize(limit(1));
            })
        };
        drop(held);
        leave.join().unwrap();
        shrink.join().unwrap();
        assert_idle(&limiter);
        let _only = limiter.try_acquire().unwrap();
        assert!(limiter.try_acquire().is_none(), "the new limit is in force");
    });
}
