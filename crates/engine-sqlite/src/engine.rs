//! The engine: finds, makes, opens and destroys databases.
use crate::backup::{self, Copier};
use crate::claim::Claimed;
use crate::config::Config;
use crate::database::{Parts, SqliteDatabase};
use crate::errors::storage;
use crate::executor::Executor;
use crate::files::{Files, Place};
use crate::handle::Source;
use crate::kept::Kept;
use crate::occupancy::{Occupancy, Occupant};
use futures::future::BoxFuture;
use rowhouse_engine::{
    Claim, Claimant, Course, Database, Engine, EngineError, Location, Presence, Restoration, Stamp,
};
use rowhouse_types::DatabaseName;
use rowhouse_wal_locks::Keeper;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The location of a database in memory. Each opening makes a new one.
const MEMORY: &str = ":memory:";

/// SQLite databases: files of the data directory by name, files elsewhere by path, and memory.
#[derive(Debug)]
pub struct SqliteEngine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    executor: Executor,
    files: Arc<Files>,
    copier: Copier,
    occupancy: Occupancy,
    kept: Kept,
    locks: Keeper,
    /// Memory is named process-wide; engines of one process must not meet.
    memory_prefix: u64,
    memories: AtomicU64,
}

// === impl SqliteEngine ===

impl SqliteEngine {
    /// An engine that does its work on `executor`.
    ///
    /// # Errors
    ///
    /// When the data directory, or the one for temporary files, can neither be found nor be created, or there can be
    /// no thread more.
    pub fn new(config: Config, executor: Executor) -> io::Result<Self> {
        let files = Files::new(config.data_directory.as_deref())?;
        if let Some(directory) = &config.temporary_directory {
            crate::hardening::put_temporaries_in(directory)?;
        }
        let memory_prefix = RandomState::new().hash_one("rowhouse");
        let (kept, locks) = (Kept::new(config.kept_logs), Keeper::start()?);
        let config = Arc::new(config);
        let (files, occupancy) = (Arc::new(files), Occupancy::default());
        let copier = Copier::new(files.clone(), config, occupancy.clone());
        let memories = AtomicU64::new(0);
        let inner = Inner { executor, files, copier, occupancy, kept, locks, memory_prefix, memories };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Opens the database at `path`, without telling anybody what it is.
    #[cfg(test)]
    pub(crate) fn open_here(&self, path: &str) -> Result<SqliteDatabase, EngineError> {
        self.inner.reopen(path).map_or_else(|| self.inner.open(path), Ok)
    }

    /// Runs `work` on the executor.
    async fn on_executor<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let inner = self.inner.clone();
        self.inner.executor.call(move || work(&inner)).await?
    }
}

impl Engine for SqliteEngine {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    /// The file `<name>.db` of the data directory; without a data directory, nowhere.
    fn locate(&self, name: &DatabaseName) -> Location {
        let path = self.inner.files.path_of(name.as_str());
        let path = path.and_then(|path| path.into_os_string().into_string().ok());
        Location(path.unwrap_or_default())
    }

    fn probe<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<Presence, EngineError>> {
        Box::pin(async move {
            match at.0.as_str() {
                "" => Ok(Presence::Absent),
                MEMORY => Ok(Presence::Present),
                path => {
                    let path = path.to_owned();
                    self.on_executor(move |inner| inner.files.place(&path)?.probe()).await
                }
            }
        })
    }

