//! Every interleaving of a few threads, up to a bound of preemptions.
//!
//! loom itself fails a test in which a wake-up is lost (a deadlock) or a handle leaks.

use super::*;
use loom::future::block_on;
use loom::sync::Arc as LoomArc;
use loom::sync::atomic::{AtomicU32, Ordering::SeqCst};
use loom::thread;

const PREEMPTIONS: usize = 3;

fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(PREEMPTIONS));
    builder.check(model);
}

/// What is taken away has ended at once.
fn allotment(limit: u32) -> Allotment<u32> {
    Allotment::new(NonZeroU32::new(limit).unwrap(), Duration::ZERO, |_thing, unit| drop(unit))
}

/// Asks, finds at most one inside, and gives back.
fn visit(party: &Party<u32>, inside: &AtomicU32, now: Instant) {
    let granted = match party.ask(now) {
        Asked::Granted(granted) => granted,
        Asked::Wait(waiting) => block_on(waiting),
    };
    let (thing, unit) = match granted {
        Granted::Thing(lent) => (lent.thing, lent.unit),
        Granted::Room(unit) => (0, unit),
    };
    assert!(inside.fetch_add(1, SeqCst) < 1, "more inside than the limit");
    inside.fetch_sub(1, SeqCst);
    party.give_back(thing, unit, now);
}

#[test]
fn parties_that_take_turns_lose_no_waiter() {
    let now = Instant::now();
    explore(move || {
        let allotment = allotment(1);
        let inside = LoomArc::new(AtomicU32::new(0));
        let other = {
            let (party, inside) = (allotment.join(), inside.clone());
            thread::spawn(move || visit(&party, &inside, now))
        };
        let party = allotment.join();
        visit(&party, &inside, now);
        other.join().unwrap();
        drop(party);
        assert_eq!(allotment.status().held, 0);
    });
}

#[test]
fn a_cancel_races_the_end_that_grants_it() {
    let now = Instant::now();
    explore(move || {
        let allotment = allotment(1);
        let party = allotment.join();
        let Asked::Granted(Granted::Room(unit)) = party.ask(now) else { panic!() };
        let Asked::Wait(leaver) = party.ask(now) else { panic!() };
        let other = allotment.join();
        let Asked::Wait(waiting) = other.ask(now) else { panic!() };
        let waiter = thread::spawn(move || {
            drop(block_on(waiting));
            drop(other);
        });
        let leave = thread::spawn(move || drop(leaver));
        drop(unit);
        leave.join().unwrap();
        waiter.join().unwrap();
        assert_eq!(allotment.status().held, 0);
    });
}

#[test]
fn a_keeping_races_an_asking() {
    let now = Instant::now();
    explore(move || {
        let allotment = allotment(1);
        let party = allotment.join();
        let Asked::Granted(Granted::Room(unit)) = party.ask(now) else { panic!() };
        let other = allotment.join();
        let asker = thread::spawn(move || {
            let granted = match other.ask(now) {
                Asked::Granted(granted) => granted,
                Asked::Wait(waiting) => block_on(waiting),
            };
            assert!(matches!(granted, Granted::Room(_)));
        });
        party.give_back(7, unit, now);
        asker.join().unwrap();
        assert_eq!(allotment.status().held, 0);
    });
}
