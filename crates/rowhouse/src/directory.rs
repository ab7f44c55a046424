//! The databases of a data directory without a server: listed, created and dropped by this process itself.
//!
//! Invariant: while a [`Directory`] lives, no server has the same data directory. What is done is recorded
//! in the server's journal, and a dropped database leaves no limits behind, as with a server.
use crate::compose::{self, ComposeError, Openers};
use crate::config::Config;
use crate::postgres;
use crate::state::{JournalStartError, Kept, MetadataStartError, OwnMetadata, State, StateError};
use rowhouse_access::Access;
use rowhouse_engine::{EngineError, Location};
use rowhouse_engine_postgres::PostgresEngine;
use rowhouse_engine_sqlite::Executor;
use rowhouse_engine_worker::WorkerEngine;
use rowhouse_gateway::metadata::Metadata;
use rowhouse_gateway::migrate::{self, Fleet, Migrator};
use rowhouse_gateway::{
    AdminError, Catalog, Cause, Dynamic, Gateway, Interface, JournalError, Parts, Removal, Roster, Silent,
    Spec,
};
use rowhouse_types::{DatabaseName, Target};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// A data directory of this process's own. To be closed.
#[derive(Debug)]
pub struct Directory {
    gateway: Gateway,
    /// What is configured; none of it is opened here.
    configured: Catalog,
    cause: Cause,
    metadata_migrations: Option<(Migrator, Metadata)>,
    executor: Executor,
    workers: Option<Arc<WorkerEngine>>,
    postgres: Option<Arc<PostgresEngine>>,
    kept: Kept,
    metadata: OwnMetadata,
    /// Held for its lock.
    state: State,
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
    /// What is done cannot be recorded.
    #[error(transparent)]
    Journal(#[from] JournalStartError),
    /// The engines cannot work here.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// The migrations cannot be used.
    #[error("cannot use org_migrations")]
    Migrations(#[from] migrate::DirectoryError),
    /// It is there already.
    #[error("database {0} exists already")]
    Exists(DatabaseName),
    /// It is not there.
    #[error("there is no database {0}")]
    Absent(DatabaseName),
    /// The configuration names it, and would bring it back.
    #[error("database {0} is configured: take it out of database_map first")]
    Configured(DatabaseName),
    /// It cannot be done.
    #[error("database {name}")]
    Failed {
        /// To which database.
        name: DatabaseName,
        /// Why.
        #[source]
        source: AdminError,
    },
    /// The metadata database cannot be had.
    #[error(transparent)]
    Metadata(#[from] MetadataStartError),
    /// The tokens and users cannot be read.
    #[error("cannot read the tokens and users that are kept")]
    Roster(#[source] JournalError),
    /// The databases cannot be listed.
    #[error("the databases cannot be listed")]
    List(#[source] EngineError),
}

impl Directory {
    /// Takes the data directory of this configuration for this process, on behalf of `who`.
    ///
    /// Needs a Tokio runtime with time enabled.
    ///
    /// # Errors
    ///
    /// When there is none, or a server or another process has it.
    pub async fn take(config: &Config, who: String) -> Result<Self, DirectoryError> {
        let path = config.data_directory.as_deref().ok_or(DirectoryError::Unknown)?;
        if !path.is_dir() {
            return Err(DirectoryError::Missing(path.to_owned()));
        }
        let state = State::lock(path)?;
        let kept = Kept::open(config, Arc::new(Silent)).await?;
        let Openers { engine, executor, workers, postgres } = compose::openers(config, 0)?;
        let metadata = OwnMetadata::new(config)?;
        let nothing = Spec { target: Target::Default, location: Location(":memory:".to_owned()) };
        let catalog = Catalog::new([nothing], Dynamic::Create).expect("one database has one name");
        let parts = Parts {
            catalog,
            engine,
            observer: Arc::new(Silent),
            limits: config.limits,
            journal: kept.journal().clone(),
            metadata: Some(metadata.metadata.clone()),
            migrator: compose::migrator(config)?,
        };
        let gateway = Gateway::start(parts).await.expect("a database in memory can always be opened");
        let cause = Cause { interface: Interface::Command, who, reason: None };
        let configured = config.catalog.clone();
        let metadata_migrations = compose::metadata_migrations(config, &metadata)?;
        Ok(Self {
            metadata_migrations,
            gateway,
            configured,
            cause,
            executor,
            workers,
            postgres,
            kept,
            metadata,
            state,
        })
    }

    /// The names of its databases, configured ones included, in order.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub async fn names(&self) -> Result<BTreeSet<DatabaseName>, DirectoryError> {
        let listed = self.gateway.known().await.map_err(DirectoryError::List)?;
        let configured = self.configured.configured().filter_map(|spec| spec.target.name().cloned());
        Ok(listed.into_iter().chain(configured).collect())
    }

    /// Creates an empty database.
    ///
    /// # Errors
    ///
    /// When there is one of that name, or it cannot be made.
    pub async fn create(&self, name: &DatabaseName) -> Result<(), DirectoryError> {
        self.must_be_by_name(name)?;
        self.gateway.create(name, &self.cause).await.map_err(|error| failed(name, error))
    }

    /// Drops a database with all its rows.
    ///
    /// # Errors
    ///
    /// When there is none of that name, the configuration names it, or it cannot be removed.
    pub async fn drop_database(&self, name: &DatabaseName) -> Result<(), DirectoryError> {
        self.must_be_by_name(name)?;
        let how = Removal::default();
        self.gateway.drop_database(name, how, &self.cause).await.map_err(|error| failed(name, error))
    }

    /// The API tokens and users that are kept here.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub async fn roster(&self) -> Result<Roster, DirectoryError> {
        let roster = Roster::open(Access::default(), self.kept.journal().clone()).await;
        roster.map_err(DirectoryError::Roster)
    }

    /// Runs over all its databases.
    pub fn fleet(&self) -> Fleet {
        Fleet::new(self.gateway.clone(), self.metadata_migrations.clone())
    }

    /// On whose behalf things are done here.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Makes safe what was recorded, and lets go of the directory.
    pub async fn close(self) {
        let Self { gateway, executor, workers, postgres, kept, metadata, state, .. } = self;
        gateway.shut_down().await;
        if let Some(workers) = workers {
            workers.shut_down().await;
        }
        if let Some(engine) = postgres {
            postgres::shut_down(&engine).await;
        }
        executor.shut_down();
        metadata.close().await;
        kept.close().await;
        drop(state);
    }

    fn must_be_by_name(&self, name: &DatabaseName) -> Result<(), DirectoryError> {
        let target = Target::Named(name.clone());
        match self.configured.configured().any(|spec| spec.target == target) {
            true => Err(DirectoryError::Configured(name.clone())),
            false => Ok(()),
        }
    }
}

fn failed(name: &DatabaseName, error: AdminError) -> DirectoryError {
    match error {
        AdminError::Exists => DirectoryError::Exists(name.clone()),
        AdminError::NotFound => DirectoryError::Absent(name.clone()),
        source => DirectoryError::Failed { name: name.clone(), source },
    }
}
