//! A first-come-first-served concurrency limit that can be resized while in use.
//!
//! One mutex guards one small ledger (`limiter/state.rs`, where its invariants are
//! named and asserted), so every transition is a single atomic step: acquire,
//! release, resize, cancel, close. Who a step admits is woken after the lock is
//! released, and nothing of a caller's is dropped while it is held.

mod state;

#[cfg(test)]
#[cfg(loom)]
mod loom_tests;
#[cfg(test)]
#[cfg(not(loom))]
mod model_tests;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

use std::fmt;
use std::mem;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Context, Poll};

use self::state::{Answer, Arrival, Left, State, Ticket};
use crate::primitives::{Arc, Mutex};

/// A resizable concurrency limit. Cloning yields another handle to the same limit.
///
/// Permits are granted in order of arrival; a free permit is never kept from a
/// waiter, and no grant lifts the number of permits out above the limit in force.
///
/// An uncontended acquire and release allocate nothing. With others waiting, each
/// step costs O(log waiting), whatever the limit.
#[derive(Clone)]
pub struct Limiter {
    state: Arc<Mutex<State>>,
}

/// The right to one unit of a [`Limiter`], given back on drop.
///
/// A permit outlives [`Limiter::close`], a shrinking [`Limiter::resize`] and every
/// other handle to its limiter.
#[derive(Debug)]
#[must_use = "dropping a permit gives it back"]
pub struct Permit {
    limiter: Limiter,
}

/// The future returned by [`Limiter::acquire`].
///
/// Its place in the queue is that of its first poll. Dropping it leaves the queue.
#[derive(Debug)]
#[must_use = "a future does nothing unless polled"]
pub struct Acquire {
    stage: Stage,
}

/// What a [`Limiter::resize`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resized {
    /// The limit before the call.
    pub previous: NonZeroU32,
    /// Permits out in excess of the new limit; the next so many releases admit nobody.
    pub excess: u32,
    /// Waiters admitted by the call.
    pub admitted: u32,
}

/// A consistent snapshot of a [`Limiter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimiterStatus {
    /// The limit in force.
    pub limit: NonZeroU32,
    /// Permits out, among them those granted to a waiter who has not picked his up yet.
    ///
    /// Above `limit` only after a shrink, until the excess has been given back.
    pub held: u32,
    /// Callers waiting for a permit.
    pub waiting: u32,
    /// How many may wait.
    pub queue_max: u32,
    /// Whether the limiter was closed.
    pub closed: bool,
}

/// Why a permit was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// As many wait already as may wait; worth a retry later.
    #[error("queue is full")]
    QueueFull,
    /// The limiter was closed: no permit will ever be granted again.
    #[error("limiter is closed")]
    Closed,
}

/// How far an [`Acquire`] has come. Its one handle to the limiter moves on into the permit.
#[derive(Debug)]
enum Stage {
    New(Limiter),
    Queued(Limiter, Ticket),
    Done,
}

// === impl Limiter ===

