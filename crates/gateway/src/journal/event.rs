//! What happens to a journal itself.
use super::chain::Hash;
use std::error::Error;

/// Something that happened to a journal. Past tense, borrowed, cheap.
#[derive(Debug)]
#[non_exhaustive]
pub enum JournalEvent<'a> {
    /// Nothing can be recorded any more; entries are held in memory until it can be. Told once, until
    /// it went well again.
    Failed {
        /// Why, with its causes, for operators only.
        error: &'a dyn Error,
        /// How many entries wait.
        owed: u64,
    },
    /// It can be recorded again.
    Recovered {
        /// How many were lost since the start, because there were too many to hold them.
        lost: u64,
    },
    /// Entries were lost with the end of the process: they could not be written.
    Lost {
        /// How many.
        entries: u64,
    },
    /// The latest entries are not as they were recorded. Told at the start.
    Broken {
        /// The first of them, and in which way.
        error: &'a dyn Error,
    },
    /// The chain ends with this entry: at the start, once in a thousand entries or so, and at the end.
    /// Whoever keeps this elsewhere can tell later that nothing before was changed.
    Anchored {
        /// Its number; 0 when there is none.
        entry: u64,
        /// Its hash.
        hash: Hash,
    },
    /// The database did not close cleanly; what was recorded is safe.
    NotClosed {
        /// Why, for operators only.
        error: &'a dyn Error,
    },
}
