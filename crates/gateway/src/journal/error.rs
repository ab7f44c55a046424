//! Why the journal could not do it.
use super::chain::Hash;
use rowhouse_engine::EngineError;

/// Why the journal could not do it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    /// It could not be written. What was done stands; the entry is held in memory, and written as soon
    /// as that is possible.
    #[error(
        "the change is in force but could not be recorded yet: the server's state cannot be written; look at the disk of the data directory"
    )]
    Unwritable(#[source] EngineError),
    /// As many entries wait to be written as may. What was done stands; the entry is lost.
    #[error(
        "the change is in force but was not recorded: {limit} entries wait already for the server's state to be written; look at the disk of the data directory"
    )]
    QueueFull {
        /// The most that may wait.
        limit: usize,
    },
    /// It could not be read.
    #[error("the server's state cannot be read")]
    Unreadable(#[source] EngineError),
    /// It holds what no version of this program has written.
    #[error("the server's state is damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: &'static str,
    },
    /// A newer program has written it.
    #[error(
        "the server's state was written by a newer rowhouse (schema {found}, this one knows up to {known})"
    )]
    Newer {
        /// The schema found.
        found: u64,
        /// The newest this program knows.
        known: u64,
    },
    /// The chain of entries does not hold.
    #[error("entry {id} {how}")]
    Broken {
        /// The first entry that is not as it was recorded.
        id: u64,
        /// In which way.
        how: Break,
    },
    /// The journal is closed.
    #[error("the server is shutting down")]
    Closed,
}

/// How an entry is not as it was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// Its content, or that of the entry before it, is not what its hash was made of.
    Changed,
    /// It is gone.
    Missing,
    /// It was not there when the chain's anchor was told.
    NotAsAnchored {
        /// The hash it had then.
        was: Hash,
    },
}

impl std::fmt::Display for Break {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Changed => f.write_str("was changed, moved or put in after it was recorded"),
            Self::Missing => f.write_str("is missing"),
            Self::NotAsAnchored { was } => write!(f, "is not the one that had the hash {was}"),
        }
    }
}
