//! `cargo xtask bench`: one comparison, end to end.
//!
//! The load generators need heavy crates, so they stand behind the feature `bench`; without it this
//! verb builds itself again with the feature, optimized, and hands over.

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
}

/// The comparisons there are.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Name {
    /// Cold open, creation, warm `SELECT 1` and memory per open database, over `sqlite_rx`.
    Foundation,
}

/// Runs the comparison in an optimized build.
///
/// # Errors
///
/// When the build or the comparison fails.
pub(crate) fn run(_args: &Args) -> Result<()> {
    anyhow::bail!("not wired yet")
}
