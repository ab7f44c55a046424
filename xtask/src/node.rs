//! The JavaScript packages that real clients are: `target/node/node_modules`.
//!
//! A stamp beside them holds what they were made from; while that is unchanged, nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::run;

/// Where the pinned packages are named, with what each one's archive must hash to.
const CLIENTS: &str = "clients/node";
const FILES: [&str; 2] = ["package.json", "package-lock.json"];
/// What the packages were made from, beside them.
const STAMP: &str = "made-from.txt";

/// Returns the directory that holds `node_modules`, after installing them if they are missing or outdated.
///
/// # Errors
///
/// When Node.js or npm is missing, or a package cannot be installed.
pub(crate) fn ready() -> Result<PathBuf> {
    let root = run::root();
    let folder = root.join("target/node");
    let wanted = wanted(&root)?;
    let stamp = folder.join(STAMP);
    if fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == wanted) {
        return Ok(folder);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).context("cannot remove the outdated target/node")?;
    }
    fs::create_dir_all(&folder).context("cannot make target/node")?;
    for file in FILES {
        fs::copy(root.join(CLIENTS).join(file), folder.join(file))
            .with_context(|| format!("cannot copy {CLIENTS}/{file}"))?;
    }
    let install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    run::run(run::program("npm", &install).current_dir(&folder))
        .context("install Node.js 20 or newer with npm (Debian: nodejs, npm)")?;
    fs::write(&stamp, wanted).context("cannot write the stamp into target/node")?;
    Ok(folder)
}

/// Returns everything the packages depend on, as text.
fn wanted(root: &Path) -> Result<String> {
    let mut wanted = run::output(&mut run::program("node", &["--version"]))
        .context("install Node.js 20 or newer: the tests run real clients")?;
    for file in FILES {
        wanted += &fs::read_to_string(root.join(CLIENTS).join(file))
            .with_context(|| format!("cannot read {CLIENTS}/{file}"))?;
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_pins_what_is_asked_for_and_names_no_host() {
        let read = |file: &str| fs::read_to_string(run::root().join(CLIENTS).join(file)).unwrap();
        let [asked, locked] =
            FILES.map(|file| serde_json::from_str::<serde_json::Value>(&read(file)).unwrap());
        for (name, version) in asked["dependencies"].as_object().unwrap() {
            assert_eq!(&locked["packages"][format!("node_modules/{name}")]["version"], version, "{name}");
        }
        assert!(!read("package-lock.json").contains("://"), "made with --omit-lockfile-registry-resolved");
    }
}
