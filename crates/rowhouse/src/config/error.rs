//! What is wrong with a configuration, said so that it can be mended.
use super::layers::Origin;
use super::opt::Opt;
use super::options::OPTIONS;
use std::path::PathBuf;

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no such option.
    #[error("unknown option {key:?} ({origin}){}", suggest(key))]
    Unknown {
        /// The key as written.
        key: String,
        /// Where.
        origin: Origin,
    },
    /// A value is not one that the option takes.
    #[error("{key} must be {expected}, not {found} ({origin})")]
    Value {
        /// The option.
        key: &'static str,
        /// What it takes.
        expected: String,
        /// What was given.
        found: String,
        /// Where.
        origin: Origin,
    },
    /// A DSN is none. Nothing of it is repeated, for it may hold a password.
    #[error("{key} is not as a DSN should be ({origin})")]
    Dsn {
        /// The option.
        key: &'static str,
        /// What is wrong with it.
        #[source]
        source: rowhouse_engine_postgres::DsnError,
        /// Where.
        origin: Origin,
    },
    /// Two options do not go together.
    #[error("{0}")]
    Conflict(String),
    /// The file cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{} is not valid TOML", path.display())]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Why and where.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// The `.env` file cannot be read.
    #[error("cannot read .env")]
    DotEnvUnreadable(#[source] std::io::Error),
    /// The `.env` file is not one.
    #[error(
        ".env is not valid {}: each line is NAME=VALUE, and a value with spaces is in quotes",
        after.as_ref().map_or("at its beginning".to_owned(), |name| format!("after {name}"))
    )]
    DotEnvSyntax {
        /// The last variable that was read.
        after: Option<String>,
    },
}

/// Names the option that was probably meant.
fn suggest(key: &str) -> String {
    let plain = Opt::plain(key);
    let likeness = |known: &str| strsim::jaro_winkler(&plain, known);
    let nearest = OPTIONS.iter().map(|option| option.key).max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest {
        Some(nearest) if 0.8 < likeness(nearest) => format!("; did you mean {nearest:?}?"),
        _ => "; `rowhouse config example` shows them all".to_owned(),
    }
}
