//! `cargo xtask test`: sets up what the tests need and runs them all.
//!
//! Some tests of the binary run twice, the first time with each database in a process of its own.
//! nextest's run of all of them is last, so that its summary ends the output. A test that cannot run
//! here prints a line that begins with `SKIPPED:`, and panics instead when `CI` is `true`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::postgres::Cluster;
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

/// What tests need beside themselves, for as long as this is kept.
pub(crate) struct Needs {
    clients: [(&'static str, PathBuf); 3],
    cluster: Cluster,
}

/// Runs the tests.
///
/// # Errors
///
/// When a tool is missing or a test fails.
pub(crate) fn run(args: &Args) -> Result<()> {
    let needs = Needs::ready()?;
    // The same features and profiles as nextest's own build, so that nothing is built twice.
    run::run(&mut run::cargo(&["build", "--workspace", "--bins", "--tests", "--features", "xtask/bench"]))?;
    if !args.fast {
        let mut doc = run::cargo(&["test", "--doc", "--workspace", "--features", "xtask/bench"]);
        run::run(needs.tell(&mut doc))?;
        loom(None)?;
    }
    let profile = if run::in_ci() { "ci" } else { "default" };
    if args.nextest.is_empty() {
        let mut isolated = nextest(profile)?;
        isolated.args(["--filterset", ISOLATED]).env("ROWHOUSE_TEST_ISOLATION", "process");
        run::run(needs.tell(&mut isolated))?;
    }
    let mut nextest = nextest(profile)?;
    run::run(needs.tell(nextest.args(&args.nextest)))
}

// === impl Needs ===

impl Needs {
    /// Sets up the real clients, and starts the server.
    ///
    /// # Errors
    ///
    /// When one of them cannot be installed, built or started.
    pub(crate) fn ready() -> Result<Self> {
        let clients = [
            ("ROWHOUSE_TEST_PYTHON", venv::ready()?),
            ("ROWHOUSE_TEST_NODE", node::ready()?),
            ("ROWHOUSE_TEST_LIBSQL", libsql::ready()?),
        ];
        Ok(Self { clients, cluster: Cluster::start()? })
    }

    /// Tells the tests that the command runs how they find them.
    pub(crate) fn tell<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.envs(self.clients.clone()).envs([self.cluster.variable()])
    }
}

/// Prepares a nextest run of the whole workspace, the benches' own tests included.
///
/// # Errors
///
/// When nextest is not installed.
pub(crate) fn nextest(profile: &str) -> Result<Command> {
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
