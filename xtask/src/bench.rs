//! `cargo xtask bench`: one comparison, end to end.
//!
//! The load generators need heavy crates, so they stand behind the feature `bench`; without it this
//! verb builds itself again with the feature, optimized, and hands over.

#[cfg(feature = "bench")]
mod client;
#[cfg(feature = "bench")]
mod floor;
#[cfg(feature = "bench")]
mod foundation;
#[cfg(feature = "bench")]
mod peer;
#[cfg(feature = "bench")]
mod report;

use std::path::PathBuf;

use anyhow::Result;

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which comparison to run.
    #[arg(default_value = "foundation")]
    name: Name,
    /// Rounds over whose results the median is taken.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Where to write the results [default: target/bench/NAME.json].
    #[arg(long)]
    json: Option<PathBuf>,
    /// Serve the ZeroMQ echo floor on this address instead; the bench starts itself so.
    #[cfg(feature = "bench")]
    #[arg(long, hide = true, value_name = "ADDRESS")]
    echo: Option<String>,
}

/// The comparisons there are.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Name {
    /// Cold open, creation, warm `SELECT 1` and memory per open database, over `sqlite_rx`.
    Foundation,
}

/// Runs the comparison.
///
/// # Errors
///
/// When a peer cannot be started or answers wrongly, or the results cannot be written.
#[cfg(feature = "bench")]
pub(crate) fn run(args: &Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(address) = &args.echo {
        return runtime.block_on(floor::serve_echo(address));
    }
    let json = args.json.clone().unwrap_or_else(|| default_json(args.name));
    let results = match args.name {
        Name::Foundation => runtime.block_on(foundation::run(args.rounds))?,
    };
    println!("{}", results.table());
    results.write(&json)?;
    println!("written to {}", json.display());
    Ok(())
}

/// Builds this verb with the feature `bench`, optimized, and hands over to it.
///
/// # Errors
///
/// When the build or the comparison fails.
#[cfg(not(feature = "bench"))]
pub(crate) fn run(args: &Args) -> Result<()> {
    use crate::run;

    let json = match &args.json {
        Some(path) => std::path::absolute(path)?,
        None => default_json(args.name),
    };
    let mut command =
        run::cargo(&["run", "--release", "--package", "xtask", "--features", "bench", "--", "bench"]);
    command.arg(args.name.as_str()).arg("--rounds").arg(args.rounds.to_string()).arg("--json").arg(json);
    run::run(&mut command)
}

fn default_json(name: Name) -> PathBuf {
    crate::run::root().join(format!("target/bench/{}.json", name.as_str()))
}

// === impl Name ===

impl Name {
    fn as_str(self) -> &'static str {
        match self {
            Self::Foundation => "foundation",
        }
    }
}
