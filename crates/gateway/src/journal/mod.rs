//! The journal: what administration did, by whom, and how it ended; kept where it cannot be changed unseen.
//!
//! | file | holds |
//! | --- | --- |
//! | `entry` | what is recorded, and what is asked for |
//! | `handle` | the journal itself: the door for callers |
//! | `chain` | the hash of an entry, which covers the one before it |
//! | `memory` | a journal without a disk |
mod chain;
mod counts;
mod entry;
mod error;
mod handle;
mod memory;
mod words;

pub use chain::{Hash, Verified};
pub use counts::JournalCounts;
pub use entry::{Action, Cause, Entry, Interface, Query, Recorded, Verdict};
pub use error::{Break, JournalError};
pub use handle::{Journal, Recording};
