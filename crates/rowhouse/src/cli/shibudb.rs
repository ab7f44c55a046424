//! `shibudb`: the commands `start` and `manager` under the name that ShibuDB's operators know.
use super::manager::Manager;
use super::start::Start;
use clap::{Parser, Subcommand};
use rowhouse::config::Layers;

/// The name under which this program is that command.
pub(super) const NAME: &str = "shibudb";

/// Where that command's defaults are not those of the table of options.
const DEFAULTS: &[(&str, &str)] = &[("service_name", NAME)];

/// One endpoint for very many databases, by the commands of ShibuDB that limit connections.
#[derive(Debug, Parser)]
#[command(name = NAME, version = super::COMPATIBLE_VERSION, max_term_width = super::WIDTH)]
pub(super) struct Shibudb {
    #[command(subcommand)]
    pub(super) command: ShibudbCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum ShibudbCommand {
    /// Serve databases until SIGTERM or SIGINT: start PORT LIMIT
    #[command(after_help = super::AFTER_SERVING)]
    Start(Box<Start>),
    /// See and change the limits of a running server: manager PORT COMMAND
    Manager(Box<Manager>),
}

/// What that command has for defaults.
pub(super) fn layers() -> Layers {
    let mut layers = Layers::new();
    layers.command(NAME, DEFAULTS);
    layers
}
