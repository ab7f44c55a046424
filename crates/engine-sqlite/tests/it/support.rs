//! An engine in a temporary directory.
use rowhouse_engine::conformance::Harness;
use rowhouse_engine::{Connection, Engine, Location};
use rowhouse_engine_sqlite::{Config, Executor, ExecutorConfig, SqliteEngine};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// An engine of files.
pub(crate) struct Files {
    pub(crate) engine: Arc<SqliteEngine>,
    pub(crate) executor: Executor,
    pub(crate) directory: TempDir,
}

impl Files {
    pub(crate) fn open() -> Self {
        Self::with(&Config::default())
    }

    pub(crate) fn with(config: &Config) -> Self {
        Self::on(config, ExecutorConfig::default())
    }

    pub(crate) fn on(config: &Config, executor: ExecutorConfig) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let executor = Executor::new(executor);
        let config = Config { data_directory: Some(directory.path().join("data")), ..config.clone() };
        let engine = Arc::new(SqliteEngine::new(config, executor.clone()).expect("an engine"));
        Self { engine, executor, directory }
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join("data").join(file)
    }

    pub(crate) fn at(&self, name: &str) -> Location {
        self.engine.locate(&name.parse().expect("a name"))
    }

    /// The names of all files, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("")).expect("is there");
        let mut names: Vec<_> =
            entries.map(|e| e.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }

    pub(crate) async fn connect(&self, name: &str) -> Box<dyn Connection> {
        rowhouse_engine::conformance::connected(self, name).await
    }
}

impl Harness for Files {
    async fn new() -> Self {
        Self::open()
    }

    fn engine(&self) -> Arc<dyn Engine> {
        self.engine.clone()
    }

    fn scratch(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn endless(&self) -> &'static str {
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"
    }

    fn count_to(&self, n: u64) -> String {
        format!("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT {n}) SELECT x FROM c")
    }
}
