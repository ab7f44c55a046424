//! Configuration, in two steps: as written (which layer set which key), and as meant.
//!
//! Layers, the later over the earlier: defaults, those of the command or of `--dev`, file (TOML),
//! `.env`, environment, command line. One table of options ([`OPTIONS`]) is behind all of them.
mod access;
mod backups;
mod curve;
mod error;
mod explain;
mod http;
mod kind;
mod layers;
mod management;
mod meant;
mod migrations;
mod opt;
mod options;
mod parse;
mod postgres;
mod reserved;
mod routing;
mod show;
mod surroundings;

pub use curve::{Curve, key_files};
pub use error::ConfigError;
pub use explain::{explain, explain_changed};
pub use http::Http;
pub use kind::Kind;
pub use layers::{Layers, Origin, dot_env};
pub use management::Management;
pub use meant::{Config, Isolation, LogFormat};
pub use migrations::Migrations;
pub use opt::Opt;
pub use options::OPTIONS;
pub use postgres::{Postgres, SecretFile};
pub use show::{example, table};
