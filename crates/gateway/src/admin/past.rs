//! What was counted of databases while they were open, kept a while after they were closed.
use crate::tenant::Counts;
use lru::LruCache;
use rowhouse_types::Target;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard};

/// The most databases whose counts are kept: those closed last.
const KEPT: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// What was counted of databases that were open.
#[derive(Debug)]
pub(crate) struct Past {
    kept: Mutex<LruCache<Target, Before>>,
}

/// What was counted of a database in all its former openings.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Before {
    pub(crate) counts: Counts,
    /// How often it was closed to make room.
    pub(crate) evicted: u64,
}

impl Default for Past {
    fn default() -> Self {
        Self { kept: Mutex::new(LruCache::new(KEPT)) }
    }
}

impl Past {
    /// It was closed, after this was counted.
    pub(crate) fn add(&self, target: &Target, counts: Counts, evicted: bool) {
        let mut kept = self.kept();
        let before = kept.get_or_insert_mut(target.clone(), Before::default);
        before.counts = before.counts.and(counts);
        before.evicted += u64::from(evicted);
    }

    pub(crate) fn of(&self, target: &Target) -> Before {
        self.kept().peek(target).copied().unwrap_or_default()
    }

    /// It was dropped: another one of its name begins anew.
    pub(crate) fn forget(&self, target: &Target) {
        self.kept().pop(target);
    }

    fn kept(&self) -> MutexGuard<'_, LruCache<Target, Before>> {
        self.kept.lock().expect("never panics while locked")
    }
}
