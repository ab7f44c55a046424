//! What the ledger of an allotment is written in: parties, their places in the queue, their things.

use std::collections::{BTreeMap, VecDeque};
use std::task::Waker;
use std::time::{Duration, Instant};

/// A party. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id(pub(super) u64);

/// A place in the queue. Smaller came earlier; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(pub(super) u64);

/// What is known of a thing while it exists.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    pub(super) born: Instant,
    /// When the turn of its party began.
    pub(super) began: Instant,
    pub(super) serial: u64,
}

/// A thing that is kept unused.
pub(super) struct Idle<T> {
    pub(super) thing: T,
    pub(super) made: Made,
    pub(super) since: Instant,
}

/// What a waiter was granted.
pub(super) enum Grant<T> {
    Room(Made),
    Thing(T, Made),
}

/// What who asks is told.
pub(super) enum Arrival<T> {
    Thing(Idle<T>),
    Room(Made),
    Queued(Ticket),
}

/// Where a party stands in the queue: the first is the next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) held: u32,
    pub(super) served: u64,
    pub(super) id: Id,
}

pub(super) struct Member<T> {
    /// In use, being made, and kept; what is ending is counted apart.
    pub(super) held: u32,
    pub(super) ending: u32,
    /// When it used one last, and when it was served last, as a count of steps.
    pub(super) used: u64,
    pub(super) served: u64,
    /// The one used last at the end.
    pub(super) idle: VecDeque<Idle<T>>,
    /// In order of arrival. A granted ticket is moved from here to `granted`.
    pub(super) waiting: BTreeMap<Ticket, Option<Waker>>,
    pub(super) granted: BTreeMap<Ticket, Grant<T>>,
    /// When it had used one last, as the ledger's list of keepers has it, if it is there.
    pub(super) keeper: Option<u64>,
    /// Whether what it gives back ends.
    pub(super) is_closed: bool,
    /// Whether its handle is gone.
    pub(super) has_left: bool,
    pub(super) reclaimed: u64,
}

// === impl Made ===

impl Made {
    pub(super) fn is_older_than(&self, lifetime: Duration, now: Instant) -> bool {
        // Any number would do that differs from one to the next.
        let earlier = lifetime / 1000 * u32::try_from(self.serial.wrapping_mul(37) % 101).unwrap_or(0);
        lifetime.saturating_sub(earlier) <= now.saturating_duration_since(self.born)
    }
}

// === impl Member ===

impl<T> Member<T> {
    pub(super) fn new(id: Id) -> Self {
        Self {
            held: 0,
            ending: 0,
            used: id.0,
            // As if it had been served now: newcomers come after those who wait already.
            served: id.0,
            idle: VecDeque::new(),
            waiting: BTreeMap::new(),
            granted: BTreeMap::new(),
            keeper: None,
            is_closed: false,
            has_left: false,
            reclaimed: 0,
        }
    }

    pub(super) fn rank(&self, id: Id) -> Rank {
        Rank { held: self.held, served: self.served, id }
    }

    pub(super) fn waiting(&self) -> u32 {
        u32::try_from(self.waiting.len()).unwrap_or(u32::MAX)
    }
}
