//! How much a database may take, as well as that can be told from outside.
//!
//! PostgreSQL has no bound for a database. Its size is measured at most once in [`AGE`], by whoever runs the
//! next request; what is written in between is not stopped. What is deleted counts until its room is given
//! back to the system (`TRUNCATE`, `DROP`, `VACUUM FULL`, or a `VACUUM` that can cut a table's end).
use rowhouse_engine::THAW;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What tells the size.
pub(crate) const MEASURE: &str = "SELECT pg_catalog.pg_database_size(pg_catalog.current_database())";

/// How long a measure is good.
const AGE: Duration = Duration::from_secs(1);

/// The bound of one database.
#[derive(Debug, Default)]
pub(crate) struct Quota(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    limit: Option<u64>,
    measured: Option<Instant>,
    is_frozen: bool,
}

// === impl Quota ===

impl Quota {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, limit: Option<u64>) {
        *self.state() = State { limit, ..State::default() };
    }

    /// Whether there is a bound, and nobody knows whether it is reached; who is told so measures.
    pub(crate) fn wants_measure(&self) -> bool {
        let mut state = self.state();
        let is_old = state.measured.is_none_or(|at| AGE <= at.elapsed());
        if state.limit.is_none() || !is_old {
            return false;
        }
        state.measured = Some(Instant::now());
        true
    }

    /// Notes the size that was measured.
    pub(crate) fn measured(&self, size: Option<u64>) {
        let mut state = self.state();
        if let (Some(limit), Some(size)) = (state.limit, size) {
            let until = if state.is_frozen { limit / 100 * THAW } else { limit };
            state.is_frozen = until <= size;
        }
    }

    /// The bound, if the database is frozen at it.
    pub(crate) fn frozen(&self) -> Option<u64> {
        let state = self.state();
        state.limit.filter(|_| state.is_frozen)
    }

    /// Whether there is a bound.
    pub(crate) fn is_bounded(&self) -> bool {
        self.state().limit.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_freezes_at_its_bound_and_thaws_well_below_it() {
        let quota = Quota::default();
        assert!(!quota.wants_measure(), "there is no bound");
        quota.set(Some(1_000));
        assert!(quota.wants_measure() && !quota.wants_measure(), "one measures for all");
        for (size, frozen) in [(999, false), (1_000, true), (950, true), (899, false), (950, false)] {
            quota.measured(Some(size));
            assert_eq!(quota.frozen().is_some(), frozen, "{size}");
        }
        quota.measured(Some(2_000));
        quota.set(None);
        assert_eq!(quota.frozen(), None);
    }
}
