//! How often somebody may ask (GCRA).
use crate::identity::TooOften;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How far ahead of its rate somebody may be at once.
const RUN_UP: Duration = Duration::from_secs(1);

/// How often somebody may ask: so many times a second, of which a second's worth may come at once.
#[derive(Debug)]
pub struct Pace {
    rate: NonZeroU32,
    begin: Instant,
    /// When who is paced has caught up with itself, in nanoseconds after the beginning.
    even: AtomicU64,
}

// === impl Pace ===

impl Pace {
    /// A pace of so many turns a second.
    pub fn new(rate: NonZeroU32) -> Self {
        Self { rate, begin: Instant::now(), even: AtomicU64::new(0) }
    }

    /// Takes a turn.
    ///
    /// # Errors
    ///
    /// When it comes too early; no turn is taken then.
    pub(crate) fn turn(&self, now: Instant) -> Result<(), TooOften> {
        let interval = nanos(Duration::from_secs(1) / self.rate.get());
        let now = nanos(now.saturating_duration_since(self.begin));
        let next = |even: u64| {
            let next = even.max(now).saturating_add(interval);
            (next <= now.saturating_add(nanos(RUN_UP))).then_some(next)
        };
        let taken = self.even.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        taken.map(drop).map_err(|even| {
            let due = even.saturating_add(interval).saturating_sub(nanos(RUN_UP));
            TooOften { rate: self.rate, retry_after: Duration::from_nanos(due.saturating_sub(now)) }
        })
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_s_worth_comes_at_once_and_then_one_in_its_time() {
        let pace = Pace::new(NonZeroU32::new(10).unwrap());
        let start = pace.begin;
        assert!((0..10).all(|_| pace.turn(start).is_ok()));
        let refused = pace.turn(start).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_millis(100));
        assert!(pace.turn(start + refused.retry_after).is_ok());
        assert!(pace.turn(start + refused.retry_after).is_err());
        assert!(pace.turn(start + Duration::from_secs(60)).is_ok());
    }
}
