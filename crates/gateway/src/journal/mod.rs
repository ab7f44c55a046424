//! The journal: what administration did, by whom, and how it ended; kept where it cannot be changed unseen.
//!
//! | file | holds |
//! | --- | --- |
//! | `entry` | what is recorded, and what is asked for |
//! | `handle` | the journal itself: the door for callers |
//! | `chain` | the hash of an entry, which covers the one before it |
//! | `queue` | the one ledger: entries in the order of their calls, until they are safe |
//! | `writer` | the one task that makes them safe, many at once |
//! | `reader` | going through what is safe |
//! | `sql` | tables, and rows in and out |
//! | `event` | what happens to it: it cannot be written, it can again, its chain ends so |
//! | `memory` | a journal without a disk |
mod chain;
mod counts;
mod entry;
mod error;
mod event;
mod handle;
mod memory;
mod queue;
mod reader;
mod sql;
pub(crate) mod words;
mod writer;

pub use chain::{Hash, NoHash, Verified};
pub use counts::JournalCounts;
pub use entry::{Action, Cause, Entry, Interface, Query, Recorded, Verdict};
pub use error::{Break, JournalError};
pub use event::JournalEvent;
pub use handle::{Journal, JournalParts, Recording};
pub use reader::JournalReader;
