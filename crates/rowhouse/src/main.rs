//! The rowhouse command.
mod cli;

use anyhow::Context as _;
use cli::Command;
use rowhouse::config::{Config, ConfigError, LogFormat};
use rowhouse::life::{BadFilter, Heard, Life, LogLevel, Signals, Source, parse_filter};
use rowhouse::{Banner, Running, Server};
use std::io::{IsTerminal as _, Write as _};
use std::pin::pin;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::reload::Handle;

/// The exit code for what the operator wrote wrong, as of every command-line error.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    // A worker is started for each database: it does nothing first that it does not need.
    if let Some(served) = rowhouse::serve_as_worker() {
        return worked(served);
    }
    // Before anything else: a signal that comes while the server starts is remembered.
    let signals = cli::is_serving(std::env::args_os()).then(Signals::install);
    let outcome = match Command::read() {
        Command::Start(start) => serve(Source::new(move || start.layers()), &[], signals),
        Command::MultiServer(command) => {
            let notices = command.notices();
            serve(Source::new(move || command.layers()), &notices, signals)
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

/// How the process of a database ends.
fn worked(served: Result<(), rowhouse::WorkerError>) -> ExitCode {
    let Err(error) = served else { return ExitCode::SUCCESS };
    let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
    // Nobody may be left to read it.
    let _unread = writeln!(std::io::stderr(), "error: {error}{cause}");
    ExitCode::from(if matches!(error, rowhouse::WorkerError::NoServer) { USAGE } else { 1 })
}

fn is_usage(error: &anyhow::Error) -> bool {
    use rowhouse::{MaintenanceError as Maintenance, StartError};
    matches!(error.downcast_ref(), Some(StartError::NoListener | StartError::Exposed(_)))
        || matches!(error.downcast_ref(), Some(Maintenance::NoBackupDirectory | Maintenance::NoDataDirectory))
        || error.is::<rowhouse::OpenFilesError>()
        || error.is::<cli::Usage>()
}

fn serve(
    source: Source,
    notices: &[String],
    signals: Option<std::io::Result<Signals>>,
) -> anyhow::Result<()> {
    let signals = signals.unwrap_or_else(Signals::install).context("cannot listen to signals")?;
    let server = Server::new(source)?;
    let level = log_to_stderr(server.config())?;
    for notice in notices {
        tracing::warn!("{notice}");
    }
    rowhouse::raise_open_files(server.config())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("rowhouse")
        .build()
        .context("cannot start the runtime")?;
    let outcome =
        runtime.block_on(run(server.log_level(level), signals.hear().context("cannot listen to signals")?));
    // What did not end in time is left to end with the process.
    runtime.shutdown_background();
    outcome
}

async fn run(server: Server, mut heard: Heard) -> anyhow::Result<()> {
    let running = start(server, &mut heard).await?;
    for warning in running.warnings() {
        tracing::warn!("{warning}");
    }
    let limit = running.client_limit();
    tracing::info!(client_limit = limit.get(), why = limit.why(), "client limit in force");
    let mut out = std::io::stdout();
    if let Err(error) = write!(out, "{}", Banner(&running)).and_then(|()| out.flush()) {
        tracing::warn!(%error, "the banner cannot be written");
    }
    let mut life = Life::begin(&running);
    let name = life.until_stopped(&mut heard).await;
    tracing::info!(signal = name, "draining; a second signal ends at once");
    tokio::select! {
        stopped = running.shut_down() => stopped?,
        never = life.well() => match never {},
        name = heard.stop() => return Err(second(name)),
    }
    tracing::info!("stopped");
    Ok(())
}

/// Starts the server; who asks to stop meanwhile is heard when it has, and at once by asking twice.
async fn start(server: Server, heard: &mut Heard) -> anyhow::Result<Running> {
    let mut starting = pin!(server.start());
    let first = tokio::select! {
        started = &mut starting => return Ok(started?),
        name = heard.stop() => name,
    };
    tracing::info!(signal = first, "stopping as soon as it has started; a second signal ends at once");
    tokio::select! {
        started = starting => {
            heard.again(first);
            Ok(started?)
        }
        name = heard.stop() => Err(second(name)),
    }
}

fn second(name: &str) -> anyhow::Error {
    anyhow::anyhow!("ended by a second signal ({name}) before requests in flight were answered")
}

/// Begins the log, and returns what changes its level.
fn log_to_stderr(config: &Config) -> Result<LogLevel, BadFilter> {
    let log = tracing_subscriber::fmt()
        .with_env_filter(parse_filter(&config.log_level)?)
        .with_ansi(std::io::stderr().is_terminal())
        // A reader of the log that has gone must not take the server with it: saying so would panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => {
            let log = log.with_filter_reloading();
            let handle = log.reload_handle();
            log.init();
            LogLevel::new(&config.log_level, move |filter| put(&handle, filter))
        }
        LogFormat::Json => {
            let log = log.json().with_filter_reloading();
            let handle = log.reload_handle();
            log.init();
            LogLevel::new(&config.log_level, move |filter| put(&handle, filter))
        }
    }
}

fn put<S>(handle: &Handle<EnvFilter, S>, filter: EnvFilter) {
    // Both are for a log that is gone, and then there is nothing to change.
    let _gone = handle.reload(filter);
}
