//! How fast one client may go: a pace with a run-up (GCRA).
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How fast one client may go. Cloning yields another handle.
///
/// Up to a second's worth goes at once; after that, each waits for its turn.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    interval: Duration,
    /// When the client has caught up with itself.
    even: Arc<Mutex<Instant>>,
}

impl Pace {
    pub(crate) fn new(per_second: NonZeroU32, now: Instant) -> Self {
        Self { interval: Duration::from_secs(1) / per_second.get(), even: Arc::new(Mutex::new(now)) }
    }

    /// Takes a turn: how long to wait for it. Takes none when that is longer than `patience`.
    pub(crate) fn turn(&self, now: Instant, patience: Duration) -> Option<Duration> {
        let mut even = self.even.lock().expect("never panics while locked");
        let next = (*even).max(now) + self.interval;
        let wait = next.saturating_duration_since(now + Duration::from_secs(1));
        if patience < wait {
            return None;
        }
        *even = next;
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_s_worth_goes_at_once_and_the_rest_at_the_pace() {
        let start = Instant::now();
        let pace = Pace::new(NonZeroU32::new(10).expect("not zero"), start);
        let second = Duration::from_secs(1);
        assert!((0..10).all(|_| pace.turn(start, second) == Some(Duration::ZERO)));
        assert_eq!(pace.turn(start, second), Some(second / 10));
        assert!((2..=10).all(|n| pace.turn(start, second) == Some(n * second / 10)));
        assert_eq!(pace.turn(start, second), None, "further ahead than patience");
        assert_eq!(pace.turn(start + 2 * second, second), Some(Duration::ZERO));
    }
}
