//! A data directory of a test's own, and an engine that works in it.
use crate::database::SqliteDatabase;
use crate::{Config, Executor, ExecutorConfig, SqliteEngine};
use rowhouse_engine::{Engine, Presence};
use tempfile::TempDir;

pub(crate) struct House {
    pub(crate) engine: SqliteEngine,
    pub(crate) directory: TempDir,
}

impl House {
    /// One in which so many closed databases may leave their logs.
    pub(crate) fn new(kept_logs: usize) -> Self {
        Self::with(Config { kept_logs, ..Config::default() })
    }

    /// One of these settings.
    pub(crate) fn with(config: Config) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = Config { data_directory: Some(directory.path().to_owned()), ..config };
        let engine = SqliteEngine::new(config, Executor::new(ExecutorConfig::default())).unwrap();
        Self { engine, directory }
    }

    /// Opens it, and makes it first if it is not there.
    pub(crate) async fn open(&self, name: &str) -> SqliteDatabase {
        let at = self.engine.locate(&name.parse().unwrap());
        if self.engine.probe(&at).await.unwrap() == Presence::Absent {
            self.engine.create(&at).await.unwrap();
        }
        self.engine.open_here(&at.0).unwrap()
    }
}
