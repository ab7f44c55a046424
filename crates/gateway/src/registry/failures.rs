//! Openings that failed a moment ago.
//!
//! Without this memory, one client that asks again and again for a damaged database would take a
//! place each time, and so evict the others' databases one by one.
use super::error::OpenError;
use crate::tenant::TOLD;
use lru::LruCache;
use rowhouse_types::Target;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The most failures remembered.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

/// How long one is remembered: short, for the operator may have mended it.
const MEMORY: Duration = Duration::from_millis(500);

/// Openings that failed a moment ago.
#[derive(Debug)]
pub(crate) struct Failures {
    recent: Mutex<LruCache<Target, (Instant, OpenError)>>,
}

impl Default for Failures {
    fn default() -> Self {
        Self { recent: Mutex::new(LruCache::new(CAPACITY)) }
    }
}

impl Failures {
    pub(crate) fn remember(&self, database: &Target, error: &OpenError) {
        self.recent().put(database.clone(), (Instant::now(), error.clone()));
    }

    /// The failure, if it is so recent that trying again would only cost.
    pub(crate) fn recall(&self, database: &Target) -> Option<OpenError> {
        let recent = self.recent();
        let (at, error) = recent.peek(database)?;
        (at.elapsed() < MEMORY).then(|| error.clone())
    }

    /// It has been opened.
    pub(crate) fn forget(&self, database: &Target) {
        self.recent().pop(database);
    }

    /// Who failed within the time that is told, the latest first.
    pub(crate) fn told(&self) -> Vec<Target> {
        let recent = self.recent();
        recent.iter().filter(|(_, (at, _))| at.elapsed() < TOLD).map(|(name, _)| name.clone()).collect()
    }

    fn recent(&self) -> MutexGuard<'_, LruCache<Target, (Instant, OpenError)>> {
        self.recent.lock().expect("never panics while locked")
    }
}
