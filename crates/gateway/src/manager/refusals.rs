//! What is recorded of those who were refused: a few of them in each second, and how many more there were.
//!
//! Invariant: nobody fills the journal, and so drives older entries out, by being refused.
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many are recorded in each second.
const RECORDED: u32 = 10;

const SECOND: Duration = Duration::from_secs(1);

/// How many were refused lately.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    recorded: u32,
    left_out: u64,
}

// === impl Refusals ===

impl Refusals {
    /// One was refused: how many were left out before it if it is to be recorded.
    pub(super) fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.since.is_none_or(|since| SECOND <= now.saturating_duration_since(since)) {
            (state.since, state.recorded) = (Some(now), 0);
        }
        if state.recorded == RECORDED {
            state.left_out = state.left_out.saturating_add(1);
            return None;
        }
        state.recorded += 1;
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_are_recorded_in_a_second_and_the_next_one_tells_of_the_others() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        for _ in 0..RECORDED {
            assert_eq!(refusals.admit(start), Some(0));
        }
        assert_eq!((refusals.admit(start), refusals.admit(start)), (None, None));
        assert_eq!(refusals.admit(start + SECOND), Some(2));
        assert_eq!(refusals.admit(start + SECOND), Some(0));
    }
}