    fn create<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(async move {
            match at.0.as_str() {
                "" => Err(storage(io::Error::new(io::ErrorKind::NotFound, "there is no data directory"))),
                MEMORY => Err(EngineError::AlreadyExists),
                path => {
                    let path = path.to_owned();
                    self.on_executor(move |inner| inner.files.create(&inner.files.place(&path)?)).await
                }
            }
        })
    }

    fn claim<'a>(
        &'a self,
        at: &'a Location,
        by: Claimant,
    ) -> BoxFuture<'a, Result<Box<dyn Claim>, EngineError>> {
        Box::pin(async move {
            let path = at.0.clone();
            let executor = self.inner.executor.clone();
            self.on_executor(move |inner| {
                let claimed = match path.as_str() {
                    "" => return Err(EngineError::NoSuchDatabase),
                    MEMORY => Claimed::memory(executor),
                    path => Claimed::file(inner.files.place(path)?, by, &inner.occupancy, executor)?,
                };
                let claim: Box<dyn Claim> = Box::new(claimed);
                Ok(claim)
            })
            .await
        })
    }

    fn open<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<Arc<dyn Database>, EngineError>> {
        Box::pin(async move {
            let path = at.0.clone();
            let database = match self.inner.reopen(&path) {
                Some(database) => database,
                None => self.on_executor(move |inner| inner.open(&path)).await?,
            };
            let database: Arc<dyn Database> = Arc::new(database);
            Ok(database)
        })
    }

    fn destroy<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(async move {
            match at.0.as_str() {
                "" => Err(EngineError::NoSuchDatabase),
                MEMORY => Ok(()),
                path => {
                    let path = path.to_owned();
                    self.on_executor(move |inner| inner.destroy(&path)).await
                }
            }
        })
    }

    fn size<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Option<u64>> {
        Box::pin(async move {
            match at.0.as_str() {
                "" | MEMORY => None,
                path => {
                    let path = path.to_owned();
                    let looking = self.on_executor(move |inner| Ok(inner.files.place(&path)?.size()));
                    looking.await.ok().flatten()
                }
            }
        })
    }

    fn clear_leftovers(&self, age: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let clearing = self.on_executor(move |inner| {
                inner.kept.clear(age, inner.copier.config(), &inner.occupancy);
                Ok(())
            });
            // It is done later then.
            let _overloaded = clearing.await;
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<DatabaseName>, EngineError>> {
        Box::pin(async move {
            let stems = self.on_executor(|inner| inner.files.stems()).await?;
            let mut names: Vec<_> = stems.iter().filter_map(|stem| stem.parse().ok()).collect();
            names.sort();
            Ok(names)
        })
    }

    fn stamp<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<Stamp, EngineError>> {
        Box::pin(async move {
            match at.0.as_str() {
                "" | MEMORY => Err(EngineError::NoSuchDatabase),
                path => {
                    let path = path.to_owned();
                    self.on_executor(move |inner| backup::stamp(&inner.files.place(&path)?)).await
                }
            }
        })
    }

    fn backup<'a>(
        &'a self,
        at: &'a Location,
        to: &'a Path,
        course: &'a Course,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(async move {
            let source = match at.0.as_str() {
                "" | MEMORY => return Err(EngineError::NoSuchDatabase),
                path => {
                    let path = path.to_owned();
                    let found = self.on_executor(move |inner| Source::file(inner.files.place(&path)?));
                    found.await?.0
                }
            };
            self.inner.copier.back_up(source, (), to, course).await
        })
    }

    fn restore<'a>(
        &'a self,
        at: &'a Location,
        restoration: Restoration<'a>,
        course: &'a Course,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(async move {
            match at.0.as_str() {
                "" | MEMORY => Err(EngineError::NoSuchDatabase),
                path => {
                    let at = path.to_owned();
                    // What comes there is not what left its log.
                    let forgetting = self.on_executor(move |inner| {
                        inner.kept.reuse(&inner.files.place(&at)?);
                        Ok(())
                    });
                    forgetting.await?;
                    self.inner.copier.restore(path.to_owned(), restoration, course).await
                }
            }
        })
    }
}

// === impl Inner ===

impl Inner {
    fn open(&self, path: &str) -> Result<SqliteDatabase, EngineError> {
        let (source, occupant) = match path {
            "" => return Err(EngineError::NoSuchDatabase),
            MEMORY => (self.memory(), None),
            path => {
                let place: Place = self.files.place(path)?;
                let (source, identity) = Source::file(place.clone())?;
                (source.keeping_locks(&self.locks), Some(self.occupancy.enter(&place, identity)?))
            }
        };
        SqliteDatabase::open(self.parts(source, occupant))
    }

    /// Opens a file that was closed a moment ago and left its log, without a connection; `None` if it is not
    /// the one it was, or somebody is in the way. Blocks for some looks at the file system.
    fn reopen(&self, path: &str) -> Option<SqliteDatabase> {
        let identity = self.kept.identity(Path::new(path))?;
        let place = self.files.place(path).ok()?;
        if place.identify().ok()? != Some(identity) {
            return None;
        }
        let occupant = self.occupancy.enter_now(&place, identity).ok()?;
        self.kept.reuse(&place);
        // How its name is written was looked at when it was opened before.
        let source = Source::File { place, identity, family: None }.keeping_locks(&self.locks);
        Some(SqliteDatabase::unread(self.parts(source, Some(occupant))))
    }

    fn parts(&self, source: Source, occupant: Option<Occupant>) -> Parts {
        let (executor, copier) = (self.executor.party(), self.copier.clone());
        Parts { source, executor, copier, occupant, kept: self.kept.clone() }
    }

    fn destroy(&self, path: &str) -> Result<(), EngineError> {
        let place = self.files.place(path)?;
        self.kept.reuse(&place);
        self.files.destroy(&place)
    }

    fn memory(&self) -> Source {
        let serial = self.memories.fetch_add(1, Ordering::Relaxed);
        // The leading slash makes it visible to all connections of the process.
        Source::Memory { name: format!("/rowhouse-{:016x}-{serial}", self.memory_prefix) }
    }
}
