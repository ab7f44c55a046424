//! Copies of databases: what tells that a new one is worth making, and how one under way goes on.
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// Tells one content of a database from another: equal stamps mean that nothing has changed.
///
/// Different stamps mean nothing. A stamp stays what it is when the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp(u64);

/// How much of the machine a copy may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// At most half of the time: whoever is served meanwhile shall not notice.
    Gentle,
    /// As fast as it goes.
    Full,
}

/// What a copy is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It waits for its turn.
    Waiting,
    /// Content is being copied.
    Copying,
    /// The copy is being checked.
    Verifying,
}

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it is at.
    pub stage: Stage,
    /// Parts done of this stage, in the engine's own measure.
    pub done: u64,
    /// Parts of this stage; 0 when that is not known.
    pub total: u64,
}

/// The course of one backup or restore, seen from both sides: whoever asked for it may look how far
/// it is and stop it. Cloning yields another handle.
#[derive(Clone, Debug)]
pub struct Course {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pace: Pace,
    stop: AtomicBool,
    stage: AtomicU8,
    done: AtomicU64,
    total: AtomicU64,
}

/// What a restore is to do.
#[derive(Clone, Copy, Debug)]
pub struct Restoration<'a> {
    /// The backup: a file of this engine's making, or of a stranger's.
    pub from: &'a Path,
    /// What there may be at the place.
    pub over: Over,
}

/// What there may be where a backup is restored to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Nothing: a database is made.
    Nothing,
    /// A database that nobody uses: its content is replaced.
    Existing,
}

// === impl Stamp ===

impl Stamp {
    /// Equal to no other, so that whoever compares finds a change: when the engine cannot tell.
    pub const UNKNOWN: Self = Self(0);

    /// The stamp of what is described by `parts`, in this order.
    pub fn of(parts: &[u64]) -> Self {
        // FNV-1a: the same in every process and version, which the standard library's is not.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in parts.iter().flat_map(|part| part.to_le_bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Self(hash.max(1))
    }

    /// The stamp that was written as this number.
    pub fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// A number to write it as.
    pub fn as_u64(self) -> u64 {
        self.0
    }

    /// Whether the content is certainly that of `other`.
    pub fn is_unchanged_since(self, other: Self) -> bool {
        self == other && self != Self::UNKNOWN
    }
}

// === impl Course ===

impl Course {
    /// The course of a copy at this pace.
    pub fn new(pace: Pace) -> Self {
        let (done, total) = (AtomicU64::new(0), AtomicU64::new(0));
        let shared = Shared { pace, stop: AtomicBool::new(false), stage: AtomicU8::new(0), done, total };
        Self { shared: Arc::new(shared) }
    }

    /// How much of the machine it may take.
    pub fn pace(&self) -> Pace {
        self.shared.pace
    }

    /// Asks it to stop. It does so soon, as if it had failed.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::SeqCst);
    }

    /// Whether it was asked to stop.
    pub fn must_stop(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }

    /// Tells how far it is. For the engine.
    pub fn tell(&self, stage: Stage, done: u64, total: u64) {
        let stage = match stage {
            Stage::Waiting => 0,
            Stage::Copying => 1,
            Stage::Verifying => 2,
        };
        self.shared.stage.store(stage, Ordering::Relaxed);
        self.shared.done.store(done, Ordering::Relaxed);
        self.shared.total.store(total, Ordering::Relaxed);
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let stage = match self.shared.stage.load(Ordering::Relaxed) {
            0 => Stage::Waiting,
            1 => Stage::Copying,
            _ => Stage::Verifying,
        };
        let (done, total) = (&self.shared.done, &self.shared.total);
        Progress { stage, done: done.load(Ordering::Relaxed), total: total.load(Ordering::Relaxed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_stamp_is_a_change_even_to_itself() {
        assert!(!Stamp::UNKNOWN.is_unchanged_since(Stamp::UNKNOWN));
        let stamp = Stamp::of(&[1, 2]);
        assert!(stamp.is_unchanged_since(Stamp::from_u64(stamp.as_u64())));
        assert!(!stamp.is_unchanged_since(Stamp::of(&[2, 1])));
    }
}
