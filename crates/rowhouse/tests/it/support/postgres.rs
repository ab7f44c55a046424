//! The PostgreSQL server of the tests, where there is one (`ROWHOUSE_TEST_POSTGRES`).
use rowhouse_engine::{Engine, Location};
use rowhouse_engine_postgres::{Dsn, PostgresEngine};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How the tests find the server.
const VARIABLE: &str = "ROWHOUSE_TEST_POSTGRES";

/// A database of a name that is nobody else's, to be made by whoever uses it, and removed in the end.
#[derive(Debug)]
pub(crate) struct OwnDatabase {
    dsn: Dsn,
}

/// The DSN of the server of the tests, as a superuser. Without one a test is skipped, and fails where `CI` is
/// `true`.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so in its output")]
pub(crate) fn url() -> Option<String> {
    if let Ok(url) = std::env::var(VARIABLE) {
        return Some(url);
    }
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{VARIABLE} names no server");
    println!("SKIPPED: {VARIABLE} names no server; `cargo xtask test` starts one");
    None
}

/// A name that no other test and no other run has.
pub(crate) fn unique(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{what}_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Runs SQL as the superuser through `psql`; what it yields, unaligned.
pub(crate) fn psql(sql: &str) -> String {
    let url = url().expect("looked at before");
    let output = Command::new("psql")
        .args(["--no-psqlrc", "-At", "--set=ON_ERROR_STOP=1", "--command", sql, &url])
        .output()
        .expect("psql is installed with the server");
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

/// A database of its own for a test.
pub(crate) fn database(what: &str) -> Option<OwnDatabase> {
    let url = url()?;
    let dsn = Dsn { database: unique(what), ..Dsn::parse(&url).expect("a DSN") };
    Some(OwnDatabase { dsn })
}

// === impl OwnDatabase ===

impl OwnDatabase {
    /// An engine for it, as a process of its own has one, and where it is.
    pub(crate) fn own(&self) -> (Arc<dyn Engine>, Location) {
        let (engine, location) = PostgresEngine::of_own(&self.dsn).expect("an engine");
        (Arc::new(engine), location)
    }

    /// Removes it.
    pub(crate) async fn done(self) {
        let sql = format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", self.dsn.database);
        tokio::task::spawn_blocking(move || psql(&sql)).await.expect("it is removed");
    }
}
