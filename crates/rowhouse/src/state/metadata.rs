//! The metadata database: in PostgreSQL where that is configured, else `metadata.db` among the server's own
//! state, or one in memory.
use super::journal::own_engine;
use crate::config::Config;
use crate::postgres::{self, PostgresError};
use rowhouse_engine::{Engine, Location};
use rowhouse_engine_postgres::PostgresEngine;
use rowhouse_engine_sqlite::{Access, Executor};
use rowhouse_gateway::metadata::{Metadata, MetadataParts};
use std::io;
use std::sync::Arc;

/// What its server is called where that has no database of a tenant's.
const ALONE: &str = "metadata";

/// The metadata database, and what serves it.
#[derive(Debug)]
pub(crate) struct OwnMetadata {
    pub(crate) metadata: Metadata,
    by: By,
}

/// What serves it.
#[derive(Debug)]
enum By {
    Threads(Executor),
    Server(Arc<PostgresEngine>),
}

/// The metadata database cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum MetadataStartError {
    /// SQLite cannot work here.
    #[error("cannot use the data directory for the metadata database")]
    Io(#[from] io::Error),
    /// PostgreSQL cannot be spoken with.
    #[error("cannot use database_url")]
    Postgres(#[from] PostgresError),
}

// === impl OwnMetadata ===

impl OwnMetadata {
    /// That of this configuration, where the state of the data directory is locked, if there is one. It is
    /// opened when it is first asked.
    ///
    /// # Errors
    ///
    /// When it could not be opened whatever its state.
    pub(crate) fn new(config: &Config) -> Result<Self, MetadataStartError> {
        let pool = config.limits.metadata;
        if let Some(dsn) = &config.database_url {
            let servers = config.postgres.iter().flat_map(|postgres| &postgres.servers);
            let mut same = servers.filter(|server| server.admin.hosts == dsn.hosts);
            let label = same.next().map_or(ALONE, |server| &server.label);
            let (engine, location) = PostgresEngine::of_own(dsn, label).map_err(PostgresError::from)?;
            let engine = Arc::new(engine);
            let by = By::Server(engine.clone());
            let parts = MetadataParts { engine, location, pool, is_exclusive: false };
            return Ok(Self { metadata: Metadata::new(parts), by });
        }
        let (engine, executor): (Arc<dyn Engine>, _) = own_engine(Access::ReadWrite)?;
        let location = match &config.data_directory {
            Some(directory) => directory.join(".rowhouse/metadata.db").to_string_lossy().into_owned(),
            None => ":memory:".to_owned(),
        };
        let parts = MetadataParts { engine, location: Location(location), pool, is_exclusive: true };
        Ok(Self { metadata: Metadata::new(parts), by: By::Threads(executor) })
    }

    /// Lets go of what serves it. It is closed by whoever uses it.
    pub(crate) async fn close(self) {
        match self.by {
            By::Threads(executor) => executor.shut_down(),
            By::Server(engine) => postgres::shut_down(&engine).await,
        }
    }
}
