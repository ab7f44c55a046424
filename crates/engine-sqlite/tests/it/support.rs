//! An engine in a temporary directory: the one that `subject` makes, so that these tests serve each way in
//! which SQLite is run.
use crate::subject::Subject;
use rowhouse_engine::conformance::{Harness, run, within};
use rowhouse_engine::{Condition, Connection, Engine, EngineError, Location, Options, SqlPolicy};
use rowhouse_engine_sqlite::{Config, Executor, ExecutorConfig};
use rowhouse_types::{Arguments, Request};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// An engine of files.
pub(crate) struct Files {
    pub(crate) engine: Arc<Subject>,
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
        let config = Config { data_directory: Some(directory.path().join("data")), ..config.clone() };
        let (engine, executor) = crate::subject::make(config, executor);
        Self { engine: Arc::new(engine), executor, directory }
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

/// The ways in which a client can have SQL run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Execute,
    Repeat,
    Script,
    /// As the second statement of a script.
    ScriptLater,
    /// In a transaction.
    Transaction,
}

impl Form {
    const ALL: [Self; 5] = [Self::Execute, Self::Repeat, Self::Script, Self::ScriptLater, Self::Transaction];

    fn request(self, sql: &str) -> Request {
        match self {
            Self::Execute | Self::Transaction => Request::execute(sql),
            Self::Repeat => Request::Repeat { sql: sql.into(), sets: vec![Arguments::None] },
            Self::Script => Request::script(sql),
            Self::ScriptLater => Request::script(format!("SELECT 1;\n{sql};")),
        }
    }

    /// Asserts that `sql` is denied in each form, under each policy, twice.
    pub(crate) async fn denied_in_each(connection: &mut dyn Connection, sql: &str) {
        for policy in [SqlPolicy::Standard, SqlPolicy::Guarded] {
            let options = || Options { policy, ..within(10_000) };
            for form in Self::ALL {
                if matches!(form, Self::Transaction) {
                    run(connection, Request::execute("BEGIN"), options()).await.expect("begins");
                }
                for _ in 0..2 {
                    let error = run(connection, form.request(sql), options()).await.expect_err(sql);
                    let EngineError::Statement { condition, message, .. } = &error else {
                        panic!("{form:?} {policy:?} {sql}: {error:?}")
                    };
                    assert_eq!(
                        (*condition, message.as_str()),
                        (Condition::Denied, "not authorized"),
                        "{form:?} {policy:?} {sql}"
                    );
                }
                if matches!(form, Self::Transaction) {
                    run(connection, Request::execute("ROLLBACK"), options()).await.expect("rolls back");
                }
            }
        }
    }
}
