//! The metadata database among the server's own state: `metadata.db`, or one in memory.
use super::journal::own_engine;
use crate::config::Config;
use rowhouse_engine::Location;
use rowhouse_engine_sqlite::{Access, Executor};
use rowhouse_gateway::metadata::{MAX_OVERFLOW, Metadata, MetadataParts, POOL_SIZE};
use std::io;
use std::num::NonZeroU32;

/// The metadata database, and the threads that serve it.
#[derive(Debug)]
pub(crate) struct OwnMetadata {
    pub(crate) metadata: Metadata,
    executor: Executor,
}

// === impl OwnMetadata ===

impl OwnMetadata {
    /// That of this configuration's data directory, whose state is locked; without a data directory, one in
    /// memory. It is opened when it is first asked.
    ///
    /// # Errors
    ///
    /// When SQLite cannot work here.
    pub(crate) fn new(config: &Config) -> io::Result<Self> {
        let (engine, executor) = own_engine(Access::ReadWrite)?;
        let location = match &config.data_directory {
            Some(directory) => {
                Location(directory.join(".rowhouse/metadata.db").to_string_lossy().into_owned())
            }
            None => Location(":memory:".to_owned()),
        };
        let sessions = NonZeroU32::new(POOL_SIZE + MAX_OVERFLOW).expect("not zero");
        let metadata = Metadata::new(MetadataParts { engine, location, sessions, is_exclusive: true });
        Ok(Self { metadata, executor })
    }

    /// Lets its threads go. It is closed by whoever uses it.
    pub(crate) fn close(self) {
        self.executor.shut_down();
    }
}
