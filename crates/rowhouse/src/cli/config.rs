//! `rowhouse config`: look at the configuration.
use super::lower;
use super::start::Options;
use clap::{Args, Subcommand};
use rowhouse::config::{self, Config, Layers};
use rowhouse::life::parse_filter;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print a file with every option at its default.
    Example,
    /// Check a file, with .env and the environment over it.
    Check {
        /// The file [default: that of ROWHOUSE_CONFIG]; without either, the environment alone is checked.
        file: Option<PathBuf>,
    },
    /// Say why an option has its value: which layer set it, over what.
    Explain(Box<Explain>),
    /// Print the table of options in Markdown.
    Table,
}

/// Takes what `start` takes, and explains what `start` would see.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The option; without it, every option that is not at its default
    key: Option<String>,
    #[command(flatten)]
    options: Options,
}

impl ConfigCommand {
    /// Writes what was asked for.
    pub(crate) fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        match self {
            Self::Example => write!(out, "{}", config::example())?,
            Self::Table => write!(out, "{}", config::table())?,
            Self::Check { file } => {
                let mut layers = Layers::new();
                lower(&mut layers, file.as_deref())?;
                parse_filter(&Config::resolve(&layers)?.log_level)?;
                writeln!(out, "configuration is valid")?;
            }
            Self::Explain(explain) => {
                let layers = explain.options.layers()?;
                match &explain.key {
                    Some(key) => write!(out, "{}", config::explain(&layers, key)?)?,
                    None => write!(out, "{}", config::explain_changed(&layers))?,
                }
                // A value that is none of the option's is explained, and then refused as `start` would.
                parse_filter(&Config::resolve(&layers)?.log_level)?;
            }
        }
        Ok(())
    }
}
