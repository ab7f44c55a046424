//! The databases of a data directory without a server: listed, created and dropped by this process itself.
//!
//! Invariant: while a [`Directory`] lives, no server has the same data directory.
use crate::compose;
use crate::config::Config;
use crate::state::{State, StateError};
use rowhouse_engine::{Engine, EngineError, Presence};
use rowhouse_engine_sqlite::Executor;
use rowhouse_gateway::Catalog;
use rowhouse_types::{DatabaseName, Target};
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A data directory of this process's own.
#[derive(Debug)]
pub struct Directory {
    engine: Arc<dyn Engine>,
    catalog: Catalog,
    _executor: Executor,
    /// Held for its lock.
    _state: State,
}

/// Why something is not done with the databases of a directory.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// There is no such directory.
    #[error("the data directory {} does not exist", .0.display())]
    Missing(PathBuf),
    /// None is configured.
    #[error("no data directory: give --data-directory DIRECTORY")]
    Unknown,
    /// It cannot be had; a server may have it.
    #[error(transparent)]
    State(#[from] StateError),
    /// The engine cannot work here.
    #[error("cannot use the data directory")]
    Io(#[from] io::Error),
    /// It is there already.
    #[error("database {0} exists already")]
    Exists(DatabaseName),
    /// It is not there.
    #[error("there is no database {0}")]
    Absent(DatabaseName),
    /// The configuration names it, and would bring it back.
    #[error("database {0} is configured: take it out of database_map first")]
    Configured(DatabaseName),
    /// The engine failed.
    #[error("database {name}")]
    Engine {
        /// At which database.
        name: DatabaseName,
        /// Why.
        #[source]
        source: EngineError,
    },
    /// The databases cannot be listed.
    #[error("the databases cannot be listed")]
    List(#[source] EngineError),
}

impl Directory {
    /// Takes the data directory of this configuration for this process.
    ///
    /// # Errors
    ///
    /// When there is none, or a server or another process has it.
    pub fn take(config: &Config) -> Result<Self, DirectoryError> {
        let path = config.data_directory.as_deref().ok_or(DirectoryError::Unknown)?;
        if !path.is_dir() {
            return Err(DirectoryError::Missing(path.to_owned()));
        }
        let state = State::lock(path)?;
        let (engine, executor) = compose::engine(config)?;
        Ok(Self { engine, catalog: config.catalog.clone(), _executor: executor, _state: state })
    }

    /// The names of its databases, configured ones included, in order.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub async fn names(&self) -> Result<BTreeSet<DatabaseName>, DirectoryError> {
        let listed = self.engine.list().await.map_err(DirectoryError::List)?;
        let configured = self.catalog.configured().filter_map(|spec| spec.target.name().cloned());
        Ok(listed.into_iter().chain(configured).collect())
    }

    /// Creates an empty database.
    ///
    /// # Errors
    ///
    /// When there is one of that name, or it cannot be made.
    pub async fn create(&self, name: &DatabaseName) -> Result<(), DirectoryError> {
        self.must_be_by_name(name)?;
        match self.engine.create(&self.engine.locate(name)).await {
            Err(EngineError::AlreadyExists) => Err(DirectoryError::Exists(name.clone())),
            outcome => outcome.map_err(|source| DirectoryError::Engine { name: name.clone(), source }),
        }
    }

    /// Drops a database with all its rows.
    ///
    /// # Errors
    ///
    /// When there is none of that name, the configuration names it, or it cannot be removed.
    pub async fn drop_database(&self, name: &DatabaseName) -> Result<(), DirectoryError> {
        self.must_be_by_name(name)?;
        let failed = |source| DirectoryError::Engine { name: name.clone(), source };
        let at = self.engine.locate(name);
        match self.engine.probe(&at).await.map_err(failed)? {
            Presence::Absent => Err(DirectoryError::Absent(name.clone())),
            Presence::Present => self.engine.destroy(&at).await.map_err(failed),
        }
    }

    fn must_be_by_name(&self, name: &DatabaseName) -> Result<(), DirectoryError> {
        let target = Target::Named(name.clone());
        match self.catalog.configured().any(|spec| spec.target == target) {
            true => Err(DirectoryError::Configured(name.clone())),
            false => Ok(()),
        }
    }
}
