//! What a caller may rely on, one behaviour each.

use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use tokio_test::task::{self, Spawn};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok};

use super::{Acquire, Limiter, Permit, Refused};

fn limit(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).expect("test limits are positive")
}

fn take(limiter: &Limiter) -> Permit {
    limiter.try_acquire().expect("a permit is free")
}

/// Takes all that is free.
fn take_all(limiter: &Limiter) -> Vec<Permit> {
    std::iter::from_fn(|| limiter.try_acquire()).collect()
}

/// A caller that has been polled once and waits.
fn waiter(limiter: &Limiter) -> Spawn<Acquire> {
    let mut waiter = task::spawn(limiter.acquire());
    assert_pending!(waiter.poll());
    waiter
}

#[test]
fn a_free_permit_is_granted_at_the_first_poll() {
    let limiter = Limiter::new(limit(1), 0);
    let _permit = assert_ready_ok!(task::spawn(limiter.acquire()).poll());
    assert_eq!(limiter.status().held, 1);
}

#[test]
fn a_dropped_permit_is_free_again() {
    let limiter = Limiter::new(limit(1), 0);
    drop(take(&limiter));
    drop(take(&limiter));
    assert_eq!(limiter.status().held, 0);
}

#[test]
fn waiters_are_served_in_arrival_order() {
    let limiter = Limiter::new(limit(1), 9);
    let held = take(&limiter);
    let mut first = waiter(&limiter);
    let mut second = waiter(&limiter);

    drop(held);
    assert!(first.is_woken());
    assert!(!second.is_woken());
    let first = assert_ready_ok!(first.poll());
    assert_pending!(second.poll());

    drop(first);
    let _second = assert_ready_ok!(second.poll());
}

#[test]
fn a_newcomer_does_not_overtake_a_waiter_who_was_granted() {
    let limiter = Limiter::new(limit(1), 9);
    let held = take(&limiter);
    let mut first = waiter(&limiter);
    drop(held);
    assert!(limiter.try_acquire().is_none());
    assert_pending!(task::spawn(limiter.acquire()).poll());
    let _first = assert_ready_ok!(first.poll());
}

#[test]
fn an_acquire_that_was_never_polled_has_no_place_in_the_queue() {
    let limiter = Limiter::new(limit(1), 9);
    let held = take(&limiter);
    let mut early_but_idle = task::spawn(limiter.acquire());
    let mut first = waiter(&limiter);
    assert_pending!(early_but_idle.poll());
    drop(held);
    let _first = assert_ready_ok!(first.poll());
    assert_pending!(early_but_idle.poll());
}

#[test]
fn growth_admits_as_many_waiters_as_fit() {
    let limiter = Limiter::new(limit(1), 9);
    let _held = take(&limiter);
    let mut waiters: Vec<_> = (0..3).map(|_| waiter(&limiter)).collect();

    let resized = limiter.resize(limit(3));
    assert_eq!((resized.previous, resized.admitted, resized.excess), (limit(1), 2, 0));
    assert_eq!(waiters.iter().map(|waiter| waiter.is_woken()).collect::<Vec<_>>(), [true, true, false]);
    let _first = assert_ready_ok!(waiters[0].poll());
    let _second = assert_ready_ok!(waiters[1].poll());
    assert_pending!(waiters[2].poll());
}

#[test]
fn a_shrink_revokes_nothing_and_is_paid_off_by_releases() {
    let limiter = Limiter::new(limit(3), 9);
    let mut held = take_all(&limiter);
    let mut waiter = waiter(&limiter);
    assert_eq!(limiter.resize(limit(1)).excess, 2);

    held.truncate(1);
    assert!(!waiter.is_woken(), "two releases pay off the excess");
    assert!(limiter.try_acquire().is_none());
    held.clear();
    assert!(waiter.is_woken());
    let _permit = assert_ready_ok!(waiter.poll());
}

#[test]
fn a_shrink_while_idle_is_in_force_at_once() {
    let limiter = Limiter::new(limit(10), 9);
    assert_eq!(limiter.resize(limit(5)).excess, 0);
    assert_eq!(take_all(&limiter).len(), 5);
}

#[test]
fn repeated_resizes_leak_no_permits() {
    let limiter = Limiter::new(limit(10), 9);
    for _ in 0..3 {
        limiter.resize(limit(5));
        limiter.resize(limit(10));
    }
    assert_eq!(take_all(&limiter).len(), 10);
}

#[test]
fn a_shorter_queue_sends_nobody_away_and_a_longer_one_is_in_force_at_once() {
    let limiter = Limiter::new(limit(1), 2);
    let held = take(&limiter);
    let (mut first, mut second) = (waiter(&limiter), waiter(&limiter));
    limiter.bound_queue(1);
    assert_eq!(assert_ready_err!(task::spawn(limiter.acquire()).poll()), Refused::QueueFull);
    drop(held);
    let first = assert_ready_ok!(first.poll());
    assert_eq!(assert_ready_err!(task::spawn(limiter.acquire()).poll()), Refused::QueueFull);
    limiter.bound_queue(2);
    let _third = waiter(&limiter);
    drop(first);
    let _second = assert_ready_ok!(second.poll());
}

