//! How fast somebody may go: a pace with a run-up (GCRA).
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How far ahead of the pace somebody may be at once.
const RUN_UP: Duration = Duration::from_secs(1);

/// How fast somebody may go. Cloning yields another handle.
///
/// Up to a second's worth goes at once; after that, each waits for its turn.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// When who is paced has caught up with itself.
    even: Arc<Mutex<Instant>>,
}

impl Pace {
    pub(crate) fn new(now: Instant) -> Self {
        Self { even: Arc::new(Mutex::new(now)) }
    }

    /// Takes a turn: how long to wait for it.
    ///
    /// # Errors
    ///
    /// With how long it would be, if that is longer than `patience`; no turn is taken then.
    pub(crate) fn turn(
        &self,
        per_second: NonZeroU32,
        now: Instant,
        patience: Duration,
    ) -> Result<Duration, Duration> {
        let interval = Duration::from_secs(1) / per_second.get();
        let mut even = self.even.lock().expect("never panics while locked");
        let next = (*even).max(now) + interval;
        let wait = next.saturating_duration_since(now + RUN_UP);
        if patience < wait {
            return Err(wait);
        }
        *even = next;
        Ok(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_s_worth_goes_at_once_and_the_rest_at_the_pace() {
        let start = Instant::now();
        let (pace, ten) = (Pace::new(start), NonZeroU32::new(10).expect("not zero"));
        let second = Duration::from_secs(1);
        assert!((0..10).all(|_| pace.turn(ten, start, second) == Ok(Duration::ZERO)));
        assert_eq!(pace.turn(ten, start, second), Ok(second / 10));
        assert!((2..=10).all(|n| pace.turn(ten, start, second) == Ok(n * second / 10)));
        assert_eq!(pace.turn(ten, start, second), Err(second * 11 / 10), "further ahead than patience");
        assert_eq!(pace.turn(ten, start + 2 * second, second), Ok(Duration::ZERO));
    }

    #[test]
    fn a_new_pace_holds_from_the_next_turn_on() {
        let start = Instant::now();
        let pace = Pace::new(start);
        let rate = |n| NonZeroU32::new(n).expect("not zero");
        assert!((0..10).all(|_| pace.turn(rate(10), start, Duration::ZERO).is_ok()));
        assert!(pace.turn(rate(10), start, Duration::ZERO).is_err());
        assert_eq!(pace.turn(rate(1_000), start, Duration::from_secs(1)), Ok(Duration::from_millis(1)));
    }
}
