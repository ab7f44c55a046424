//! Making backups, one at a time.
use super::shelf::{Backup, Draft, Shelves};
use crate::catalog::{Catalog, Resolution};
use crate::event::{Event, Observer};
use crate::gateway::Gateway;
use crate::places::{PlaceError, Places};
use rowhouse_engine::{Course, Database, Engine, EngineError, Location, Stamp};
use rowhouse_types::{ErrorCode, Reportable, Target};
use std::collections::BTreeSet;
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// What an operator decides about backups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where they lie.
    pub directory: PathBuf,
    /// How long after one round the next begins.
    pub interval: Duration,
    /// How many are kept of each database.
    pub keep: NonZeroU32,
}

/// What backups are made of.
#[derive(Clone, Debug)]
pub struct BackupParts {
    /// What an operator has decided.
    pub plan: Plan,
    /// Which databases there are.
    pub catalog: Catalog,
    /// Who copies them.
    pub engine: Arc<dyn Engine>,
    /// Who hears of it.
    pub observer: Arc<dyn Observer>,
    /// What is open in this process; without it, what lives in memory cannot be reached.
    pub gateway: Option<Gateway>,
}

/// The backups of all databases. Cloning yields another handle.
#[derive(Clone, Debug)]
pub struct Backups {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    parts: BackupParts,
    shelves: Shelves,
    /// Held by the one backup under way.
    turn: Mutex<()>,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// It lives in the memory of another process.
    #[error(
        "the database lives in the server's memory, which only the server itself can back up, on its interval"
    )]
    OutOfReach,
    /// The database could not be copied.
    #[error("the database cannot be copied")]
    Engine(#[from] EngineError),
    /// It cannot be told where the database is.
    #[error(transparent)]
    Place(PlaceError),
    /// The copy could not be put where backups lie.
    #[error("the backup cannot be kept")]
    Shelf(#[from] io::Error),
}

/// How to get at a database.
enum Source {
    /// Through what is open here.
    Open(Arc<dyn Database>),
    At(Location),
}

// === impl Backups ===

impl Backups {
    /// The backups by this plan. Makes nothing before the first one.
    pub fn new(parts: BackupParts) -> Self {
        let shelves = Shelves::new(&parts.plan.directory);
        Self { shared: Arc::new(Shared { parts, shelves, turn: Mutex::default() }) }
    }

    /// What an operator has decided.
    pub fn plan(&self) -> &Plan {
        &self.shared.parts.plan
    }

    /// Where they lie.
    pub fn shelves(&self) -> &Shelves {
        &self.shared.shelves
    }

    /// Every database there is to back up: the configured ones, and those in the data directory that
    /// are not configured under another name.
    ///
    /// # Errors
    ///
    /// When the databases cannot be listed.
    pub async fn targets(&self) -> Result<Vec<Target>, EngineError> {
        let BackupParts { catalog, engine, .. } = &self.shared.parts;
        let configured: Vec<_> = catalog.configured().collect();
        let places: BTreeSet<_> = configured.iter().map(|spec| spec.location.0.as_str()).collect();
        let mut targets: Vec<_> = configured.iter().map(|spec| spec.target.clone()).collect();
        for name in engine.list().await? {
            let at = engine.places(&name);
            let target = Target::Named(name);
            let is_configured = matches!(catalog.resolve(&target), Ok(Resolution::Configured(_)));
            if !is_configured && !at.iter().any(|place| places.contains(place.0.as_str())) {
                targets.push(target);
            }
        }
        Ok(targets)
    }

    /// Backs up a database now. Waits for the one under way.
    ///
    /// # Errors
    ///
    /// What was backed up before is there as before.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the backup and leaves nothing of it.
    pub async fn back_up(&self, target: &Target, course: &Course) -> Result<Backup, BackupError> {
        let _turn = self.shared.turn.lock().await;
        let started = Instant::now();
        let source = self.source(target).await;
        let stamp = match &source {
            Ok(source) => source.stamp(self.engine()).await,
            Err(_) => Ok(None),
        };
        let outcome = match (source, stamp) {
            (Err(error), _) => Err(error),
            (_, Err(error)) => Err(error.into()),
            (Ok(source), Ok(stamp)) => {
                self.copy(target, &source, stamp.unwrap_or(Stamp::UNKNOWN), course).await
            }
        };
        self.tell(target, started, course, &outcome);
        outcome
    }

    /// As [`Backups::back_up`], unless nothing has changed since the last one, or there is nothing
    /// that could be lost.
    pub async fn back_up_if_changed(
        &self,
        target: &Target,
        course: &Course,
    ) -> Result<Option<Backup>, BackupError> {
        let _turn = self.shared.turn.lock().await;
        let started = Instant::now();
        let outcome = self.copy_if_changed(target, course).await;
        match outcome {
            Ok(None) => Ok(None),
            Ok(Some(backup)) => {
                let outcome = Ok(backup);
                self.tell(target, started, course, &outcome);
                outcome.map(Some)
            }
            Err(error) => {
                let outcome = Err(error);
                self.tell(target, started, course, &outcome);
                outcome.map(Some)
            }
        }
    }

    /// The newest backup of each of these databases, as they lie on the disk now.
    pub async fn newest(&self, targets: Vec<Target>) -> Vec<Option<Backup>> {
        let shelves = self.shared.shelves.clone();
        let count = targets.len();
        let newest = blocking(move || {
            let newest = |target: &Target| shelves.list(target).ok().and_then(|mut all| all.pop());
            Ok(targets.iter().map(newest).collect())
        });
        newest.await.unwrap_or_else(|_| vec![None; count])
    }

    pub(super) fn observer(&self) -> &dyn Observer {
        &*self.shared.parts.observer
    }

    fn engine(&self) -> &dyn Engine {
        &*self.shared.parts.engine
    }

    async fn source(&self, target: &Target) -> Result<Source, BackupError> {
        let BackupParts { catalog, engine, gateway, .. } = &self.shared.parts;
        match (catalog.resolve(target), target) {
            (Ok(Resolution::Configured(spec)), _) if spec.location.0 == ":memory:" => {
                let open = gateway.as_ref().and_then(|gateway| gateway.configured(target));
                open.map(Source::Open).ok_or(BackupError::OutOfReach)
            }
            (Ok(Resolution::Configured(spec)), _) => Ok(Source::At(spec.location.clone())),
            (_, Target::Named(name)) => {
                let places = match gateway {
                    Some(gateway) => gateway.shared.places.clone(),
                    None => Places::new(engine.clone(), None),
                };
                let found = places.look(name, false).await.map_err(|error| match error {
                    PlaceError::Engine(error) => BackupError::from(error),
                    error => BackupError::Place(error),
                })?;
                Ok(Source::At(found.location))
            }
            (_, Target::Default) => Err(EngineError::NoSuchDatabase.into()),
        }
    }

    async fn copy_if_changed(&self, target: &Target, course: &Course) -> Result<Option<Backup>, BackupError> {
        let source = self.source(target).await?;
        // Before the copy: what changes from here on is found changed the next time.
        let stamp = match source.stamp(self.engine()).await {
            Ok(Some(stamp)) => stamp,
            Ok(None) => return Ok(None),
            // Gone since it was listed.
            Err(EngineError::NoSuchDatabase) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let newest = self.newest(vec![target.clone()]).await.pop().flatten();
        if newest.is_some_and(|newest| stamp.is_unchanged_since(newest.stamp)) {
            return Ok(None);
        }
        self.copy(target, &source, stamp, course).await.map(Some)
    }

    async fn copy(
        &self,
        target: &Target,
        source: &Source,
        stamp: Stamp,
        course: &Course,
    ) -> Result<Backup, BackupError> {
        let (shelves, keep) = (self.shared.shelves.clone(), self.shared.parts.plan.keep);
        let of = target.clone();
        let draft: Draft = blocking(move || {
            shelves.make()?;
            shelves.begin(&of)
        })
        .await?;
        source.copy(self.engine(), draft.path(), course).await?;
        Ok(blocking(move || draft.keep(stamp, keep)).await?)
    }

    fn tell(
        &self,
        database: &Target,
        started: Instant,
        course: &Course,
        outcome: &Result<Backup, BackupError>,
    ) {
        let event = match outcome {
            Ok(backup) => Event::BackedUp { database, bytes: backup.bytes, took: started.elapsed() },
            // As it was asked to.
            Err(_) if course.must_stop() => return,
            Err(error) => Event::BackupFailed { database, code: error.code(), error },
        };
        self.observer().observe(&event);
    }
}

// === impl Source ===

impl Source {
    async fn stamp(&self, engine: &dyn Engine) -> Result<Option<Stamp>, EngineError> {
        match self {
            Self::Open(database) => database.stamp().await,
            Self::At(location) => engine.stamp(location).await.map(Some),
        }
    }

    async fn copy(&self, engine: &dyn Engine, to: &Path, course: &Course) -> Result<(), EngineError> {
        match self {
            Self::Open(database) => database.backup(to, course).await,
            Self::At(location) => engine.backup(location, to, course).await,
        }
    }
}

// === impl BackupError ===

impl BackupError {
    /// What went wrong, as a code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::OutOfReach => ErrorCode::DatabaseUnavailable,
            Self::Engine(error) => error.code(),
            Self::Place(error) => error.code(),
            Self::Shelf(error) => match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorCode::DiskFull,
                io::ErrorKind::ResourceBusy => ErrorCode::DatabaseBusy,
                _ => ErrorCode::DatabaseUnavailable,
            },
        }
    }
}

/// Runs what looks at files on a thread where that is allowed.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|died| Err(io::Error::other(died)))
}
