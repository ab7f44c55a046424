//! `cargo xtask soak`: what is too long for CI.
//!
//! Tests whose name contains `soak` scale their iterations by the environment's `ROWHOUSE_SOAK`.

use anyhow::Result;

use crate::{fuzz, run, test};

/// Preemptions per execution that loom explores here, where a model does not insist on its own.
const LOOM_PREEMPTIONS: &str = "4";
/// Cases each property is tried with.
const PROPTEST_CASES: &str = "20000";
/// Seconds each fuzz target is run.
const FUZZ_SECONDS: u32 = 600;

/// Runs loom with a higher bound, the properties with more cases, the soak tests at full length, and
/// the fuzz targets.
///
/// # Errors
///
/// When a tool is missing, a test fails or a fuzz target finds something.
pub(crate) fn run() -> Result<()> {
    let needs = test::Needs::ready()?;
    test::loom(Some(LOOM_PREEMPTIONS))?;
    let mut properties = test::nextest("soak")?;
    run::run(needs.tell(&mut properties).env("PROPTEST_CASES", PROPTEST_CASES))?;
    let mut soaks = test::nextest("soak")?;
    soaks.args(["--filterset", "test(soak)", "--no-tests", "pass"]);
    run::run(needs.tell(&mut soaks).env("ROWHOUSE_SOAK", "1"))?;
    fuzz::run(&fuzz::Args { target: None, seconds: FUZZ_SECONDS })
}
