//! How many bytes a database may take, changed while it is open.
//!
//! SQLite bounds the pages of each connection; what counts here are those in use, for a file does not
//! shrink when rows are deleted. Once the bound was met the database is frozen: else the last free
//! pages would be fought over for ever, some statements failing and some not. Whoever is about to write
//! looks whether it has thawed, with the turn, so nothing is looked at while nothing is frozen.
use crate::errors::translate;
use crate::handle::Handle;
use crate::text::begins_with;
use rowhouse_engine::{EngineError, THAW};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// No bound.
const NONE: u64 = u64::MAX;

/// What a frozen database still runs: what frees room, ends or begins a transaction, or tells.
const FREEING: &[&str] =
    &["DELETE", "DROP", "BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE", "PRAGMA"];

/// Less room on the disk than this, and it is the disk that is full and not the quota.
const DISK_FULL: u64 = 1 << 20;

/// How many bytes a database may take, and whether it is frozen.
#[derive(Debug)]
pub(crate) struct Quota {
    most: AtomicU64,
    frozen: AtomicBool,
}

/// What of its database's quota a connection has taken note of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noted {
    most: u64,
    /// The file has more pages than it may, though not all may be in use.
    oversized: bool,
}

/// A database's pages.
#[derive(Clone, Copy, Debug)]
struct Pages {
    size: u64,
    count: u64,
    free: u64,
}

// === impl Quota ===

impl Default for Quota {
    fn default() -> Self {
        Self { most: AtomicU64::new(NONE), frozen: AtomicBool::new(false) }
    }
}

impl Quota {
    pub(crate) fn set(&self, most: Option<u64>) {
        self.most.store(most.unwrap_or(NONE), Ordering::SeqCst);
    }

    /// Whether it was frozen when that was looked at last.
    pub(crate) fn was_frozen(&self) -> bool {
        self.frozen.load(Ordering::SeqCst)
    }

    fn most(&self) -> u64 {
        self.most.load(Ordering::SeqCst)
    }

    /// Looks anew whether it is frozen.
    fn judge(&self, most: u64, pages: Pages) -> bool {
        let used = pages.used();
        if most <= used {
            self.frozen.store(true, Ordering::SeqCst);
        } else if used < thaw(most) {
            self.frozen.store(false, Ordering::SeqCst);
        }
        self.was_frozen()
    }
}

/// The bytes in use below which a database with this bound thaws.
fn thaw(most: u64) -> u64 {
    most / 100 * THAW
}

impl Default for Noted {
    fn default() -> Self {
        Self { most: NONE, oversized: false }
    }
}

impl Pages {
    fn used(self) -> u64 {
        self.count.saturating_sub(self.free).saturating_mul(self.size)
    }
}

// === impl Handle ===

impl Handle {
    /// Fails when `sql`, which writes, may not run because the database is frozen. To be called with the
    /// turn. Blocks.
    pub(crate) fn heed_quota(&self, sql: impl FnOnce() -> String) -> Result<(), EngineError> {
        let (most, noted) = (self.quota.most(), self.noted.get());
        if noted.most == most && !noted.oversized && !self.quota.was_frozen() {
            return Ok(());
        }
        if self.look_at_quota()? && !begins_with(&sql(), FREEING) {
            return Err(EngineError::QuotaReached { limit: most });
        }
        Ok(())
    }

    /// Looks whether the database is frozen. Blocks.
    pub(crate) fn look_at_quota(&self) -> Result<bool, EngineError> {
        let (most, noted) = (self.quota.most(), self.noted.get());
        let pages = self.pages().map_err(|error| translate(&error))?;
        if noted.most != most || noted.oversized {
            self.bound(most, pages).map_err(|error| translate(&error))?;
        }
        Ok(self.quota.judge(most, pages))
    }

    /// The error, told as the quota's if it was the quota that it met, which freezes the database if
    /// that holds too much by now. Blocks.
    pub(crate) fn tell_quota(&self, error: EngineError) -> EngineError {
        let most = self.noted.get().most;
        if most == NONE || !is_full(&error) || self.control.stop().is_some() || self.is_disk_full() {
            return error;
        }
        if let Ok(pages) = self.pages()
            && thaw(most) <= pages.used()
        {
            self.quota.frozen.store(true, Ordering::SeqCst);
        }
        EngineError::QuotaReached { limit: most }
    }

    fn bound(&self, most: u64, pages: Pages) -> rusqlite::Result<()> {
        // SQLite does not take a number beyond its own, nor one below what there is.
        let bound = (most / pages.size.max(1)).clamp(1, u64::from(u32::MAX - 1));
        self.tell_as_house(&format!("main.max_page_count={bound}"))?;
        self.noted.set(Noted { most, oversized: bound < pages.count });
        Ok(())
    }

    fn pages(&self) -> rusqlite::Result<Pages> {
        let size = self.tell_as_house("main.page_size")?;
        let (count, free) =
            (self.tell_as_house("main.page_count")?, self.tell_as_house("main.freelist_count")?);
        Ok(Pages { size, count, free })
    }
}

fn is_full(error: &EngineError) -> bool {
    use rowhouse_engine::Condition::Full;
    matches!(error, EngineError::Statement { condition: Full, .. })
}

/// Whether so little room is left on a disk that it is as good as full.
pub(crate) fn is_full_disk(free: u64) -> bool {
    free < DISK_FULL
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(count: u64, free: u64) -> Pages {
        Pages { size: 4096, count, free }
    }

    #[test]
    fn what_is_frozen_thaws_below_nine_tenths_only() {
        let quota = Quota::default();
        let most = 100 * 4096;
        assert!(!quota.judge(most, pages(99, 0)));
        assert!(quota.judge(most, pages(100, 0)));
        assert!(quota.judge(most, pages(100, 10)), "nine tenths are in use");
        assert!(!quota.judge(most, pages(100, 11)));
        assert!(!quota.judge(most, pages(95, 0)), "and then it may fill again");
        assert!(quota.judge(most, pages(300, 0)));
        assert!(!quota.judge(4 * most, pages(300, 0)), "raised");
    }
}