impl Limiter {
    /// Creates a limiter that admits up to `limit` holders and lets up to `queue_max` wait.
    ///
    /// With a `queue_max` of 0 nobody waits: an acquire that cannot be granted at
    /// once is refused with [`Refused::QueueFull`].
    pub fn new(limit: NonZeroU32, queue_max: u32) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(limit, queue_max))) }
    }

    /// Waits for a permit, behind all who wait already.
    ///
    /// # Errors
    ///
    /// [`Refused::QueueFull`] at the first poll, if `queue_max` callers wait already;
    /// [`Refused::Closed`] once the limiter is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue; a permit granted but not
    /// yet picked up goes to the next waiter. Awaiting anew queues at the end.
    ///
    /// # Panics
    ///
    /// The future panics if polled after it returned its outcome.
    pub fn acquire(&self) -> Acquire {
        Acquire { stage: Stage::New(self.clone()) }
    }

    /// Takes a permit if the limiter is open and one is free, which implies that nobody waits for it.
    pub fn try_acquire(&self) -> Option<Permit> {
        self.with(State::take).then(|| Permit { limiter: self.clone() })
    }

    /// Changes the limit, admitting waiters at once if it grew.
    ///
    /// A shrink revokes no permit: the excess is reported, and paid off by the next
    /// releases. The cost depends on the number admitted, not on the limit.
    pub fn resize(&self, limit: NonZeroU32) -> Resized {
        let (resized, admitted) = self.with(|state| state.resize(limit));
        for waker in admitted {
            waker.wake();
        }
        resized
    }

    /// Changes the limit to what `decide` makes of the state it is in, or leaves it as it is.
    ///
    /// One atomic step: nothing is acquired, released or resized between what `decide` is shown and
    /// what it decides. So a rule such as "not below what is out" holds at the moment of the change.
    /// `decide` runs under the lock: it is short and does not use this limiter.
    ///
    /// # Errors
    ///
    /// What `decide` returned; then nothing was changed.
    ///
    /// # Panics
    ///
    /// When `decide` panics, and from then on at every use of this limiter.
    pub fn adjust<E>(
        &self,
        decide: impl FnOnce(&LimiterStatus) -> Result<NonZeroU32, E>,
    ) -> Result<Resized, E> {
        let (resized, admitted) = self.with(|state| decide(&state.status()).map(|to| state.resize(to)))?;
        for waker in admitted {
            waker.wake();
        }
        Ok(resized)
    }

    /// Changes how many may wait. Nobody is sent away: above a lower bound, nobody joins until so many
    /// have gone.
    pub fn bound_queue(&self, queue_max: u32) {
        self.with(|state| state.bound_queue(queue_max));
    }

    /// Fails all waiters and all who come later with [`Refused::Closed`]. Closing again does nothing.
    ///
    /// Permits out stay valid and are counted until given back; so does a permit
    /// that was granted to a waiter who has not picked it up yet.
    pub fn close(&self) {
        let failed = self.with(State::close);
        for waker in failed.into_values() {
            waker.wake();
        }
    }

    /// Returns a consistent snapshot.
    pub fn status(&self) -> LimiterStatus {
        self.with(|state| state.status())
    }

    /// Runs one atomic step; what it returns is woken or dropped by the caller, with the lock released.
    fn with<T>(&self, step: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().expect("no step of a limiter panics");
        let before = (state.held(), state.waiting());
        let result = step(&mut state);
        state.check(before);
        result
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Limiter").field(&self.status()).finish()
    }
}

// === impl Permit ===

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(admitted) = self.limiter.with(State::release) {
            admitted.wake();
        }
    }
}

// === impl Acquire ===

impl Future for Acquire {
    type Output = Result<Permit, Refused>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match mem::replace(&mut self.stage, Stage::Done) {
            Stage::New(limiter) => match limiter.with(|state| state.arrive(cx.waker())) {
                Arrival::Admitted => Poll::Ready(Ok(Permit { limiter })),
                Arrival::Refused(refused) => Poll::Ready(Err(refused)),
                Arrival::Queued(ticket) => {
                    self.stage = Stage::Queued(limiter, ticket);
                    Poll::Pending
                }
            },
            Stage::Queued(limiter, ticket) => match limiter.with(|state| state.ask(ticket, cx.waker())) {
                Answer::Admitted => Poll::Ready(Ok(Permit { limiter })),
                Answer::Closed => Poll::Ready(Err(Refused::Closed)),
                Answer::NotYet { replaced } => {
                    self.stage = Stage::Queued(limiter, ticket);
                    drop(replaced);
                    Poll::Pending
                }
            },
            Stage::Done => panic!("polled after its outcome"),
        }
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        let Stage::Queued(limiter, ticket) = &self.stage else { return };
        match limiter.with(|state| state.leave(*ticket)) {
            Left::Queue(own) => drop(own),
            Left::Grant { next: Some(next) } => next.wake(),
            Left::Grant { next: None } | Left::Closed => {}
        }
    }
}
