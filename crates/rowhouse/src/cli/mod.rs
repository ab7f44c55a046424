//! The command line: one file per command, and what each makes of the layers of configuration.
mod config;
mod start;

pub(crate) use config::ConfigCommand;
pub(crate) use start::Start;

use clap::{Parser, Subcommand};
use rowhouse::config::{ConfigError, Layers};
use std::path::{Path, PathBuf};

/// One endpoint for very many databases.
#[derive(Debug, Parser)]
#[command(name = "rowhouse", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve databases until SIGTERM or SIGINT.
    Start(Box<Start>),
    /// Look at the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

/// Puts what lies between the defaults and the command line over `layers`: file, `.env`, environment.
fn lower(layers: &mut Layers, file: Option<&Path>) -> Result<(), ConfigError> {
    let variables = environment();
    let named =
        variables.iter().find(|(name, _)| name == "ROWHOUSE_CONFIG").map(|(_, path)| PathBuf::from(path));
    if let Some(path) = file.map(Path::to_owned).or(named) {
        layers.file(&path)?;
    }
    layers.dot_env(Path::new(".env"))?;
    layers.environment(variables)
}

fn environment() -> Vec<(String, String)> {
    // A name or value that is no text cannot be one of ours.
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
