//! The journal of administration: the database `state.db` among the server's own state.
//!
//! It is opened by an engine of its own, which has no data directory and so no names: no request reaches
//! it, no listing and no schedule of backups shows it, no limit of tenants bounds it, and what tenants
//! run does not keep it waiting.
use crate::client_limit::ClientLimit;
use crate::config::{Config, Origin};
use rowhouse_engine::{Database, Engine, EngineError, Location, Presence};
use rowhouse_engine_sqlite::{
    Access, Config as SqliteConfig, Executor, ExecutorConfig, SqliteEngine, Synchronous,
};
use rowhouse_gateway::{Journal, JournalError, JournalParts, JournalReader, Observer};
use rowhouse_types::Reportable as _;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Threads for the journal: one that writes, and those that read beside it.
const THREADS: usize = 3;

/// An open journal, and the threads that serve it.
#[derive(Debug)]
pub(crate) struct Kept {
    journal: Journal,
    executor: Option<Executor>,
}

/// Why the server's journal cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum JournalStartError {
    /// The directory cannot be used.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is none.
    #[error("there is no history of changes in {}: give the server's --data-directory or --config; a server without a data directory keeps none", .0.display())]
    Missing(PathBuf),
    /// It was written by a newer program.
    #[error("cannot use {}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Which version.
        #[source]
        source: JournalError,
    },
    /// It is damaged.
    #[error(
        "the server's own state {} is damaged: put it back from a copy of the data directory, or move it away together with the files beside it that begin with its name, to start with an empty history (limits set while the server ran are forgotten then)",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: JournalError,
    },
    /// It cannot be read or written now.
    #[error(
        "the server's own state {} cannot be opened: look at the disk, and at the permissions of the file and its directory",
        path.display()
    )]
    Unavailable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: JournalError,
    },
}

// === impl Kept ===

impl Kept {
    /// Opens the journal of this configuration's data directory, whose state is locked; without a data
    /// directory, one in memory.
    pub(crate) async fn open(
        config: &Config,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, JournalStartError> {
        let Some(directory) = &config.data_directory else {
            return Ok(Self { journal: Journal::in_memory(), executor: None });
        };
        let path = file(directory);
        let (engine, executor) = engine(&path, Access::ReadWrite)?;
        let database =
            open_or_create(&*engine, &path).await.map_err(|source| failed(&path, source.into()))?;
        let parts =
            JournalParts { keep: config.audit_keep, persist_client_limit: config.persist_limit, observer };
        let journal = Journal::open(database, parts).await.map_err(|source| failed(&path, source.into()))?;
        Ok(Self { journal, executor: Some(executor) })
    }

    /// Which client limit is in force, and why; history begins with it.
    pub(crate) async fn client_limit(
        &self,
        config: &Config,
        origin: Origin,
    ) -> Result<ClientLimit, JournalStartError> {
        let kept = self.journal.kept().await.map_err(|source| {
            let path = config.data_directory.as_deref().map(file).unwrap_or_default();
            failed(&path, source.into())
        })?;
        let limit = ClientLimit::decide((config.client_limit, origin), config.persist_limit, &kept);
        // A disk that is full keeps no server from starting: observers hear of it.
        let _told = self.journal.record(limit.entry()).await;
        Ok(limit)
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Makes safe what was recorded, and lets go of the file.
    pub(crate) async fn close(self) {
        self.journal.close().await;
        if let Some(executor) = self.executor {
            executor.shut_down();
        }
    }
}

/// The journal of a data directory, to be read only: beside a running server, or without one.
#[derive(Debug)]
pub struct Audit {
    reader: JournalReader,
    executor: Executor,
}

// === impl Audit ===

impl Audit {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be read.
    pub async fn open(data_directory: &Path) -> Result<Self, JournalStartError> {
        let path = file(data_directory);
        if !path.exists() {
            return Err(JournalStartError::Missing(data_directory.to_owned()));
        }
        let (engine, executor) = engine(&path, Access::ReadOnly)?;
        let at = location(&path);
        let database = engine.open(&at).await.map_err(|source| failed(&path, source.into()))?;
        let reader = JournalReader::open(database).await.map_err(|source| failed(&path, source.into()))?;
        Ok(Self { reader, executor })
    }

    /// What reads it.
    pub fn reader(&self) -> &JournalReader {
        &self.reader
    }

    /// Lets go of it.
    pub async fn close(self) {
        // Nothing was written: there is nothing that could go wrong for anybody.
        let _closed = self.reader.close().await;
        self.executor.shut_down();
    }
}

/// Why a journal was not opened, before it is said of which file.
enum Reason {
    Engine(EngineError),
    Journal(JournalError),
}

impl From<EngineError> for Reason {
    fn from(source: EngineError) -> Self {
        Self::Engine(source)
    }
}

impl From<JournalError> for Reason {
    fn from(source: JournalError) -> Self {
        Self::Journal(source)
    }
}

fn failed(path: &Path, reason: Reason) -> JournalStartError {
    use rowhouse_types::ErrorCode::{DatabaseCorrupt, SqlError};
    let path = path.to_owned();
    let source = match reason {
        Reason::Engine(source) => JournalError::Unreadable(source),
        Reason::Journal(source) => source,
    };
    match &source {
        JournalError::Newer { .. } => JournalStartError::Newer { path, source },
        JournalError::Damaged { .. } | JournalError::Broken { .. } => {
            JournalStartError::Damaged { path, source }
        }
        // A table or a column that is not there was taken away.
        JournalError::Unreadable(error) | JournalError::Unwritable(error)
            if matches!(error.code(), DatabaseCorrupt | SqlError)
                || matches!(error, EngineError::NotADatabase) =>
        {
            JournalStartError::Damaged { path, source }
        }
        _ => JournalStartError::Unavailable { path, source },
    }
}

async fn open_or_create(engine: &dyn Engine, path: &Path) -> Result<Arc<dyn Database>, EngineError> {
    let at = location(path);
    if engine.probe(&at).await? == Presence::Absent {
        engine.create(&at).await?;
    }
    engine.open(&at).await
}

fn engine(path: &Path, access: Access) -> Result<(Arc<dyn Engine>, Executor), JournalStartError> {
    own_engine(access).map_err(|source| JournalStartError::Io { path: path.to_owned(), source })
}

/// An engine of the server's own, which no name leads to.
pub(super) fn own_engine(access: Access) -> io::Result<(Arc<dyn Engine>, Executor)> {
    let executor = Executor::new(ExecutorConfig {
        min_threads: 0,
        max_threads: NonZeroUsize::new(THREADS).expect("not zero"),
        ..ExecutorConfig::default()
    });
    // What was acknowledged is on the disk, whatever tenants' commits wait for.
    let config = SqliteConfig { access, synchronous: Synchronous::Full, ..SqliteConfig::default() };
    Ok((Arc::new(SqliteEngine::new(config, executor.clone())?), executor))
}

fn file(data_directory: &Path) -> PathBuf {
    data_directory.join(".rowhouse/state.db")
}

fn location(path: &Path) -> Location {
    Location(path.to_string_lossy().into_owned())
}
