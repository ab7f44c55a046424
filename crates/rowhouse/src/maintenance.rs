//! Databases without a server, or beside one: backed up and restored by this process itself.
//!
//! A server that runs on the same data directory is not asked and not disturbed: SQLite's own locks
//! keep the two apart.
use crate::compose::{self, ComposeError, Openers};
use crate::config::Config;
use rowhouse_engine::{Course, Engine, EngineError, Location, Over, Presence, Restoration};
use rowhouse_engine_sqlite::Executor;
use rowhouse_gateway::{BackupParts, Backups, Catalog, Resolution, Silent};
use rowhouse_types::Target;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Databases to maintain.
#[derive(Debug)]
pub struct Maintenance {
    engine: Arc<dyn Engine>,
    catalog: Catalog,
    backups: Backups,
    _executor: Executor,
}

/// Why databases cannot be maintained.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    /// There is no place for backups.
    #[error("no place for backups: give --backup-dir DIRECTORY, or backup_dir in the configuration")]
    NoBackupDirectory,
    /// There is nothing to back up.
    #[error("the data directory {} does not exist: give the server's --data-directory or --config", .0.display())]
    NoData(PathBuf),
    /// There is no place for databases.
    #[error("no place for this database: give the server's --data-directory or --config")]
    NoDataDirectory,
    /// It lives in memory.
    #[error("it lives in the server's memory: restore it as another one with --as NEWNAME")]
    InMemory,
    /// The engine cannot work here.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// The engine failed.
    #[error("cannot restore the database")]
    Engine(#[from] EngineError),
}

impl Maintenance {
    /// The databases and backups of this configuration. Opens none.
    ///
    /// # Errors
    ///
    /// When there is no place for backups, or the data directory can neither be found nor made.
    pub fn new(config: &Config) -> Result<Self, MaintenanceError> {
        let plan = config.backups.clone().ok_or(MaintenanceError::NoBackupDirectory)?;
        let Openers { engine, executor, .. } = compose::openers(config, 0)?;
        let catalog = config.catalog.clone();
        let parts = BackupParts {
            plan,
            catalog: catalog.clone(),
            engine: engine.clone(),
            observer: Arc::new(Silent),
            gateway: None,
        };
        Ok(Self { engine, catalog, backups: Backups::new(parts), _executor: executor })
    }

    /// As [`Maintenance::new`], where there must be data already.
    ///
    /// # Errors
    ///
    /// As [`Maintenance::new`], and when there is no data directory.
    pub fn of_existing(config: &Config) -> Result<Self, MaintenanceError> {
        match &config.data_directory {
            Some(directory) if !directory.is_dir() => Err(MaintenanceError::NoData(directory.clone())),
            _ => Self::new(config),
        }
    }

    /// The backups.
    pub fn backups(&self) -> &Backups {
        &self.backups
    }

    /// Whether there is such a database.
    ///
    /// # Errors
    ///
    /// When there is something else in its place, or it has no place.
    pub async fn probe(&self, target: &Target) -> Result<Presence, MaintenanceError> {
        Ok(self.engine.probe(&self.locate(target)?).await?)
    }

    /// Restores the backup in the file `from` as the database `target`.
    ///
    /// # Errors
    ///
    /// As [`Engine::restore`]; nothing has changed then.
    pub async fn restore(
        &self,
        from: &Path,
        (target, over): (&Target, Over),
        course: &Course,
    ) -> Result<(), MaintenanceError> {
        let at = self.locate(target)?;
        Ok(self.engine.restore(&at, Restoration { from, over }, course).await?)
    }

    fn locate(&self, target: &Target) -> Result<Location, MaintenanceError> {
        let at = match (self.catalog.resolve(target), target) {
            (Ok(Resolution::Configured(spec)), _) => spec.location.clone(),
            (_, Target::Named(name)) => self.engine.locate(name),
            (_, Target::Default) => return Err(MaintenanceError::NoDataDirectory),
        };
        match at.0.as_str() {
            "" => Err(MaintenanceError::NoDataDirectory),
            ":memory:" => Err(MaintenanceError::InMemory),
            _ => Ok(at),
        }
    }
}
