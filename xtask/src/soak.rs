//! `cargo xtask soak`: what is too long for CI.
//!
//! Tests whose name contains `soak` scale their iterations by the environment's `ROWHOUSE_SOAK`.

use anyhow::Result;

use crate::{run, test, venv};

/// Preemptions per execution that loom explores here.
const LOOM_PREEMPTIONS: &str = "3";
/// Cases each property is tried with.
const PROPTEST_CASES: &str = "20000";

/// Runs loom with a higher bound, the properties with more cases, and the soak tests at full length.
///
/// # Errors
///
/// When a tool is missing or a test fails.
pub(crate) fn run() -> Result<()> {
    let python = venv::ready()?;
    test::loom(LOOM_PREEMPTIONS)?;
    let mut nextest = test::nextest()?;
    nextest.args(["--profile", "soak"]);
    nextest.env("ROWHOUSE_TEST_PYTHON", &python);
    nextest.env("PROPTEST_CASES", PROPTEST_CASES).env("ROWHOUSE_SOAK", "1");
    run::run(&mut nextest)
}
