//! The Python environment in which real clients run: `target/venv`.
//!
//! A stamp beside it holds what it was made from; while that is unchanged, nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::run;

/// Pinned packages that the tests use.
const REQUIREMENTS: &str = "clients/python/requirements-test.txt";
/// Our own client, installed in place once it exists.
const CLIENT: &str = "clients/python";
/// What the environment was made from, inside it.
const STAMP: &str = "made-from.txt";

/// Returns the environment's `python`, after making the environment if it is missing or outdated.
///
/// # Errors
///
/// When Python or its `venv` module is missing, or a package cannot be installed.
pub(crate) fn ready() -> Result<PathBuf> {
    let root = run::root();
    let folder = root.join("target/venv");
    let python = folder.join("bin/python");
    let wanted = wanted(&root)?;
    let stamp = folder.join(STAMP);
    if is_current(&stamp, &wanted) && python.exists() {
        return Ok(python);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).context("cannot remove the outdated target/venv")?;
    }
    run::run(&mut run::program("python3", &["-m", "venv", "target/venv"]))
        .context("install Python 3.10 or newer with its venv module (Debian: python3-venv)")?;
    // What is named there is all that is needed.
    let mut install = vec!["-m", "pip", "install", "--quiet", "--no-deps", "--requirement", REQUIREMENTS];
    if has_client(&root) {
        install.extend(["--editable", CLIENT]);
    }
    run::run(&mut run::program(&python, &install))?;
    fs::write(&stamp, wanted).context("cannot write the stamp into target/venv")?;
    Ok(python)
}

fn has_client(root: &Path) -> bool {
    root.join(CLIENT).join("pyproject.toml").exists()
}

/// Returns everything the environment depends on, as text.
fn wanted(root: &Path) -> Result<String> {
    let mut wanted = run::output(&mut run::program("python3", &["--version"]))
        .context("install Python 3.10 or newer: the tests run real clients")?;
    wanted += &fs::read_to_string(root.join(REQUIREMENTS))
        .with_context(|| format!("cannot read {REQUIREMENTS}"))?;
    if has_client(root) {
        wanted += &fs::read_to_string(root.join(CLIENT).join("pyproject.toml"))
            .context("cannot read the client")?;
    }
    Ok(wanted)
}

fn is_current(stamp: &Path, wanted: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|made_from| made_from == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_without_a_stamp_is_outdated() {
        assert!(!is_current(Path::new("no/such/stamp"), ""));
    }

    #[test]
    fn what_is_wanted_names_the_pinned_client() {
        assert!(wanted(&run::root()).unwrap().contains("sqlite_rx==1.3.0"));
    }
}
