//! Databases in processes of their own: how this program starts its workers, and the worker.
use crate::config::Config;
use rowhouse_engine::Engine;
use rowhouse_engine_sqlite::{
    Access, Config as SqliteConfig, Executor, ExecutorConfig, Limits, SqliteEngine, Synchronous,
};
use rowhouse_engine_worker::{Launch, ServeError};
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::io;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The first argument of a worker.
const WORKER: &str = "__worker";

/// Threads of a worker beside those that read: one that writes, and one that looks after things.
const MORE_THREADS: u32 = 2;

/// How long a worker's thread stays idle; it is back in some 50 µs.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// What a worker may take.
#[derive(Clone, Copy, Debug)]
pub struct WorkerTerms {
    /// The most threads that run its SQL.
    pub threads: NonZeroUsize,
    /// The most memory, in bytes.
    pub memory: u64,
}

/// What a worker's engine is made of.
#[derive(Debug, Serialize, Deserialize)]
struct Setup {
    data_directory: Option<PathBuf>,
    temporary_directory: Option<PathBuf>,
    read_only: bool,
    synchronous: String,
    busy_timeout: Duration,
    lanes: NonZeroU32,
    writers_waiting: u32,
    statement_cache: usize,
    value_bytes: u32,
    sql_bytes: u32,
    pattern_bytes: u32,
    written_bytes: u64,
    wal_pages: u32,
    wal_bytes: u64,
    threads: NonZeroUsize,
}

/// This program, where it can start itself once more, even if its file was replaced meanwhile.
pub fn own_program() -> Option<PathBuf> {
    let own = Path::new("/proc/self/exe");
    if own.exists() { Some(own.to_owned()) } else { std::env::current_exe().ok() }
}

/// Serves as a worker, if that is what this process was started for; the first thing a program does
/// whose [`ServerBuilder::worker_program`](crate::ServerBuilder::worker_program) it is. `None` if not.
///
/// # Errors
///
/// When it was started by somebody else than a server, or cannot work.
pub fn serve_as_worker() -> Option<Result<(), ServeError>> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != WORKER {
        return None;
    }
    if let Some(name) = arguments.next() {
        call_process(&name.to_string_lossy());
    }
    Some(rowhouse_engine_worker::serve(engine))
}

/// Names the process after its database, as far as the system has room: 15 bytes.
fn call_process(name: &str) {
    let text: Vec<u8> = format!("rw:{name}").bytes().filter(|byte| *byte != 0).take(15).collect();
    if let Ok(text) = std::ffi::CString::new(text) {
        // It is a name for people only.
        let _unnamed = rustix::thread::set_name(&text);
    }
}

/// How the workers of this configuration are started.
pub(crate) fn launch(config: &Config, program: PathBuf, sqlite: &SqliteConfig) -> io::Result<Launch> {
    let threads = config.database_threads.saturating_add(MORE_THREADS);
    let most = config.executor_threads.min(usize::try_from(threads.get()).unwrap_or(usize::MAX));
    let threads = NonZeroUsize::new(most).expect("bounded by the table of options");
    WorkerTerms { threads, memory: config.worker_memory }.launch(program, sqlite)
}

/// The engine of a worker.
fn engine(setup: &[u8]) -> io::Result<Arc<dyn Engine>> {
    let setup: Setup = serde_json::from_slice(setup)?;
    let executor = Executor::new(ExecutorConfig {
        min_threads: 0,
        max_threads: setup.threads,
        keep_alive: KEEP_ALIVE,
        ..ExecutorConfig::default()
    });
    Ok(Arc::new(SqliteEngine::new(setup.into(), executor)?))
}

// === impl WorkerTerms ===

impl WorkerTerms {
    /// How workers of these terms are started, for databases of an engine with these settings.
    ///
    /// # Errors
    ///
    /// When a path of the settings cannot be written down.
    pub fn launch(self, program: PathBuf, sqlite: &SqliteConfig) -> io::Result<Launch> {
        Ok(Launch {
            program,
            arguments: vec![WORKER.into()],
            environment: std::env::vars_os().filter(|(name, _)| is_workers(name)).collect(),
            engine: serde_json::to_vec(&Setup::of(sqlite, self.threads))?,
            memory: Some(self.memory),
        })
    }
}

/// Whether a worker has this variable of the server's environment: how programs are loaded, and how they speak
/// and keep time. All others may hold what opens other doors.
fn is_workers(name: &OsStr) -> bool {
    const NAMES: [&str; 6] = ["HOME", "LANG", "LLVM_PROFILE_FILE", "PATH", "TMPDIR", "TZ"];
    const BEGINNINGS: [&str; 4] = ["DYLD_", "LC_", "LD_", "RUST_"];
    let Some(name) = name.to_str() else { return false };
    NAMES.contains(&name) || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

// === impl Setup ===

impl Setup {
    fn of(config: &SqliteConfig, threads: NonZeroUsize) -> Self {
        let SqliteConfig {
            data_directory,
            temporary_directory,
            access,
            synchronous,
            busy_timeout,
            lanes,
            writers_waiting,
            statement_cache,
            // It ends with its database.
            kept_logs: _,
            limits,
        } = config.clone();
        let Limits { value_bytes, sql_bytes, pattern_bytes, written_bytes, wal_pages, wal_bytes } = limits;
        let synchronous = match synchronous {
            Synchronous::Full => "full",
            Synchronous::Normal => "normal",
            Synchronous::Off => "off",
        };
        Self {
            data_directory,
            temporary_directory,
            read_only: access == Access::ReadOnly,
            synchronous: synchronous.to_owned(),
            busy_timeout,
            lanes,
            writers_waiting,
            statement_cache,
            value_bytes,
            sql_bytes,
            pattern_bytes,
            written_bytes,
            wal_pages,
            wal_bytes,
            threads,
        }
    }
}

impl From<Setup> for SqliteConfig {
    fn from(setup: Setup) -> Self {
        Self {
            data_directory: setup.data_directory,
            temporary_directory: setup.temporary_directory,
            access: if setup.read_only { Access::ReadOnly } else { Access::ReadWrite },
            synchronous: match setup.synchronous.as_str() {
                "off" => Synchronous::Off,
                "normal" => Synchronous::Normal,
                _ => Synchronous::Full,
            },
            busy_timeout: setup.busy_timeout,
            lanes: setup.lanes,
            writers_waiting: setup.writers_waiting,
            statement_cache: setup.statement_cache,
            kept_logs: 0,
            limits: Limits {
                value_bytes: setup.value_bytes,
                sql_bytes: setup.sql_bytes,
                pattern_bytes: setup.pattern_bytes,
                written_bytes: setup.written_bytes,
                wal_pages: setup.wal_pages,
                wal_bytes: setup.wal_bytes,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_of_a_worker_is_made_of_what_the_servers_is() {
        let config = SqliteConfig {
            data_directory: Some("/data".into()),
            temporary_directory: Some("/data/tmp".into()),
            synchronous: Synchronous::Normal,
            busy_timeout: Duration::from_millis(1234),
            limits: Limits { sql_bytes: 7, value_bytes: 8, ..Limits::default() },
            ..SqliteConfig::default()
        };
        let setup = serde_json::to_vec(&Setup::of(&config, NonZeroUsize::MIN)).unwrap();
        let arrived: SqliteConfig = serde_json::from_slice::<Setup>(&setup).unwrap().into();
        assert_eq!(format!("{arrived:?}"), format!("{config:?}"));
    }
}
