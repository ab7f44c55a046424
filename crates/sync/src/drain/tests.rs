//! What a caller may rely on, one behaviour each.

use tokio_test::{assert_pending, assert_ready, task};

use super::{Drain, Guard};

fn guard(drain: &Drain) -> Guard {
    drain.try_guard().expect("not draining")
}

#[test]
fn no_guard_is_given_once_the_drain_has_begun() {
    let drain = Drain::new();
    let _guard = guard(&drain);
    drain.clone().begin();
    assert!(drain.is_draining());
    assert!(drain.try_guard().is_none());
}

#[test]
fn the_beginning_is_told_to_all_who_listen() {
    let drain = Drain::new();
    let mut early = task::spawn(drain.draining());
    let token = drain.signal();
    assert_pending!(early.poll());
    assert!(!token.is_cancelled());

    drain.begin();
    assert!(early.is_woken());
    assert_ready!(early.poll());
    assert!(token.is_cancelled());
    assert_ready!(task::spawn(drain.draining()).poll());
    assert!(drain.signal().is_cancelled());
}

#[test]
fn cancelling_a_signal_begins_no_drain() {
    let drain = Drain::new();
    drain.signal().cancel();
    assert!(!drain.is_draining());
    assert!(drain.try_guard().is_some());
}

#[test]
fn drained_waits_for_the_last_guard() {
    let drain = Drain::new();
    let (first, second) = (guard(&drain), guard(&drain));
    drain.begin();
    let mut drained = task::spawn(drain.drained());
    assert_pending!(drained.poll());
    drop(first);
    assert_pending!(drained.poll());
    drop(second);
    assert!(drained.is_woken());
    assert_ready!(drained.poll());
}

#[test]
fn drained_waits_for_the_beginning_though_nothing_is_in_flight() {
    let drain = Drain::new();
    let mut drained = task::spawn(drain.drained());
    assert_pending!(drained.poll());
    drop(guard(&drain));
    assert_pending!(drained.poll());
    drain.begin();
    assert!(drained.is_woken());
    assert_ready!(drained.poll());
}

#[test]
fn a_refused_guard_delays_no_end() {
    let drain = Drain::new();
    drain.begin();
    assert!(drain.try_guard().is_none());
    assert_ready!(task::spawn(drain.drained()).poll());
}

#[test]
fn beginning_again_changes_nothing() {
    let drain = Drain::new();
    let guard = guard(&drain);
    drain.begin();
    drain.begin();
    drop(guard);
    assert_ready!(task::spawn(drain.drained()).poll());
}
