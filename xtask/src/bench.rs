//! `cargo xtask bench`: one comparison, end to end.
//!
//! The load generators need heavy crates, so they stand behind the feature `bench`; without it this
//! verb builds itself again with the feature, optimized, and hands over.

#[cfg(feature = "bench")]
mod client;
#[cfg(feature = "bench")]
mod codec;
#[cfg(feature = "bench")]
mod fixture;
#[cfg(feature = "bench")]
mod floor;
#[cfg(feature = "bench")]
mod foundation;
#[cfg(feature = "bench")]
mod hrana;
#[cfg(feature = "bench")]
mod http;
#[cfg(feature = "bench")]
mod isolation;
#[cfg(feature = "bench")]
mod limits;
#[cfg(feature = "bench")]
mod load;
#[cfg(feature = "bench")]
mod on_demand;
#[cfg(feature = "bench")]
mod opening;
#[cfg(feature = "bench")]
mod organizations;
#[cfg(feature = "bench")]
mod paste;
#[cfg(feature = "bench")]
mod peer;
#[cfg(feature = "bench")]
mod report;
#[cfg(feature = "bench")]
mod target;

mod part;

use std::path::PathBuf;

use anyhow::{Result, ensure};

use part::Part;

/// Where the latest pages are shown.
#[cfg(feature = "bench")]
const DOCUMENT: &str = "docs/benchmarks.md";

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which comparison to run.
    #[arg(default_value = "foundation")]
    name: Name,
    /// Rounds over whose results the median is taken.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Run only this part of `on-demand` or `hrana`.
    #[arg(long, value_name = "PART")]
    only: Option<Part>,
    /// Where to write the results; the page for the documentation goes beside it [default: target/bench/NAME.json].
    #[arg(long)]
    json: Option<PathBuf>,
    /// Put the page into `docs/benchmarks.md` too, in place of the last one.
    #[arg(long, conflicts_with = "only")]
    docs: bool,
    /// Serve the ZeroMQ echo floor on this address instead; the bench starts itself so.
    #[cfg(feature = "bench")]
    #[arg(long, hide = true, value_name = "ADDRESS")]
    echo: Option<String>,
    /// Serve a floor of `hrana` instead; the bench starts itself so.
    #[cfg(feature = "bench")]
    #[arg(long, hide = true, num_args = 3, value_names = ["FLOOR", "ADDRESS", "ANSWER"])]
    bare: Vec<String>,
}

/// The comparisons there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Name {
    /// Cold open, creation, warm `SELECT 1` and memory per open database, over `sqlite_rx`.
    Foundation,
    /// Databases opened, created, read, written, kept and rotated on demand, over `sqlite_rx`.
    OnDemand,
    /// Permits, changes of the limit, and the management listener under load.
    Limits,
    /// Databases in a process of their own beside databases that share one.
    Isolation,
    /// Hrana over HTTP and WebSocket: reads, durable inserts, a thousand databases in rotation.
    Hrana,
    /// New organizations on PostgreSQL, from a spare and by hand.
    Organizations,
}

/// Runs the comparison.
///
/// # Errors
///
/// When a peer cannot be built or started, or answers wrongly, or the results cannot be written.
#[cfg(feature = "bench")]
pub(crate) fn run(args: &Args) -> Result<()> {
    use crate::{run, venv};
    use anyhow::Context;

    args.check()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(address) = &args.echo {
        return runtime.block_on(floor::serve_echo(address));
    }
    if !args.bare.is_empty() {
        return runtime.block_on(hrana::serve_bare(&args.bare));
    }
    let json = args.json()?;
    let python = venv::ready()?;
    run::run(&mut run::cargo(&["build", "--release", "--package", "rowhouse"]))?;
    let (results, targets) = match args.name {
        Name::Foundation => (runtime.block_on(foundation::run(args.rounds, &python))?, Vec::new()),
        Name::OnDemand => {
            let results = runtime.block_on(on_demand::run(args.rounds, args.only, &python))?;
            let targets = on_demand::targets(&results);
            (results, targets)
        }
        Name::Isolation => (runtime.block_on(isolation::run(args.rounds))?, Vec::new()),
        Name::Hrana => {
            let results = runtime.block_on(hrana::run(args.rounds, args.only))?;
            let targets = hrana::targets(&results);
            (results, targets)
        }
        Name::Organizations => {
            let results = runtime.block_on(organizations::run(args.rounds))?;
            let targets = organizations::targets(&results);
            (results, targets)
        }
        Name::Limits => {
            let results = runtime.block_on(limits::run(args.rounds))?;
            let targets = limits::targets(&results);
            (results, targets)
        }
    };
    let page = results.page(&targets);
    println!("\n{page}");
    let markdown = json.with_extension("md");
    report::write(&json, &format!("{:#}\n", results.json(&targets)))?;
    report::write(&markdown, &page)?;
    println!("written to {} and {}", json.display(), markdown.display());
    if args.docs {
        let file = run::root().join(DOCUMENT);
        let document = std::fs::read_to_string(&file).with_context(|| format!("cannot read {DOCUMENT}"))?;
        let pasted = paste::paste(&document, args.name.as_str(), &page);
        report::write(&file, &pasted.with_context(|| format!("{DOCUMENT} has no place for it"))?)?;
        println!("written to {DOCUMENT}");
    }
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

    args.check()?;
    let mut command =
        run::cargo(&["run", "--release", "--package", "xtask", "--features", "bench", "--", "bench"]);
    command.arg(args.name.as_str()).arg("--rounds").arg(args.rounds.to_string());
    command.arg("--json").arg(args.json()?);
    if let Some(part) = args.only {
        command.arg("--only").arg(part.as_str());
    }
    if args.docs {
        command.arg("--docs");
    }
    run::run(&mut command)
}

