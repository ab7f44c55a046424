//! When a database's file was last seen to be the one it was: reads in place that follow each other closely
//! do not look each time.
use crate::directory::{FRESH, SOON, Sight};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// After so long a file is looked at itself, whatever its directory looks like: what file systems tell of directories may
/// be older than what they tell of files.
const LONG: Duration = Duration::from_millis(200);

/// The looks at a file that found the one it was. Times are in nanoseconds after the epoch.
#[derive(Debug)]
pub(crate) struct Look {
    epoch: Instant,
    last: AtomicU64,
    fresh_until: AtomicU64,
    /// What the file's directory looked like before the last, as a number.
    under: AtomicU64,
}

// === impl Look ===

impl Look {
    /// None yet, at `now`.
    pub(crate) fn new(now: Instant) -> Self {
        Self { epoch: now, last: AtomicU64::new(0), fresh_until: AtomicU64::new(0), under: AtomicU64::new(0) }
    }

    /// Whether another look may be left out at `now`.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        self.nanos(now) < self.fresh_until.load(Ordering::Relaxed)
    }

    /// Whether at `now` there was one not long ago, since the file's directory came to look like that.
    pub(crate) fn was_under(&self, sight: Option<Sight>, now: Instant) -> bool {
        let is_since =
            sight.is_some_and(|sight| self.under.load(Ordering::Relaxed) == Sight::number(Some(sight)));
        let since = self.nanos(now).saturating_sub(self.last.load(Ordering::Relaxed));
        is_since && Duration::from_nanos(since) < LONG
    }

    /// There was one that began at `now`, when the file's directory had looked like that.
    pub(crate) fn note(&self, now: Instant, sight: Option<Sight>) {
        self.under.store(Sight::number(sight), Ordering::Relaxed);
        let at = self.nanos(now);
        let last = self.last.swap(at, Ordering::Relaxed);
        if last != 0 && Duration::from_nanos(at.saturating_sub(last)) < SOON {
            self.fresh_until.store(self.nanos(now + FRESH), Ordering::Relaxed);
        }
    }

    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_counts_for_a_moment_where_many_follow_each_other() {
        let begin = Instant::now();
        let look = Look::new(begin);
        let now = begin + FRESH;
        look.note(now, None);
        assert!(!look.is_fresh(now), "the first");
        look.note(now + SOON, None);
        assert!(!look.is_fresh(now + SOON), "one long after it");
        let now = now + SOON + SOON / 2;
        look.note(now, None);
        assert!(look.is_fresh(now) && look.is_fresh(now + FRESH / 2) && !look.is_fresh(now + FRESH));
    }

    #[test]
    fn a_look_counts_as_long_as_the_directory_looks_the_same_but_not_for_ever() {
        let [sight, other] = [1, 2].map(Sight::from_number);
        let begin = Instant::now();
        let look = Look::new(begin);
        let now = begin + SOON;
        assert!(!look.was_under(None, now) && !look.was_under(sight, now));
        look.note(now, sight);
        assert!(look.was_under(sight, now + LONG / 2));
        assert!(!look.was_under(sight, now + LONG), "too long ago");
        assert!(!look.was_under(other, now) && !look.was_under(None, now));
        look.note(now, None);
        assert!(!look.was_under(sight, now));
    }
}
