//! The jobs that wait for a thread, in the order in which their parties take turns.
//!
//! In each round every party has one job done, however many it has waiting (start-time fair queueing):
//! a newcomer waits for one job of each that is there, not for all that each has sent before.
//!
//! Invariant: no job waits in a round that is over.
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub(super) type Job = Box<dyn FnOnce() + Send>;

/// Whose jobs take turns with those of others: a database, as a rule.
#[derive(Debug, Default)]
pub(super) struct Party {
    /// The round after the last one in which it has a job. Changes under the lock of the queue only.
    next: AtomicU64,
}

/// The jobs that wait. Adding or taking one costs O(log n) and, but for growth, no memory.
#[derive(Default)]
pub(super) struct Queue {
    jobs: BinaryHeap<Waiting>,
    round: u64,
    arrived: u64,
}

struct Waiting {
    round: u64,
    number: u64,
    job: Job,
}

// === impl Queue ===

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    pub(super) fn push(&mut self, party: &Party, job: Job) {
        let round = self.round.max(party.next.load(Relaxed));
        party.next.store(round + 1, Relaxed);
        self.arrived += 1;
        self.jobs.push(Waiting { round, number: self.arrived, job });
    }

    pub(super) fn pop(&mut self) -> Option<Job> {
        let Waiting { round, job, .. } = self.jobs.pop()?;
        debug_assert!(self.round <= round, "a job waited in a round that is over");
        self.round = round;
        Some(job)
    }
}

// === impl Waiting ===

impl Waiting {
    fn rank(&self) -> Reverse<(u64, u64)> {
        Reverse((self.round, self.number))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// A queue of names, which are done in the order of `done`.
    #[derive(Default)]
    struct Named {
        queue: Queue,
        done: Arc<Mutex<String>>,
    }

    impl Named {
        fn push(&mut self, party: &Party, name: char, count: usize) {
            for _ in 0..count {
                let done = self.done.clone();
                self.queue.push(party, Box::new(move || done.lock().unwrap().push(name)));
            }
        }

        fn next(&mut self, count: usize) -> String {
            for _ in 0..count {
                self.queue.pop().unwrap()();
            }
            std::mem::take(&mut *self.done.lock().unwrap())
        }
    }

    #[test]
    fn who_has_hundreds_waiting_does_one_for_each_of_others() {
        let (bully, one, other) = (Party::default(), Party::default(), Party::default());
        let mut named = Named::default();
        named.push(&bully, 'b', 300);
        named.push(&one, '1', 3);
        named.push(&other, '2', 2);
        assert_eq!(named.next(9), "b12b12b1b");
        named.push(&other, '2', 1);
        assert_eq!(named.next(3), "2bb", "a newcomer waits for a round at most");
        assert_eq!(named.next(300 - 6), "b".repeat(294));
        assert!(named.queue.is_empty());
    }

    #[test]
    fn one_party_is_served_in_order_and_a_pause_earns_nothing() {
        let (one, other) = (Party::default(), Party::default());
        let mut named = Named::default();
        named.push(&one, 'a', 100);
        named.next(100);
        // It has not asked for anything meanwhile, which is no claim on later rounds.
        named.push(&other, 'o', 3);
        named.push(&one, 'a', 1);
        named.push(&one, 'b', 1);
        assert_eq!(named.next(5), "ooaob");
    }
}
