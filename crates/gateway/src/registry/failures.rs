//! Openings that failed a moment ago.
//!
//! Without this memory, one client that asks again and again for a damaged database would take a
//! place each time, and so evict the others' databases one by one.
use super::open::OpenError;
use lru::LruCache;
use rowhouse_types::DatabaseName;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The most failures remembered.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

/// How long one is remembered: short, for the operator may have mended it.
const MEMORY: Duration = Duration::from_millis(500);

/// How long one is told to operators.
const TOLD: Duration = Duration::from_secs(60);

/// Openings that failed a moment ago.
#[derive(Debug)]
pub(super) struct Failures {
    recent: Mutex<LruCache<DatabaseName, (Instant, OpenError)>>,
}

impl Default for Failures {
    fn default() -> Self {
        Self { recent: Mutex::new(LruCache::new(CAPACITY)) }
    }
}

impl Failures {
    pub(super) fn remember(&self, name: &DatabaseName, error: &OpenError) {
        self.recent().put(name.clone(), (Instant::now(), error.clone()));
    }

    /// The failure, if it is so recent that trying again would only cost.
    pub(super) fn recall(&self, name: &DatabaseName) -> Option<OpenError> {
        let recent = self.recent();
        let (at, error) = recent.peek(name)?;
        (at.elapsed() < MEMORY).then(|| error.clone())
    }

    /// It has been opened.
    pub(super) fn forget(&self, name: &DatabaseName) {
        self.recent().pop(name);
    }

    /// Who failed within the time that is told, the latest first.
    pub(super) fn told(&self) -> Vec<DatabaseName> {
        let recent = self.recent();
        recent.iter().filter(|(_, (at, _))| at.elapsed() < TOLD).map(|(name, _)| name.clone()).collect()
    }

    fn recent(&self) -> MutexGuard<'_, LruCache<DatabaseName, (Instant, OpenError)>> {
        self.recent.lock().expect("never panics while locked")
    }
}
