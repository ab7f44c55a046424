//! The changes told last.
//!
//! Invariants: what is kept has consecutive numbers, the first told has number 1; no more is kept than may
//! be, one change apart.
use super::LiveLimits;
use super::position::Position;
use rowhouse_engine::{Change, News, Untold};
use std::collections::VecDeque;
use std::sync::Arc;

/// The changes told last.
#[derive(Debug)]
pub(super) struct Window {
    epoch: u64,
    /// The number of what was told last; 0 before anything was.
    last: u64,
    /// Ends with that.
    kept: VecDeque<Kept>,
    bytes: usize,
}

#[derive(Clone, Debug)]
enum Kept {
    Change(Arc<Change>),
    Gap(Untold),
}

/// What a subscriber is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// A row was changed.
    Change {
        /// To come again with, once this was heard.
        position: Position,
        /// How, and the row.
        change: Arc<Change>,
    },
    /// Something was committed that is not told.
    Gap {
        /// To come again with, once this was heard.
        position: Position,
        /// Why it is not.
        why: Untold,
    },
}

// === impl Window ===

impl Window {
    pub(super) fn new(epoch: u64) -> Self {
        Self { epoch, last: 0, kept: VecDeque::new(), bytes: 0 }
    }

    /// Where it is now.
    pub(super) fn now(&self) -> Position {
        self.at(self.last)
    }

    /// Keeps what has happened.
    pub(super) fn keep(&mut self, news: News, limits: &LiveLimits) {
        match news {
            News::Committed(changes) => {
                for change in changes {
                    self.push(Kept::Change(Arc::new(change)), limits);
                }
            }
            News::Gap(untold) => self.push(Kept::Gap(untold), limits),
        }
    }

    /// The number of what `from` has heard last. If that is of another telling, or has not been told yet,
    /// it has heard none of this one.
    pub(super) fn heard_by(&self, from: Position) -> Option<u64> {
        (from.epoch == self.epoch && from.number <= self.last).then_some(from.number)
    }

    /// What was told after `heard` and is `wanted`, up to `most`. `heard` becomes the number of what was looked at last.
    pub(super) fn after(&self, heard: &mut u64, most: usize, wanted: impl Fn(&Change) -> bool) -> Vec<Told> {
        let mut told = Vec::new();
        let before_first = self.last - self.kept.len() as u64;
        if *heard < before_first {
            *heard = before_first;
            told.push(Told::Gap { position: self.at(before_first), why: Untold::Overrun });
        }
        // It fits: so many are kept.
        let skipped = (*heard - before_first) as usize;
        for kept in self.kept.iter().skip(skipped) {
            if most <= told.len() {
                break;
            }
            *heard += 1;
            let position = self.at(*heard);
            match kept {
                Kept::Change(change) if wanted(change) => {
                    told.push(Told::Change { position, change: change.clone() });
                }
                Kept::Change(_) => {}
                Kept::Gap(why) => told.push(Told::Gap { position, why: *why }),
            }
        }
        told
    }

    pub(super) fn at(&self, number: u64) -> Position {
        Position { epoch: self.epoch, number }
    }

    fn push(&mut self, kept: Kept, limits: &LiveLimits) {
        self.last += 1;
        self.bytes += kept.size();
        self.kept.push_back(kept);
        let (most, most_bytes) = (limits.window.get() as usize, limits.window_bytes);
        while most < self.kept.len() || (1 < self.kept.len() && most_bytes < self.bytes as u64) {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= oldest.size();
        }
    }
}

// === impl Kept ===

impl Kept {
    fn size(&self) -> usize {
        let beside = match self {
            Self::Change(change) => change.size(),
            Self::Gap(_) => 0,
        };
        size_of::<Self>() + beside
    }
}
