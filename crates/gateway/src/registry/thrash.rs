//! Databases opened again soon after they were evicted: how often, and how many places would fit.
use std::time::{Duration, Instant};

/// How long re-openings are counted together, and how often they are told at most.
const PERIOD: Duration = Duration::from_secs(60);

/// How much of a period must have been seen: what is used in turn takes a while to come round.
const SETTLED: Duration = Duration::from_secs(10);

/// Databases are opened again soon after they were evicted: more places would keep them open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Thrashing {
    pub(super) reopened: u64,
    pub(super) within: Duration,
    pub(super) would_fit: usize,
}

/// The re-openings of the period.
#[derive(Debug)]
pub(super) struct Thrash {
    /// Fewer in a period are not worth a word.
    enough: u64,
    period: Option<Period>,
    told: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Period {
    since: Instant,
    reopened: u64,
    would_fit: usize,
    /// The period before had this, if it had any.
    fitted: usize,
}

impl Thrash {
    /// Of a server with so many places.
    pub(super) fn new(places: usize) -> Self {
        Self { enough: enough(places), period: None, told: None }
    }

    /// The server has so many places from now on.
    pub(super) fn resize(&mut self, places: usize) {
        self.enough = enough(places);
    }

    /// A database was opened again that so many places would have kept open.
    pub(super) fn note(&mut self, would_fit: usize, now: Instant) -> Option<Thrashing> {
        let age = |since| now.saturating_duration_since(since);
        let fitted = match self.period {
            Some(period) if age(period.since) < PERIOD => None,
            Some(period) if age(period.since) < 2 * PERIOD => Some(period.would_fit),
            _ => Some(0),
        };
        if let Some(fitted) = fitted {
            self.period = Some(Period { since: now, reopened: 0, would_fit: 0, fitted });
        }
        let period = self.period.as_mut().expect("begun above if there was none");
        period.reopened += 1;
        period.would_fit = period.would_fit.max(would_fit);
        let settled = self.enough <= period.reopened && SETTLED <= age(period.since);
        if !settled || self.told.is_some_and(|told| age(told) < PERIOD) {
            return None;
        }
        self.told = Some(now);
        let Period { since, reopened, would_fit, .. } = *period;
        Some(Thrashing { reopened, within: age(since), would_fit })
    }

    /// How many places would have kept open what was opened again lately, if anything was.
    pub(super) fn would_fit(&self, now: Instant) -> Option<usize> {
        let period = self.period?;
        match now.saturating_duration_since(period.since) {
            age if age < PERIOD => Some(period.would_fit.max(period.fitted)),
            age if age < 2 * PERIOD => Some(period.would_fit),
            _ => None,
        }
    }
}

fn enough(places: usize) -> u64 {
    places.clamp(10, 100) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_told_when_it_is_much_and_once_in_a_period() {
        let (mut thrash, start) = (Thrash::new(20), Instant::now());
        let at = |second| start + Duration::from_secs(second);
        assert!((0..100).all(|_| thrash.note(25, at(0)).is_none()), "of no moment yet");
        let told = Thrashing { reopened: 101, within: SETTLED, would_fit: 25 };
        assert_eq!(thrash.note(22, at(10)), Some(told));
        assert!((11..60).all(|second| thrash.note(30, at(second)).is_none()));
        assert_eq!(thrash.would_fit(at(59)), Some(30));
        // A new period, and nineteen are not much.
        assert!((100..119).all(|second| thrash.note(21, at(second)).is_none()));
        assert_eq!(thrash.would_fit(at(119)), Some(30));
        assert_eq!(thrash.note(21, at(119)).map(|told| told.would_fit), Some(21));
        assert_eq!(thrash.would_fit(at(300)), None);
    }
}
