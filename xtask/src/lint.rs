//! `cargo xtask lint`: everything that is checked without running the product.

use anyhow::Result;

use crate::{libsql, run, tidy};

/// Seconds that fetching the advisories may take.
const ADVISORIES_SECONDS: &str = "60";

/// Runs every check in turn, the cheap ones first.
///
/// # Errors
///
/// When a check fails, or in CI one is skipped.
pub(crate) fn run() -> Result<()> {
    run::run(&mut run::cargo(&["fmt", "--all", "--check"]))?;
    tidy::run()?;
    deny()?;
    let clippy =
        ["clippy", "--workspace", "--all-targets", "--features", "xtask/bench", "--", "-D", "warnings"];
    run::run(&mut run::cargo(&clippy))?;
    libsql::lint()?;
    let mut doc = run::cargo(&["doc", "--workspace", "--no-deps", "--all-features"]);
    run::run(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Checks licences, bans and sources offline, advisories when their database can be reached.
fn deny() -> Result<()> {
    if !run::succeeds(&mut run::cargo(&["deny", "--version"])) {
        return run::skipped("cargo-deny is not installed: run `cargo install --locked cargo-deny`");
    }
    run::run(&mut run::cargo(&["fetch", "--quiet"]))?;
    run::run(&mut run::cargo(&["deny", "--offline", "check", "licenses", "bans", "sources"]))?;
    let fetch = [ADVISORIES_SECONDS, env!("CARGO"), "deny", "fetch", "db"];
    if run::succeeds(&mut run::program("timeout", &fetch)) {
        return run::run(&mut run::cargo(&["deny", "--offline", "check", "advisories"]));
    }
    println!("advisories: their database cannot be reached from here, not checked");
    Ok(())
}
