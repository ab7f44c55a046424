//! The limiter under real threads: whatever they do at once, its counts stay exact.
#![cfg(not(loom))]

use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Waker};

use rowhouse_sync::{Limiter, Refused};
use tokio::task::{JoinSet, yield_now};

const TASKS: u32 = 32;
const ROUNDS: u32 = 1_000;

fn limit(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).expect("test limits are positive")
}

/// How many are inside now, and the most that ever were.
#[derive(Default)]
struct Room {
    inside: AtomicU32,
    most: AtomicU32,
}

impl Room {
    async fn visit(&self) {
        let inside = self.inside.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(inside, SeqCst);
        yield_now().await;
        self.inside.fetch_sub(1, SeqCst);
    }
}

/// Starts tasks that each visit the room `ROUNDS` times, every third time after leaving the queue once.
fn visitors(limiter: &Limiter, room: &Arc<Room>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (limiter, room) = (limiter.clone(), room.clone());
        tasks.spawn(async move {
            for round in 0..ROUNDS {
                if (task + round) % 3 == 0 {
                    queue_and_leave(&limiter).await;
                }
                let permit = limiter.acquire().await.expect("room to wait");
                room.visit().await;
                drop(permit);
            }
        });
    }
    tasks
}

/// Arrives, lets others run, so that a grant may fall in between, and leaves.
async fn queue_and_leave(limiter: &Limiter) {
    let mut acquire = pin!(limiter.acquire());
    let pending = acquire.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
    if pending {
        yield_now().await;
    }
}

async fn join(mut tasks: JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no task panics");
    }
}

fn assert_idle(limiter: &Limiter) {
    let status = limiter.status();
    assert_eq!((status.held, status.waiting), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn never_more_inside_than_the_limit_and_none_forgotten() {
    let (limiter, room) = (Limiter::new(limit(3), TASKS), Arc::new(Room::default()));
    join(visitors(&limiter, &room)).await;
    assert!(room.most.load(SeqCst) <= 3);
    assert_idle(&limiter);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn resizes_meanwhile_neither_lose_nor_add_permits() {
    const HIGHEST: u32 = 9;
    let (limiter, room) = (Limiter::new(limit(5), TASKS), Arc::new(Room::default()));
    let mut tasks = visitors(&limiter, &room);
    let resizer = limiter.clone();
    tasks.spawn(async move {
        for round in 0..ROUNDS * 10 {
            let to = limit(round * 7 % HIGHEST + 1);
            let resized = resizer.resize(to);
            assert!(resized.excess <= HIGHEST - to.get());
            yield_now().await;
        }
        resizer.resize(limit(2));
    });
    join(tasks).await;
    assert!(room.most.load(SeqCst) <= HIGHEST);
    assert_idle(&limiter);

    let after = Arc::new(Room::default());
    join(visitors(&limiter, &after)).await;
    assert!(after.most.load(SeqCst) <= 2, "the last limit is in force");
    assert_idle(&limiter);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_close_meanwhile_ends_every_wait() {
    for _ in 0..ROUNDS {
        let limiter = Limiter::new(limit(2), TASKS);
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS / 4 {
            let limiter = limiter.clone();
            tasks.spawn(async move {
                loop {
                    match limiter.acquire().await {
                        Ok(permit) => drop(permit),
                        Err(refused) => return assert_eq!(refused, Refused::Closed),
                    }
                    yield_now().await;
                }
            });
        }
        yield_now().await;
        limiter.close();
        join(tasks).await;
        assert_idle(&limiter);
    }
}

#[test]
fn of_concurrent_increases_and_decreases_none_is_lost() {
    const THREADS: u32 = 64;
    let limiter = Limiter::new(limit(1_000), 0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let limiter = limiter.clone();
            scope.spawn(move || {
                for _ in 0..100 {
                    let by = if thread % 4 == 0 { -1 } else { 1 };
                    let permit = limiter.try_acquire();
                    let adjusted = limiter.adjust(|status| {
                        let to = NonZeroU32::new(status.limit.get().saturating_add_signed(by));
                        to.filter(|to| status.held <= to.get()).ok_or(())
                    });
                    assert!(adjusted.is_ok(), "far from what is out");
                    let status = limiter.status();
                    assert!(status.held <= status.limit.get());
                    drop(permit);
                }
            });
        }
    });
    assert_eq!(limiter.status().limit, limit(1_000 + 100 * (THREADS / 4 * 3 - THREADS / 4)));
    assert_idle(&limiter);
}
