//! Who waits for somebody outside gives up its place among the threads meanwhile, so that another may work.
//!
//! Invariants: each aside has a thread that is not counted among those with places; a place that was passed
//! on is taken by one of those who wait for it. Jobs and those who come back get places in turn.
use super::{Executor, Shared, State};
use std::sync::PoisonError;
use std::time::Duration;

/// How often one that waits for a place looks whether it must stop.
const LOOK: Duration = Duration::from_millis(20);

/// Those who gave up their places.
#[derive(Debug, Default)]
pub(super) struct Count {
    threads: usize,
    /// Of them, those who want a place again.
    returning: usize,
    /// Places that were passed on to those.
    passed: usize,
    /// Whether the last place went to one of those.
    was_passed: bool,
}

/// A thread that has given up its place. Dropped, it comes back at once, to do no more than tidy up.
#[derive(Debug)]
pub(crate) struct Aside<'a> {
    shared: &'a Shared,
    /// Whether a place was passed on to it.
    has_place: bool,
}

// === impl Executor ===

impl Executor {
    /// Gives up this thread's place, for one who waits; `None` if too many do. Called on one of its threads.
    pub(crate) fn step_aside(&self) -> Option<Aside<'_>> {
        let shared = &self.owner.0;
        let mut state = shared.lock();
        if shared.config.readers <= state.aside.threads {
            return None;
        }
        state.aside.threads += 1;
        if state.passes_place_on() {
            shared.places.notify_one();
            return Some(Aside { shared, has_place: false });
        }
        state.threads -= 1;
        let waits = state.idle < state.jobs.len() && state.threads < shared.config.max_threads.get();
        if waits && !shared.start_thread(&mut state) && state.threads == 0 {
            // Nobody else is there to do what waits.
            state.threads += 1;
            state.aside.threads -= 1;
            return None;
        }
        Some(Aside { shared, has_place: false })
    }

    /// How long one waits for its reader.
    pub(crate) fn patience(&self) -> Duration {
        self.owner.0.config.patience
    }
}

// === impl Aside ===

impl Aside<'_> {
    /// Waits for a place, unless it must stop.
    pub(crate) fn come_back(mut self, must_stop: &impl Fn() -> bool) {
        let Shared { config, work, places, .. } = self.shared;
        let (max, mut state) = (config.max_threads.get(), self.shared.lock());
        if state.threads < max {
            return;
        }
        state.aside.returning += 1;
        // An idle one has a place to give.
        work.notify_one();
        while state.aside.passed == 0 && max <= state.threads && !must_stop() {
            let waited = places.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.aside.returning -= 1;
        self.has_place = 0 < state.aside.passed;
        state.aside.passed -= usize::from(self.has_place);
    }
}

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.aside.threads -= 1;
        state.threads += usize::from(!self.has_place);
    }
}

// === impl State ===

impl State {
    /// Whether a thread that has a place gives it to one who comes back, instead of doing the next job.
    pub(super) fn passes_place_on(&mut self) -> bool {
        let wanted = self.aside.passed < self.aside.returning;
        let passes = wanted && (self.jobs.is_empty() || !self.aside.was_passed);
        self.aside.was_passed = passes;
        self.aside.passed += usize::from(passes);
        passes
    }
}

// === impl Count ===

impl Count {
    pub(super) fn threads(&self) -> usize {
        self.threads
    }
}
