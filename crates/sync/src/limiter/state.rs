//! The ledger of a limiter: who holds, who was granted, who waits.
//!
//! Between any two steps these hold, asserted by [`State::check`]:
//!
//! 1. **No idle capacity while someone waits:** a waiter exists only if `held >= limit`.
//! 2. **No grant above the limit:** a step that raises `held` leaves `held <= limit`.
//! 3. **A grant is held:** every granted ticket is counted in `held`.
//! 4. **The queue is bounded:** a step that adds a waiter leaves at most `queue_max`.
//! 5. **Nobody waits in vain:** a closed limiter has no waiters.
//!
//! From 1 and 2 follow that free capacity can be taken without asking the queue,
//! and that a release or a cancelled grant admits at most one.
//!
//! A shrink never revokes permits. It may leave `held > limit`, which the next
//! releases pay off.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::num::NonZeroU32;
use std::task::Waker;

use super::{LimiterStatus, Refused, Resized};

/// A place in the queue. Smaller came earlier; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// What a newcomer is told.
pub(super) enum Arrival {
    /// A permit is his.
    Admitted,
    /// He gets none.
    Refused(Refused),
    /// He is to wait under this ticket.
    Queued(Ticket),
}

/// What a waiter is told who asks again.
pub(super) enum Answer {
    /// The permit granted to him is his; the ticket is void.
    Admitted,
    /// The limiter was closed before his turn; the ticket is void.
    Closed,
    /// It is not his turn. The waker he had left before is for the caller to drop.
    NotYet { replaced: Option<Waker> },
}

/// What a waiter gave up by leaving.
pub(super) enum Left {
    /// His place in the queue, with his own waker for the caller to drop.
    Queue(Waker),
    /// A permit granted to him, which may have gone to the next, for the caller to wake.
    Grant { next: Option<Waker> },
    /// Nothing: the limiter was closed.
    Closed,
}

/// The one ledger of a limiter.
pub(super) struct State {
    limit: NonZeroU32,
    queue_max: u32,
    held: u32,
    closed: bool,
    next_ticket: u64,
    /// In arrival order. A granted ticket is moved from here to `granted`.
    waiting: BTreeMap<Ticket, Waker>,
    /// Tickets whose permit is counted in `held` but not yet picked up.
    granted: BTreeSet<Ticket>,
}

// === impl State ===

impl State {
    pub(super) fn new(limit: NonZeroU32, queue_max: u32) -> Self {
        Self {
            limit,
            queue_max,
            held: 0,
            closed: false,
            next_ticket: 0,
            waiting: BTreeMap::new(),
            granted: BTreeSet::new(),
        }
    }

    pub(super) fn held(&self) -> u32 {
        self.held
    }

    pub(super) fn status(&self) -> LimiterStatus {
        let Self { limit, held, queue_max, closed, .. } = *self;
        LimiterStatus { limit, held, waiting: self.waiting(), queue_max, closed }
    }

    /// Takes a permit if the limiter is open and one is free. By invariant 1 this barges past no one.
    pub(super) fn take(&mut self) -> bool {
        let taken = !self.closed && self.held < self.limit.get();
        self.held += u32::from(taken);
        taken
    }

    /// Admits, refuses or queues a newcomer.
    pub(super) fn arrive(&mut self, waker: &Waker) -> Arrival {
        if self.take() {
            return Arrival::Admitted;
        }
        if self.closed {
            return Arrival::Refused(Refused::Closed);
        }
        if self.waiting() >= self.queue_max {
            return Arrival::Refused(Refused::QueueFull);
        }
        let waker = waker.clone();
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.waiting.insert(ticket, waker);
        Arrival::Queued(ticket)
    }

    /// Tells a waiter whether it is his turn, and keeps his waker if it is not.
    pub(super) fn ask(&mut self, ticket: Ticket, waker: &Waker) -> Answer {
        if self.granted.remove(&ticket) {
            return Answer::Admitted;
        }
        match self.waiting.get_mut(&ticket) {
            Some(known) if known.will_wake(waker) => Answer::NotYet { replaced: None },
            Some(known) => Answer::NotYet { replaced: Some(mem::replace(known, waker.clone())) },
            None => {
                debug_assert!(self.closed, "only close voids a ticket");
                Answer::Closed
            }
        }
    }

    /// Takes a waiter out, passing on what was granted to him.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Left {
        if self.granted.remove(&ticket) {
            return Left::Grant { next: self.release() };
        }
        match self.waiting.remove(&ticket) {
            Some(own) => Left::Queue(own),
            None => {
                debug_assert!(self.closed, "only close voids a ticket");
                Left::Closed
            }
        }
    }

    /// Takes a permit back and returns the waiter it admits, if any, to be woken.
    pub(super) fn release(&mut self) -> Option<Waker> {
        assert!(self.held > 0, "a permit is given back once");
        self.held -= 1;
        self.admit_one()
    }

    /// Sets the limit and returns the waiters it admits, to be woken.
    pub(super) fn resize(&mut self, limit: NonZeroU32) -> (Resized, Vec<Waker>) {
        let previous = mem::replace(&mut self.limit, limit);
        let admitted = limit.get().saturating_sub(self.held).min(self.waiting());
        let mut wakers = Vec::with_capacity(admitted as usize);
        wakers.extend(std::iter::from_fn(|| self.admit_one()));
        debug_assert_eq!(wakers.len(), admitted as usize);
        let excess = self.held.saturating_sub(limit.get());
        (Resized { previous, excess, admitted }, wakers)
    }

    /// Sets how many may wait; who waits already goes on.
    pub(super) fn bound_queue(&mut self, queue_max: u32) {
        self.queue_max = queue_max;
    }

    /// Closes and returns the waiters this fails, to be woken.
    pub(super) fn close(&mut self) -> BTreeMap<Ticket, Waker> {
        self.closed = true;
        mem::take(&mut self.waiting)
    }

    /// Asserts the invariants after a step that began with so many permits out and so many waiting.
    ///
    /// In debug builds, and under loom, whose models run optimised.
    pub(super) fn check(&self, (held_before, waiting_before): (u32, u32)) {
        if cfg!(any(debug_assertions, loom)) {
            let limit = self.limit.get();
            assert!(self.waiting.is_empty() || self.held >= limit, "idle capacity while someone waits");
            assert!(self.held <= held_before || self.held <= limit, "grant above the limit");
            assert!(self.granted.len() <= self.held as usize, "a grant is not held");
            assert!(
                self.waiting() <= self.queue_max || self.waiting() <= waiting_before,
                "queue above its bound"
            );
            assert!(!self.closed || self.waiting.is_empty(), "someone waits in vain");
        }
    }

    /// Grants the first in the queue a permit if one is free.
    fn admit_one(&mut self) -> Option<Waker> {
        if self.held >= self.limit.get() {
            return None;
        }
        let (ticket, waker) = self.waiting.pop_first()?;
        self.held += 1;
        self.granted.insert(ticket);
        Some(waker)
    }

    pub(super) fn waiting(&self) -> u32 {
        u32::try_from(self.waiting.len()).expect("bounded by queue_max")
    }
}
