//! An engine with databases of its own on the server of the tests.
use rowhouse_engine::conformance::Harness;
use rowhouse_engine::{Connection, Database, Engine, Location};
use rowhouse_engine_postgres::{Config, Dsn, NameTemplate, PostgresEngine, Secret};
use rowhouse_types::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// How the tests find the server.
const VARIABLE: &str = "ROWHOUSE_TEST_POSTGRES";

/// An engine, and a prefix of names that is nobody else's.
pub(crate) struct Cluster {
    pub(crate) engine: Arc<PostgresEngine>,
    pub(crate) prefix: String,
    directory: TempDir,
}

/// Ends a test that cannot run here; panics where every test must.
macro_rules! needs_postgres {
    () => {
        if !<$crate::support::Cluster as rowhouse_engine::conformance::Harness>::is_ready() {
            return;
        }
    };
}
pub(crate) use needs_postgres;

/// The server, as a superuser.
pub(crate) fn dsn() -> Dsn {
    Dsn::parse(&url()).expect("a DSN")
}

pub(crate) fn url() -> String {
    std::env::var_os(VARIABLE).expect("looked at before").into_string().expect("UTF-8")
}

// === impl Cluster ===

impl Cluster {
    pub(crate) fn open() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("t{}_{count}_", std::process::id());
        let engine = Self::beside(&prefix, change);
        Self { engine, prefix, directory: tempfile::tempdir().expect("a directory") }
    }

    /// One more engine for databases of this prefix, as another process has one.
    pub(crate) fn beside(prefix: &str, change: impl FnOnce(&mut Config)) -> Arc<PostgresEngine> {
        let names = NameTemplate::parse(&format!("{prefix}{{org_id}}")).expect("a template");
        let mut config = Config::new(dsn(), names, Secret::new("a secret of the tests"));
        config.programs = programs();
        change(&mut config);
        Arc::new(PostgresEngine::new(config).expect("an engine"))
    }

    pub(crate) fn at(&self, name: &str) -> Location {
        self.engine.locate(&name.parse().expect("a name"))
    }

    /// What the server calls a database.
    pub(crate) fn physical(&self, name: &str) -> String {
        self.at(name).0.split_once('/').expect("a label").1.to_owned()
    }

    pub(crate) async fn open_new(&self, name: &str) -> Arc<dyn Database> {
        rowhouse_engine::conformance::opened(self, name).await.database
    }

    pub(crate) async fn connect_new(&self, name: &str) -> Box<dyn Connection> {
        rowhouse_engine::conformance::connected(self, name).await
    }

    /// The rows of a query as the superuser, through `psql`: another client than the one that is tested.
    pub(crate) fn psql(&self, sql: &str) -> String {
        psql(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The databases and the roles that begin with the prefix.
    pub(crate) fn names(&self) -> Vec<String> {
        let all = format!(
            "SELECT 'database ' || datname FROM pg_database WHERE starts_with(datname, '{0}') UNION ALL \
             SELECT 'role ' || rolname FROM pg_roles WHERE starts_with(rolname, '{0}') ORDER BY 1",
            self.prefix
        );
        self.psql(&all).lines().map(|line| line.replace(&self.prefix, "")).collect()
    }
}

/// Where the programs of the newest server are.
pub(crate) fn programs() -> Option<PathBuf> {
    let told = std::process::Command::new("pg_config").arg("--bindir").output().ok()?;
    Some(PathBuf::from(String::from_utf8(told.stdout).ok()?.trim()))
        .filter(|bin| bin.join("pg_dump").exists())
}

/// Runs SQL as the superuser; what it yields, unaligned, or what went wrong.
pub(crate) fn psql(sql: &str) -> Result<String, String> {
    let output = std::process::Command::new("psql")
        .args(["--no-psqlrc", "-At", "--set=ON_ERROR_STOP=1", "--command", sql, &url()])
        .output()
        .expect("psql is installed with the server");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8").trim().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

impl Harness for Cluster {
    #[expect(clippy::print_stdout, reason = "a test that is skipped says so in its output")]
    fn is_ready() -> bool {
        if std::env::var_os(VARIABLE).is_some() {
            return true;
        }
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{VARIABLE} names no server");
        println!("SKIPPED: {VARIABLE} names no server; `cargo xtask test` starts one");
        false
    }

    async fn new() -> Self {
        Self::open()
    }

    /// What tests leave takes room on the disk; what a failed one leaves is removed when the server starts again.
    async fn done(self) {
        self.engine.shut_down().await;
        let databases =
            format!("SELECT datname FROM pg_database WHERE starts_with(datname, '{}')", self.prefix);
        let roles = format!("SELECT rolname FROM pg_roles WHERE starts_with(rolname, '{}')", self.prefix);
        let sweeping = tokio::task::spawn_blocking(move || {
            for name in psql(&databases)?.lines() {
                psql(&format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)"))?;
            }
            for name in psql(&roles)?.lines() {
                psql(&format!("DROP ROLE IF EXISTS \"{name}\""))?;
            }
            Ok::<_, String>(())
        });
        sweeping.await.expect("does not panic").expect("sweeps");
    }

    fn engine(&self) -> Arc<dyn Engine> {
        self.engine.clone()
    }

    fn scratch(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn endless(&self) -> &'static str {
        "SELECT generate_series(1, 9223372036854775807) AS x"
    }

    fn count_to(&self, n: u64) -> String {
        format!("SELECT generate_series(1, {n}) AS x")
    }

    /// An argument has the type of its place.
    fn place(&self, place: &str, value: &Value) -> String {
        let type_name = match value {
            Value::Null | Value::Text(_) => "text",
            Value::Integer(_) => "bigint",
            Value::Real(_) => "double precision",
            Value::Blob(_) => "bytea",
        };
        format!("CAST({place} AS {type_name})")
    }

    /// Text has no NUL.
    fn can_hold(&self, value: &Value) -> bool {
        !matches!(value, Value::Text(text) if text.contains('\0'))
    }
}
