//! What every connection is made to be before it sees foreign SQL.
use crate::authorizer::Gatekeeper;
use crate::config::{Access, Config};
use crate::functions::guard;
use crate::watch::Watch;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Virtual-machine instructions between two looks at the deadline: some microseconds.
const LOOK_EVERY: i32 = 1_000;

/// The longest a connection sleeps before it tries a lock of another process again.
const LONGEST_NAP: Duration = Duration::from_millis(20);

/// Where a connection's pages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    File,
    /// In a file that the connection has to itself while it is open, and only reads.
    FileAlone,
    Memory,
}

/// Hardens a fresh connection; the gatekeeper stands at its door from then on.
///
/// # Errors
///
/// Whatever SQLite says, above all that the file is no database.
pub(crate) fn harden(
    connection: &mut Connection,
    storage: Storage,
    config: &Config,
    gatekeeper: &Arc<Gatekeeper>,
    watch: &Arc<Watch>,
) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(config.statement_cache);
    callbacks(connection, config, gatekeeper, watch)?;
    limits(connection, config)?;
    settings(connection)?;
    guard(connection, bytes(config.limits.value_bytes))?;
    pragmas(connection, storage, config)
}

/// Tells SQLite where to put what does not fit in memory: in `directory`, which only we may read.
///
/// It holds for the process: SQLite knows one such place.
pub(crate) fn put_temporaries_in(directory: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let directory = directory.canonicalize()?;
    let path = directory.to_str().ok_or(io::ErrorKind::InvalidInput)?.replace('\'', "''");
    let told = Connection::open_in_memory()
        .and_then(|connection| connection.execute_batch(&format!("PRAGMA temp_store_directory='{path}'")));
    told.map_err(io::Error::other)
}

/// Hardens a connection that will see SQL of our own only, but perhaps a stranger's file.
///
/// Without limits of size: what is stored already must be readable.
pub(crate) fn harden_for_house(connection: &Connection) -> rusqlite::Result<()> {
    settings(connection)?;
    connection.execute_batch("PRAGMA temp_store=MEMORY; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0;")
}

fn settings(connection: &Connection) -> rusqlite::Result<()> {
    for (setting, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
        (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
        // Each request says whether it wants them; the binding's build turns them on.
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false),
    ] {
        connection.set_db_config(setting, on)?;
    }
    Ok(())
}

fn callbacks(
    connection: &mut Connection,
    config: &Config,
    gatekeeper: &Arc<Gatekeeper>,
    watch: &Arc<Watch>,
) -> rusqlite::Result<()> {
    let patience = config.busy_timeout;
    let most = config.limits.written_bytes;
    let (at_progress, at_lock) = (watch.clone(), watch.clone());
    let mut since = Instant::now();
    connection.progress_handler(
        LOOK_EVERY,
        Some(move || at_progress.must_stop() || at_progress.overspends(most)),
    )?;
    connection.busy_handler(Some(move |tries: i32| {
        if tries == 0 {
            since = Instant::now();
        }
        if at_lock.must_not_wait() || at_lock.must_stop() || patience <= since.elapsed() {
            return false;
        }
        let nap = Duration::from_millis(u64::try_from(tries).unwrap_or(0) + 1);
        std::thread::sleep(nap.min(LONGEST_NAP));
        true
    }))?;
    // What has begun to commit is not interrupted any more: SQLite may look once more after the
    // commit, and would call interrupted what has taken effect.
    let at_commit = watch.clone();
    connection.commit_hook(Some(move || {
        at_commit.mask(true);
        false
    }))?;
    let gatekeeper = gatekeeper.clone();
    connection.authorizer(Some(move |context: rusqlite::hooks::AuthContext<'_>| gatekeeper.judge(context)))
}

fn limits(connection: &Connection, config: &Config) -> rusqlite::Result<()> {
    for (limit, value) in [
        (Limit::SQLITE_LIMIT_LENGTH, bytes(config.limits.value_bytes)),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, bytes(config.limits.sql_bytes)),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, bytes(config.limits.pattern_bytes)),
        (Limit::SQLITE_LIMIT_COLUMN, 2_000),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 500),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 500),
        (Limit::SQLITE_LIMIT_VDBE_OP, 10_000_000),
        (Limit::SQLITE_LIMIT_FUNCTION_ARG, 127),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 100),
        (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 32_766),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        connection.set_limit(limit, value)?;
    }
    Ok(())
}

fn pragmas(connection: &Connection, storage: Storage, config: &Config) -> rusqlite::Result<()> {
    if storage == Storage::FileAlone {
        // Before the file is touched. Of the other settings it has by itself those that concern who reads.
        return connection.execute_batch("PRAGMA locking_mode=EXCLUSIVE; PRAGMA cell_size_check=ON;");
    }
    let journal = match (storage, config.access) {
        (Storage::FileAlone, _) => unreachable!("it was told apart above"),
        (Storage::File, Access::ReadWrite) => "=WAL",
        (Storage::File, Access::ReadOnly) => "",
        (Storage::Memory, _) => "=MEMORY",
    };
    // The first to touch the file: it tells whether it is a database.
    let in_force: String =
        connection.query_row(&format!("PRAGMA journal_mode{journal}"), [], |row| row.get(0))?;
    if storage == Storage::File && in_force != "wal" {
        tracing::debug!(%in_force, "the database has no write-ahead log");
    }
    connection.execute_batch(&format!(
        "PRAGMA synchronous={}; PRAGMA temp_store=FILE; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; \
         PRAGMA wal_autocheckpoint={}; PRAGMA journal_size_limit={};",
        config.synchronous.as_str(),
        config.limits.wal_pages,
        config.limits.wal_bytes,
    ))?;
    bound_temporaries(connection, config.limits.written_bytes)
}

/// Bounds the connection's temporary tables.
fn bound_temporaries(connection: &Connection, bytes: u64) -> rusqlite::Result<()> {
    let page: u32 = connection.query_row("PRAGMA temp.page_size", [], |row| row.get(0))?;
    // SQLite does not take a number beyond its own.
    let pages = (bytes / u64::from(page.max(1))).clamp(1, u64::from(u32::MAX - 1));
    connection.execute_batch(&format!("PRAGMA temp.max_page_count={pages}"))
}

fn bytes(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}
