//! `cargo xtask test`: sets up what the tests need and runs them all.
//!
//! Some tests of the binary run twice, the first time with each database in a process of its own.
//! nextest's run of all of them is last, so that its summary ends the output. A test that cannot run
//! here prints a line that begins with `SKIPPED:`, and panics instead when `CI` is `true`.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;

use crate::{libsql, node, run, venv};

/// The tests of the binary that run with each database in a process of its own too: where it matters in
/// which process a database is, and not how fast.
const ISOLATED: &str = "package(rowhouse) and binary(it) and not test(soak) and \
    test(/^(backups|compatible|crash|faults|files|hostile_files|shutdown)::/)";

/// Arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave out the documentation tests and loom.
    #[arg(long)]
    fast: bool,
    /// Passed on to nextest: filters, `--no-capture`, ...
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    nextest: Vec<OsString>,
}

/// Runs the tests.
///
/// # Errors
///
/// When a tool is missing or a test fails.
pub(crate) fn run(args: &Args) -> Result<()> {
    let clients = clients()?;
    // The same features and profiles as nextest's own build, so that nothing is built twice.
    run::run(&mut run::cargo(&["build", "--workspace", "--bins", "--tests", "--features", "xtask/bench"]))?;
    if !args.fast {
        let mut doc = run::cargo(&["test", "--doc", "--workspace", "--features", "xtask/bench"]);
        run::run(doc.envs(clients.clone()))?;
        loom(None)?;
    }
    let profile = if run::in_ci() { "ci" } else { "default" };
    if args.nextest.is_empty() {
        let mut isolated = nextest(profile)?;
        isolated.args(["--filterset", ISOLATED]).env("ROWHOUSE_TEST_ISOLATION", "process");
        run::run(isolated.envs(clients.clone()))?;
    }
    let mut nextest = nextest(profile)?;
    run::run(nextest.args(&args.nextest).envs(clients))
}

/// Sets up the real clients, and returns how the tests find them.
///
/// # Errors
///
/// When one of them cannot be installed or built.
pub(crate) fn clients() -> Result<[(&'static str, PathBuf); 3]> {
    Ok([
        ("ROWHOUSE_TEST_PYTHON", venv::ready()?),
        ("ROWHOUSE_TEST_NODE", node::ready()?),
        ("ROWHOUSE_TEST_LIBSQL", libsql::ready()?),
    ])
}

/// Prepares a nextest run of the whole workspace, the benches' own tests included.
///
/// # Errors
///
/// When nextest is not installed.
pub(crate) fn nextest(profile: &str) -> Result<std::process::Command> {
    anyhow::ensure!(
        run::succeeds(&mut run::cargo(&["nextest", "--version"])),
        "cargo-nextest is not installed: run `cargo install --locked cargo-nextest`"
    );
    Ok(run::cargo(&["nextest", "run", "--workspace", "--features", "xtask/bench", "--profile", profile]))
}

/// Runs the models of `sync` under every interleaving, with the preemptions each model asks for or
/// with so many.
///
/// # Errors
///
/// When a model fails.
pub(crate) fn loom(preemptions: Option<&str>) -> Result<()> {
    let arguments =
        ["test", "--package", "rowhouse-sync", "--lib", "--release", "--target-dir", "target/loom"];
    let mut command = run::cargo(&arguments);
    command.env("RUSTFLAGS", "--cfg loom").envs(preemptions.map(|bound| ("LOOM_MAX_PREEMPTIONS", bound)));
    run::run(&mut command)
}
