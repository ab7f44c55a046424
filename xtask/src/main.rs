//! The project's verbs: `cargo xtask tidy | test | lint | bench | soak`.
//!
//! A person and CI say the same words. Every verb is one file, or one file and a folder of the same name.

#![expect(clippy::print_stdout, reason = "a command line tool speaks on its standard output")]
#![expect(clippy::print_stderr, reason = "a command line tool says why it failed on its standard error")]

mod bench;
mod lint;
mod run;
mod soak;
mod test;
mod tidy;
mod venv;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's verbs.")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Check what no compiler checks: floors, sizes, statics, leftovers, links.
    Tidy,
    /// Set up what the tests need and run them all.
    Test(test::Args),
    /// Formatting, clippy, tidy, documentation, licences and bans.
    Lint,
    /// Measure one comparison end to end.
    Bench(bench::Args),
    /// Run what is too long for CI.
    Soak,
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Tidy => tidy::run(),
        Verb::Test(args) => test::run(&args),
        Verb::Lint => lint::run(),
        Verb::Bench(args) => bench::run(&args),
        Verb::Soak => soak::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
