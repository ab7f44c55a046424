//! The rowhouse command.
mod cli;

use anyhow::Context as _;
use cli::Command;
use rowhouse::config::{Config, ConfigError, Layers, LogFormat};
use rowhouse::{Banner, Server};
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// The exit code for what the operator wrote wrong, as of every command-line error.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let outcome = match Command::read() {
        Command::Start(start) => start.layers().map_err(Into::into).and_then(|layers| serve(&layers, &[])),
        Command::MultiServer(command) => {
            command.layers().map_err(Into::into).and_then(|layers| serve(&layers, &command.notices()))
        }
        Command::Tool(tool) => match tool.run(&mut std::io::stdout()) {
            // What there was to do is done, and nobody is left to read of it.
            Err(error) if cli::is_unread(&error) => Ok(()),
            outcome => outcome,
        },
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(failure) = error.downcast_ref::<cli::Failure>() {
                let _unread = writeln!(std::io::stderr(), "{failure}");
                return ExitCode::from(failure.code());
            }
            let causes: Vec<_> = error.chain().map(ToString::to_string).collect();
            // Nobody may be left to read it.
            let _unread = writeln!(std::io::stderr(), "error: {}", causes.join(": "));
            let usage = error.is::<ConfigError>() || error.is::<BadFilter>() || is_usage(&error);
            ExitCode::from(if usage { USAGE } else { 1 })
        }
    }
}

fn is_usage(error: &anyhow::Error) -> bool {
    use rowhouse::{MaintenanceError as Maintenance, StartError};
    matches!(error.downcast_ref(), Some(StartError::NoListener))
        || matches!(error.downcast_ref(), Some(Maintenance::NoBackupDirectory | Maintenance::NoDataDirectory))
        || error.is::<rowhouse::OpenFilesError>()
        || error.is::<cli::Usage>()
}

/// The log filter makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("log_level must be a filter such as info or rowhouse=debug, not {0:?}")]
struct BadFilter(String);

fn serve(layers: &Layers, notices: &[String]) -> anyhow::Result<()> {
    let config = Config::resolve(layers)?;
    log_to_stderr(&config)?;
    for notice in notices {
        tracing::warn!("{notice}");
    }
    rowhouse::raise_open_files(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("rowhouse")
        .build()
        .context("cannot start the runtime")?;
    let outcome = runtime.block_on(run(Server::new(config)));
    // What did not end in time is left to end with the process.
    runtime.shutdown_background();
    outcome
}

async fn run(server: Server) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("cannot listen to signals")?;
    let running = server.start().await?;
    for warning in running.warnings() {
        tracing::warn!("{warning}");
    }
    let mut out = std::io::stdout();
    if let Err(error) = write!(out, "{}", Banner(&running)).and_then(|()| out.flush()) {
        tracing::warn!(%error, "the banner cannot be written");
    }
    let name = signals.next().await;
    tracing::info!(signal = name, "draining; a second signal ends at once");
    tokio::select! {
        stopped = running.shut_down() => stopped?,
        name = signals.next() => anyhow::bail!("ended by a second signal ({name}) before requests in flight were answered"),
    }
    tracing::info!("stopped");
    Ok(())
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The next signal that asks to stop.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

fn filter(config: &Config) -> Result<EnvFilter, BadFilter> {
    EnvFilter::try_new(&config.log_level).map_err(|_| BadFilter(config.log_level.clone()))
}

fn log_to_stderr(config: &Config) -> Result<(), BadFilter> {
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter(config)?)
        .with_ansi(std::io::stderr().is_terminal())
        // A reader of the log that has gone must not take the server with it: saying so would panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}
