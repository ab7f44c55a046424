//! `rowhouse config`: look at the configuration.
use super::environment;
use clap::Subcommand;
use rowhouse::config::{self, Config, ConfigError, Layers};
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print a file with every option at its default.
    Example,
    /// Check a file, with .env and the environment over it.
    Check {
        /// The file; without it, the environment alone is checked.
        file: Option<PathBuf>,
    },
    /// Print the table of options in Markdown.
    Table,
}

impl ConfigCommand {
    /// Writes what was asked for.
    pub(crate) fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        match self {
            Self::Example => write!(out, "{}", config::example())?,
            Self::Table => write!(out, "{}", config::table())?,
            Self::Check { file } => {
                crate::filter(&Config::resolve(&checked(file.as_deref())?)?)?;
                writeln!(out, "configuration is valid")?;
            }
        }
        Ok(())
    }
}

/// The layers that `rowhouse config check` looks at.
fn checked(file: Option<&Path>) -> Result<Layers, ConfigError> {
    let mut layers = Layers::new();
    if let Some(path) = file {
        layers.file(path)?;
    }
    layers.dot_env(Path::new(".env"))?;
    layers.environment(environment())?;
    Ok(layers)
}
