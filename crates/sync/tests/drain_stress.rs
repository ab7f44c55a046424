//! The drain under real threads: nothing is in flight once it says so.
#![cfg(not(loom))]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;

use rowhouse_sync::Drain;

const WORKERS: usize = 4;
const ROUNDS: usize = 100;

#[test]
fn no_work_is_in_flight_or_begins_once_drained() {
    for _ in 0..ROUNDS {
        let drain = Drain::new();
        let in_flight = Arc::new(AtomicU32::new(0));
        let drained = Arc::new(AtomicBool::new(false));
        let start = Arc::new(Barrier::new(WORKERS + 1));
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| {
                let (drain, in_flight) = (drain.clone(), in_flight.clone());
                let (drained, start) = (drained.clone(), start.clone());
                thread::spawn(move || {
                    start.wait();
                    while let Some(guard) = drain.try_guard() {
                        in_flight.fetch_add(1, SeqCst);
                        assert!(!drained.load(SeqCst), "work in flight after the end");
                        in_flight.fetch_sub(1, SeqCst);
                        drop(guard);
                    }
                })
            })
            .collect();
        start.wait();
        thread::yield_now();
        drain.begin();
        tokio_test::block_on(drain.drained());
        drained.store(true, SeqCst);
        assert_eq!(in_flight.load(SeqCst), 0);
        for worker in workers {
            worker.join().expect("no worker panics");
        }
    }
}
