//! The program that speaks through the `libsql` crate: `target/libsql`.
//!
//! It stands outside the workspace: the crate brings an older HTTP and TLS stack that nothing else here shall
//! have, nor a lock file that names it.

use std::path::PathBuf;

use anyhow::Result;

use crate::run;

const MANIFEST: &str = "crates/rowhouse/tests/libsql/Cargo.toml";

/// Builds the program and returns where it is.
///
/// # Errors
///
/// When it does not build.
pub(crate) fn ready() -> Result<PathBuf> {
    let build =
        ["build", "--locked", "--quiet", "--manifest-path", MANIFEST, "--target-dir", "target/libsql"];
    run::run(&mut run::cargo(&build))?;
    Ok(run::root().join("target/libsql/debug/rowhouse-libsql-suite"))
}

/// Checks how the program is written, as the workspace's own is.
///
/// # Errors
///
/// When it is not formatted, or clippy finds something.
pub(crate) fn lint() -> Result<()> {
    run::run(&mut run::cargo(&["fmt", "--manifest-path", MANIFEST, "--check"]))?;
    let clippy = ["clippy", "--locked", "--manifest-path", MANIFEST, "--target-dir", "target/libsql"];
    run::run(run::cargo(&clippy).args(["--", "-D", "warnings"]))
}