// === impl Args ===

impl Args {
    fn check(&self) -> Result<()> {
        let Some(part) = self.only else { return Ok(()) };
        let (name, parts) = (self.name.as_str(), self.name.parts());
        ensure!(!parts.is_empty(), "`--only` is for `on-demand` and `hrana`: {name} runs as a whole");
        let words: Vec<_> = parts.iter().map(|part| part.as_str()).collect();
        ensure!(parts.contains(&part), "{name} has no part {}, but {}", part.as_str(), words.join(", "));
        Ok(())
    }

    /// Returns where the results go.
    fn json(&self) -> Result<PathBuf> {
        match (&self.json, self.only) {
            (Some(path), _) => Ok(std::path::absolute(path)?),
            (None, None) => Ok(folder().join(format!("{}.json", self.name.as_str()))),
            // The results of a part are not those of the whole.
            (None, Some(part)) => Ok(folder().join(format!("{}-{}.json", self.name.as_str(), part.as_str()))),
        }
    }
}

fn folder() -> PathBuf {
    crate::run::root().join("target/bench")
}

// === impl Name ===

impl Name {
    fn as_str(self) -> &'static str {
        match self {
            Self::Foundation => "foundation",
            Self::OnDemand => "on-demand",
            Self::Limits => "limits",
            Self::Isolation => "isolation",
            Self::Hrana => "hrana",
            Self::Organizations => "organizations",
        }
    }

    /// The parts it can be run by.
    fn parts(self) -> &'static [Part] {
        match self {
            Self::OnDemand => Part::ON_DEMAND,
            Self::Hrana => Part::HRANA,
            Self::Foundation | Self::Limits | Self::Isolation | Self::Organizations => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args as _, FromArgMatches, ValueEnum};

    fn parse(words: &[&str]) -> Args {
        let command = Args::augment_args(clap::Command::new("bench").no_binary_name(true));
        Args::from_arg_matches(&command.try_get_matches_from(words).unwrap()).unwrap()
    }

    #[test]
    fn names_are_handed_over_as_they_are_read() {
        for name in Name::value_variants() {
            assert_eq!(name.to_possible_value().unwrap().get_name(), name.as_str());
        }
        for part in Part::value_variants() {
            assert_eq!(part.to_possible_value().unwrap().get_name(), part.as_str());
        }
    }

    #[test]
    fn a_comparison_has_its_own_parts_or_none() {
        assert!(parse(&["on-demand", "--only", "insert"]).check().is_ok());
        assert!(parse(&["hrana", "--only", "pipeline"]).check().is_ok());
        assert!(parse(&["hrana", "--only", "cold-open"]).check().is_err());
        assert!(parse(&["foundation", "--only", "insert"]).check().is_err());
    }

    #[test]
    fn a_part_does_not_overwrite_the_whole() {
        let whole = parse(&["on-demand"]).json().unwrap();
        let part = parse(&["on-demand", "--only", "cold-open"]).json().unwrap();

        assert!(whole.ends_with("target/bench/on-demand.json"));
        assert!(part.ends_with("target/bench/on-demand-cold-open.json"));
    }
}
