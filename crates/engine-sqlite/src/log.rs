//! The write-ahead log, kept short.
//!
//! SQLite moves its log into the database as it goes, but begins it anew only when nobody reads
//! from it: readers that overlap without a gap let it grow for ever. So when it has grown, who has
//! the turn to write makes a gap: newcomers wait at the gate while those inside finish.
//!
//! Invariants: nobody waits at the gate longer than [`GAP_MAX`] and one checkpoint; a reader that
//! takes longer than that keeps its snapshot, and the log is let grow meanwhile.
use crate::handle::Handle;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long newcomers wait for those inside to finish: at first, and at most. The longer the log
/// has grown the more is a gap worth.
const GAP: Duration = Duration::from_millis(20);
const GAP_MAX: Duration = Duration::from_secs(1);

/// How many writers go by between two looks at the log's length.
const LOOK_EVERY: u32 = 16;

/// So many times the pages after which SQLite empties the log, it has not been able to.
const OVERGROWN: u32 = 4;

/// Who reads, and how long the log may be.
#[derive(Debug)]
pub(crate) struct Log {
    state: Mutex<State>,
    changed: Condvar,
    /// Pages that are no reason to act.
    usual: u32,
}

#[derive(Debug)]
struct State {
    inside: usize,
    shut: bool,
    /// Writers since the last look.
    writers: u32,
    /// Pages that are no reason to act now.
    tolerated: u32,
}

/// One who reads from the log.
#[derive(Debug)]
pub(crate) struct Inside<'a>(&'a Log);

/// The gate is shut until this is dropped.
pub(crate) struct Shut<'a>(&'a Log);

// === impl Log ===

impl Log {
    /// A log that SQLite empties after `pages`.
    pub(crate) fn new(pages: u32) -> Self {
        let usual = pages.saturating_mul(OVERGROWN);
        let state = State { inside: 0, shut: false, writers: 0, tolerated: usual };
        Self { state: Mutex::new(state), changed: Condvar::new(), usual }
    }

    /// Waits at the gate if it is shut. Blocks.
    pub(crate) fn enter(&self) -> Inside<'_> {
        let mut state = self.lock();
        while state.shut {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.inside += 1;
        Inside(self)
    }

    /// Goes in if the gate is open.
    pub(crate) fn enter_now(&self) -> Option<Inside<'_>> {
        let mut state = self.lock();
        if state.shut {
            return None;
        }
        state.inside += 1;
        Some(Inside(self))
    }

    /// Whether the log has grown so long that a gap is due, asked by one who has written.
    pub(crate) fn is_overgrown(&self, handle: &Handle) -> bool {
        {
            let mut state = self.lock();
            state.writers += 1;
            if state.writers < LOOK_EVERY {
                return false;
            }
            state.writers = 0;
        }
        let tolerated = self.lock().tolerated;
        handle.log().is_some_and(|log| tolerated < log.pages && log.moved < log.pages)
    }

    /// Makes a gap and moves the log into the database, for whoever writes next to begin it anew.
    /// To be called with the turn to write. Blocks.
    pub(crate) fn make_gap(&self, handle: &Handle) {
        // Most of it while others read.
        let pages = handle.move_log().map_or(0, |log| log.pages);
        let shut = self.shut((GAP * (pages / self.usual.max(1))).clamp(GAP, GAP_MAX));
        let left = shut.as_ref().and_then(|_| handle.move_log());
        drop(shut);
        let mut state = self.lock();
        state.tolerated = match left.or_else(|| handle.log()) {
            Some(log) if log.moved == log.pages => self.usual,
            Some(log) => log.pages.saturating_add(self.usual),
            None => self.usual,
        };
    }

    /// Shuts the gate and waits until nobody is inside, or gives up.
    pub(crate) fn shut(&self, gap: Duration) -> Option<Shut<'_>> {
        let until = Instant::now() + gap;
        let mut state = self.lock();
        state.shut = true;
        let shut = Shut(self);
        while 0 < state.inside {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(state);
                return None;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        Some(shut)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let last = {
            let mut state = self.0.lock();
            state.inside -= 1;
            state.shut && state.inside == 0
        };
        if last {
            self.0.changed.notify_all();
        }
    }
}

impl Drop for Shut<'_> {
    fn drop(&mut self) {
        self.0.lock().shut = false;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn newcomers_wait_while_the_gate_is_shut() {
        let log = Log::new(1);
        let shut = log.shut(Duration::ZERO).expect("nobody is inside");
        thread::scope(|scope| {
            let newcomer = scope.spawn(|| drop(log.enter()));
            assert!(!newcomer.is_finished());
            drop(shut);
            newcomer.join().expect("it came in");
        });
        assert_eq!(log.lock().inside, 0);
    }

    #[test]
    fn the_gate_is_shut_once_the_last_one_has_left() {
        let log = Log::new(1);
        let inside = log.enter();
        thread::scope(|scope| {
            let shutting = scope.spawn(|| log.shut(Duration::from_secs(60)).is_some());
            while !log.lock().shut {
                thread::yield_now();
            }
            drop(inside);
            assert!(shutting.join().expect("no panic"));
        });
    }

    #[test]
    fn who_stays_inside_keeps_nobody_out_for_long() {
        let log = Log::new(1);
        let inside = log.enter();
        assert!(log.shut(Duration::from_millis(1)).is_none());
        drop(log.enter());
        drop(inside);
    }
}