#[test]
fn the_largest_limit_works() {
    let limiter = Limiter::new(NonZeroU32::MAX, u32::MAX);
    let _permit = take(&limiter);
    assert_eq!(limiter.resize(limit(1)).excess, 0);
    assert_eq!(limiter.resize(NonZeroU32::MAX).admitted, 0);
}

#[test]
fn cancelling_a_waiter_frees_his_place_in_the_queue() {
    let limiter = Limiter::new(limit(1), 1);
    let held = take(&limiter);
    drop(waiter(&limiter));
    let mut next = waiter(&limiter);
    drop(held);
    let _permit = assert_ready_ok!(next.poll());
}

#[test]
fn cancelling_a_granted_waiter_passes_the_permit_on() {
    let limiter = Limiter::new(limit(1), 9);
    let held = take(&limiter);
    let first = waiter(&limiter);
    let mut second = waiter(&limiter);
    drop(held);
    drop(first);
    assert!(second.is_woken());
    drop(assert_ready_ok!(second.poll()));
    assert_eq!(limiter.status().held, 0);
}

#[test]
fn cancelling_a_granted_waiter_above_a_shrunk_limit_admits_nobody() {
    let limiter = Limiter::new(limit(2), 9);
    let mut held = take_all(&limiter);
    let granted = waiter(&limiter);
    let next = waiter(&limiter);
    held.truncate(1);
    assert_eq!(limiter.resize(limit(1)).excess, 1);
    drop(granted);
    assert!(!next.is_woken());
    assert_eq!(limiter.status().held, 1);
}

#[test]
fn one_waiter_too_many_is_refused() {
    let limiter = Limiter::new(limit(1), 1);
    let _held = take(&limiter);
    let mut first = waiter(&limiter);
    assert_eq!(assert_ready_err!(task::spawn(limiter.acquire()).poll()), Refused::QueueFull);
    assert_pending!(first.poll());
}

#[test]
fn close_fails_waiters_and_newcomers() {
    let limiter = Limiter::new(limit(1), 9);
    let held = take(&limiter);
    let mut waiter = waiter(&limiter);
    limiter.close();
    assert!(waiter.is_woken());
    assert_eq!(assert_ready_err!(waiter.poll()), Refused::Closed);

    drop(held);
    assert_eq!(assert_ready_err!(task::spawn(limiter.acquire()).poll()), Refused::Closed);
    assert!(limiter.try_acquire().is_none());
}

#[test]
fn close_leaves_permits_and_grants_valid() {
    let limiter = Limiter::new(limit(1), 9);
    let held = take(&limiter);
    let mut granted = waiter(&limiter);
    drop(held);
    limiter.close();
    let permit = assert_ready_ok!(granted.poll());
    assert_eq!(limiter.status().held, 1);
    drop(permit);
    assert_eq!(limiter.status().held, 0);
}

#[test]
fn a_waiter_of_a_closed_limiter_may_leave_unasked() {
    let limiter = Limiter::new(limit(1), 9);
    let _held = take(&limiter);
    let waiter = waiter(&limiter);
    limiter.close();
    drop(waiter);
    assert_eq!(limiter.status().held, 1);
}

#[test]
fn a_permit_outlives_every_other_handle_and_moves_between_threads() {
    let permit = take(&Limiter::new(limit(1), 0));
    std::thread::spawn(move || drop(permit)).join().expect("given back");
}

#[test]
#[should_panic(expected = "polled after its outcome")]
fn polling_after_the_outcome_panics() {
    let limiter = Limiter::new(limit(1), 0);
    let mut acquire = task::spawn(limiter.acquire());
    drop(acquire.poll());
    drop(acquire.poll());
}

/// The last handle of a task may be a waker; dropping it under the lock would
/// run the task's destructors, and with them permits of the same limiter.
#[test]
fn a_waker_that_owns_a_permit_may_be_dropped_by_any_step() {
    struct OwnsPermit(#[expect(dead_code, reason = "dropped with the waker")] Permit);
    impl Wake for OwnsPermit {
        fn wake(self: Arc<Self>) {}
    }
    fn poll(acquire: &mut Acquire, waker: &Waker) -> bool {
        let mut cx = Context::from_waker(waker);
        Future::poll(Pin::new(acquire), &mut cx).is_ready()
    }

    let limiter = Limiter::new(limit(3), 9);
    let mut owners = take_all(&limiter).into_iter().map(|permit| Waker::from(Arc::new(OwnsPermit(permit))));
    let (mut replaced, mut cancelled, mut failed) = (limiter.acquire(), limiter.acquire(), limiter.acquire());
    for acquire in [&mut replaced, &mut cancelled, &mut failed] {
        let owner = owners.next().expect("three permits");
        assert!(!poll(acquire, &owner));
    }
    limiter.resize(limit(1));
    assert!(!poll(&mut replaced, Waker::noop()));
    assert_eq!(limiter.status().held, 2);
    drop(cancelled);
    assert_eq!(limiter.status().held, 1);
    limiter.close();
    assert_eq!(limiter.status().held, 0);
}
