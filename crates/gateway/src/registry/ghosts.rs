//! The names evicted last, in order, to tell how many places would have kept one open.
//!
//! Databases are evicted in the order of their last uses, so of two names the one evicted later
//! was used later: how many other databases were used since a name was, is the number of those
//! open plus the number of names evicted after it. Counting the latter takes a tree of sums, so
//! each step is O(log n); steps are as rare as openings.
use lru::LruCache;
use rowhouse_types::DatabaseName;
use std::num::NonZeroUsize;

/// The names evicted last, at most so many.
#[derive(Debug)]
pub(super) struct Ghosts {
    /// Each with its seat; the one evicted first in front.
    names: LruCache<DatabaseName, usize>,
    taken: Sums,
    next: usize,
}

/// Which seats are taken, as sums over ranges (a Fenwick tree).
#[derive(Debug)]
struct Sums(Vec<u32>);

impl Ghosts {
    pub(super) fn new(most: NonZeroUsize) -> Self {
        Self { names: LruCache::new(most), taken: Sums(vec![0; 2 * most.get()]), next: 0 }
    }

    /// How many are remembered at most.
    pub(super) fn most(&self) -> NonZeroUsize {
        self.names.cap()
    }

    /// Whether the name is remembered.
    pub(super) fn has(&self, name: &DatabaseName) -> bool {
        self.names.contains(name)
    }

    /// A name was evicted.
    pub(super) fn add(&mut self, name: DatabaseName) {
        debug_assert!(!self.names.contains(&name), "it was open, and so no ghost");
        if self.next == self.taken.0.len() {
            self.move_up();
        }
        self.taken.add(self.next, 1);
        if let Some((_, oldest)) = self.names.push(name, self.next) {
            self.taken.add(oldest, -1);
        }
        self.next += 1;
    }

    /// The name is opened again: how many were evicted after it, if it is remembered.
    pub(super) fn take(&mut self, name: &DatabaseName) -> Option<usize> {
        let seat = self.names.pop(name)?;
        let newer = self.names.len() - self.taken.before(seat);
        self.taken.add(seat, -1);
        Some(newer)
    }

    /// Seats everybody anew, in order, from the first seat on.
    fn move_up(&mut self) {
        self.taken.0.fill(0);
        self.next = self.names.len();
        for (n, (_, seat)) in self.names.iter_mut().rev().enumerate() {
            *seat = n;
            self.taken.add(n, 1);
        }
    }
}

impl Sums {
    fn add(&mut self, seat: usize, change: i32) {
        let mut at = seat + 1;
        while at <= self.0.len() {
            self.0[at - 1] = self.0[at - 1].wrapping_add_signed(change);
            at += at & at.wrapping_neg();
        }
    }

    /// How many seats before this one are taken.
    fn before(&self, seat: usize) -> usize {
        let (mut at, mut sum) = (seat, 0);
        while 0 < at {
            sum += self.0[at - 1] as usize;
            at &= at - 1;
        }
        sum
    }
}
