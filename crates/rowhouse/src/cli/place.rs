//! Where databases and backups are, for the commands that work on them without the server.
use super::lower;
use clap::{ArgAction, Args};
use rowhouse::config::{Config, ConfigError, Layers};
use rowhouse_engine::{Course, Stage};
use rowhouse_types::Target;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

/// What was asked for does not go, whatever the state of things.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// How often progress is shown; what takes less shows none.
const TICK: Duration = Duration::from_millis(500);

/// As the server was started: the same options lead to the same databases.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The configuration file the server is started with; also ROWHOUSE_CONFIG
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where databases opened by name live
    #[arg(long, value_name = "DIRECTORY")]
    data_directory: Option<String>,
    /// Where backups lie
    #[arg(long, short, value_name = "DIRECTORY")]
    backup_dir: Option<String>,
    /// The database of requests that name none
    #[arg(long, short, value_name = "DATABASE")]
    default_database: Option<String>,
    /// Databases by name that are always open, in JSON
    #[arg(long, short = 'm', value_name = "JSON")]
    database_map: Option<String>,
    /// Any other option of the table in docs/options.md
    #[arg(long = "set", value_name = "KEY=VALUE", action = ArgAction::Append)]
    set: Vec<String>,
}

// === impl Place ===

impl Place {
    /// What the layers mean.
    pub(super) fn config(&self) -> Result<Config, ConfigError> {
        let mut layers = Layers::new();
        lower(&mut layers, self.config.as_deref())?;
        for pair in &self.set {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            layers.set(key, value)?;
        }
        for (key, value, flag) in [
            ("data_directory", &self.data_directory, "--data-directory"),
            ("backup_dir", &self.backup_dir, "--backup-dir"),
            ("default_database", &self.default_database, "--default-database"),
            ("database_map", &self.database_map, "--database-map"),
        ] {
            if let Some(text) = value {
                layers.flag(key, text, flag);
            }
        }
        Config::resolve(&layers)
    }
}

/// The database a command line names.
pub(super) fn target(name: Option<&str>) -> Result<Target, Usage> {
    let Some(name) = name else { return Ok(Target::Default) };
    name.parse().map(Target::Named).map_err(|error| Usage(format!("{name:?} names no database: {error}")))
}

/// How a database is called in what is said.
pub(super) fn called(target: &Target) -> String {
    target.name().map_or("the default database".to_owned(), |name| format!("database {name}"))
}

/// A runtime for one thing after the other.
pub(super) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Waits for `work`, and shows on a terminal how far it is if that takes a while.
pub(super) async fn shown<T>(what: &str, course: &Course, work: impl Future<Output = T>) -> T {
    let mut err = io::stderr();
    if !err.is_terminal() {
        return work.await;
    }
    tokio::pin!(work);
    let mut is_shown = false;
    let outcome = loop {
        match tokio::time::timeout(TICK, &mut work).await {
            Ok(outcome) => break outcome,
            Err(_elapsed) => {
                is_shown = true;
                // Nobody may be left to read it.
                let _unread = write!(err, "\r\x1b[K{what}: {}", line(course)).and_then(|()| err.flush());
            }
        }
    };
    if is_shown {
        let _unread = write!(err, "\r\x1b[K").and_then(|()| err.flush());
    }
    outcome
}

fn line(course: &Course) -> String {
    let progress = course.progress();
    match (progress.stage, progress.total) {
        (Stage::Waiting, _) => "waiting".to_owned(),
        (Stage::Copying, 0) => "copying".to_owned(),
        (Stage::Copying, total) => format!("copying, {} %", progress.done * 100 / total),
        (Stage::Verifying, _) => "verifying".to_owned(),
    }
}
