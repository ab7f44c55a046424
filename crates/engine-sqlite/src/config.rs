//! What an operator decides about SQLite databases.
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// The settings of a [`SqliteEngine`](crate::SqliteEngine).
#[derive(Clone, Debug)]
pub struct Config {
    /// Where databases live that are found by name. It is created if missing.
    pub data_directory: Option<PathBuf>,
    /// Where is put what does not fit in memory while a statement runs; it is created if missing. SQLite
    /// has one such place per process. Where the system puts it if there is none.
    pub temporary_directory: Option<PathBuf>,
    /// What its connections may do to files.
    pub access: Access,
    /// What a commit waits for.
    pub synchronous: Synchronous,
    /// How long a statement waits for a lock another process holds, its deadline permitting.
    pub busy_timeout: Duration,
    /// How many statements that do not write may run at once, per database.
    pub lanes: NonZeroU32,
    /// How many statements may wait for their turn to write, or for a lane, per database.
    pub writers_waiting: u32,
    /// Of how many databases that were closed the empty log may stay for a while, so that they are opened
    /// sooner. Who sets it calls [`clear_leftovers`](rowhouse_engine::Engine::clear_leftovers) now and then.
    pub kept_logs: usize,
    /// Prepared statements kept per connection.
    pub statement_cache: usize,
    /// What one statement or database may take.
    pub limits: Limits,
}

/// What connections may do to files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Read and write them.
    #[default]
    ReadWrite,
    /// Read them only: nothing is created, changed or tidied up, and another process that writes is not
    /// disturbed.
    ReadOnly,
}

/// What a commit waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// The disk: what was acknowledged survives a loss of power.
    #[default]
    Full,
    /// The disk at checkpoints: a loss of power may undo the last commits, but breaks nothing.
    Normal,
    /// Nothing: a loss of power may destroy the database.
    Off,
}

/// What one statement or database may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest text, blob or row, in bytes.
    pub value_bytes: u32,
    /// The longest SQL text, in bytes.
    pub sql_bytes: u32,
    /// The longest pattern of `LIKE` and `GLOB`, in bytes.
    pub pattern_bytes: u32,
    /// The most one statement may write to disk, temporary files included, and the most the temporary
    /// tables of one connection may take, in bytes.
    pub written_bytes: u64,
    /// The pages in the write-ahead log after which a commit empties it into the database. Whoever
    /// opens the database after a crash reads so much first: some 3 µs a page.
    pub wal_pages: u32,
    /// The size the write-ahead log is cut back to after a checkpoint, in bytes.
    pub wal_bytes: u64,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            data_directory: None,
            temporary_directory: None,
            access: Access::default(),
            synchronous: Synchronous::default(),
            busy_timeout: Duration::from_secs(5),
            lanes: NonZeroU32::new(8).expect("not zero"),
            writers_waiting: 10_000,
            kept_logs: 0,
            statement_cache: 32,
            limits: Limits::default(),
        }
    }
}

// === impl Synchronous ===

impl Synchronous {
    /// The word SQLite knows it by.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Normal => "NORMAL",
            Self::Off => "OFF",
        }
    }
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            value_bytes: 64 << 20,
            sql_bytes: 4 << 20,
            pattern_bytes: 1_000,
            written_bytes: 4 << 30,
            wal_pages: 256,
            wal_bytes: 4 << 20,
        }
    }
}
