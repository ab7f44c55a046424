//! How many workers there are, and how soon one that keeps ending is started again.
//!
//! Invariants: the running are the started without the ended; a place is remembered for as long as its
//! worker's endings count, and at most [`PLACES_MAX`] places are.
use rowhouse_engine::{EngineError, Processes};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an ending counts.
const WINDOW: Duration = Duration::from_secs(60);

/// Endings within that time after which a worker is still started at once.
const FREE: usize = 2;

/// The first wait after that; it doubles with each further ending.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The endings remembered of one place: more would not be waited longer for.
const ENDINGS_MAX: usize = 16;

/// The most places remembered; the one that ended first is forgotten for one more.
const PLACES_MAX: usize = 4096;

/// Counts of workers, and which of them ended by themselves.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    started: u64,
    running: u64,
    ended: u64,
    places: HashMap<String, Place>,
}

#[derive(Debug, Default)]
struct Place {
    ended: u32,
    /// The latest last.
    lately: VecDeque<Instant>,
}

// === impl Ledger ===

impl Ledger {
    pub(crate) fn started(&self) {
        let mut state = self.lock();
        state.started += 1;
        state.running += 1;
    }

    /// A worker has ended, by itself or because it was no more needed.
    pub(crate) fn ended(&self, place: &str, by_itself: bool) {
        let mut state = self.lock();
        state.running = state.running.checked_sub(1).expect("it was started");
        if by_itself {
            state.ended += 1;
            state.remember(place, Instant::now());
        }
    }

    /// Whether a worker may be started now.
    pub(crate) fn may_start(&self, place: &str) -> Result<(), EngineError> {
        self.lock().may_start(place, Instant::now())
    }

    /// How many workers of a place have ended by themselves.
    pub(crate) fn ended_before(&self, place: &str) -> u32 {
        self.lock().places.get(place).map_or(0, |place| place.ended)
    }

    pub(crate) fn counts(&self) -> Processes {
        let State { started, running, ended, .. } = *self.lock();
        Processes { running, started, ended }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn remember(&mut self, place: &str, now: Instant) {
        if PLACES_MAX <= self.places.len() && !self.places.contains_key(place) {
            let first = self.places.iter().min_by_key(|(_, place)| place.lately.back().copied());
            let first = first.map(|(place, _)| place.clone());
            first.map(|place| self.places.remove(&place));
        }
        let place = self.places.entry(place.to_owned()).or_default();
        place.ended = place.ended.saturating_add(1);
        if ENDINGS_MAX <= place.lately.len() {
            place.lately.pop_front();
        }
        place.lately.push_back(now);
    }

    fn may_start(&mut self, place: &str, now: Instant) -> Result<(), EngineError> {
        let Some(place) = self.places.get_mut(place) else { return Ok(()) };
        place.lately.retain(|at| now.saturating_duration_since(*at) < WINDOW);
        let Some(last) = place.lately.back() else { return Ok(()) };
        let Some(beyond) = place.lately.len().checked_sub(FREE + 1) else { return Ok(()) };
        let doublings = u32::try_from(beyond).unwrap_or(u32::MAX).min(16);
        let wait = FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT);
        let again_in = wait.saturating_sub(now.saturating_duration_since(*last));
        if again_in.is_zero() {
            return Ok(());
        }
        let times = u32::try_from(place.lately.len()).unwrap_or(u32::MAX);
        // Whole milliseconds, and never less than is left.
        let again_in = Duration::from_millis(u64::try_from(again_in.as_millis()).unwrap_or(u64::MAX) + 1);
        Err(EngineError::ProcessKeepsEnding { times, again_in })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_worker_keeps_ending_waits_longer_each_time_and_others_do_not() {
        let (mut state, start) = (State::default(), Instant::now());
        let mut now = start;
        let mut waits = Vec::new();
        for _ in 0..12 {
            state.remember("a", now);
            let wait = match state.may_start("a", now) {
                Ok(()) => Duration::ZERO,
                Err(EngineError::ProcessKeepsEnding { again_in, .. }) => again_in,
                Err(error) => panic!("{error:?}"),
            };
            waits.push(wait.as_millis());
            assert!(state.may_start("b", now).is_ok());
            now += wait;
            assert!(state.may_start("a", now).is_ok(), "when it has waited");
        }
        assert_eq!(waits, [0, 0, 101, 201, 401, 801, 1601, 3201, 6401, 10001, 10001, 10001]);
        assert!(state.may_start("a", now + WINDOW).is_ok(), "an ending counts for a minute");
        assert_eq!(state.places["a"].ended, 12);
    }

    #[test]
    fn no_more_places_are_remembered_than_may_be() {
        let (mut state, start) = (State::default(), Instant::now());
        for n in 0..=PLACES_MAX {
            state.remember(&n.to_string(), start + Duration::from_millis(n as u64));
        }
        assert_eq!(state.places.len(), PLACES_MAX);
        assert!(!state.places.contains_key("0"), "the first is forgotten");
    }

    #[test]
    fn counts_tell_who_ended_by_itself() {
        let ledger = Ledger::default();
        ledger.started();
        ledger.started();
        ledger.ended("a", true);
        ledger.ended("a", false);
        assert_eq!(ledger.counts(), Processes { running: 0, started: 2, ended: 1 });
        assert_eq!((ledger.ended_before("a"), ledger.ended_before("b")), (1, 0));
    }
}
