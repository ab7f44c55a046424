//! The Node.js in which real clients run.
use super::bounded::finish;
use super::home::text;
use super::python::repository;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Node.js with the pinned packages of `clients/node`.
pub(crate) struct Node {
    /// The scripts, with the packages beside them: what a script imports is looked for from where it lies.
    scripts: TempDir,
}

// === impl Node ===

impl Node {
    /// Finds the packages, or says that the test is skipped.
    ///
    /// # Panics
    ///
    /// Without them where `CI` is `true`: there, a skip is a failure.
    pub(crate) fn find() -> Option<Self> {
        let named = std::env::var_os("ROWHOUSE_TEST_NODE").map(PathBuf::from);
        let packages = named.unwrap_or_else(|| repository().join("target/node")).join("node_modules");
        if packages.exists() {
            return Some(Self::with(&packages));
        }
        let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!ci, "no packages at {}", packages.display());
        println!("SKIPPED: no packages at {}; `cargo xtask test` installs them", packages.display());
        None
    }

    fn with(packages: &Path) -> Self {
        let scripts = TempDir::new().expect("a temporary directory");
        let packages = packages.canonicalize().expect("they are there");
        symlink(packages, scripts.path().join("node_modules")).expect("an empty directory");
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
        for source in fs::read_dir(sources).expect("the scripts").map(|entry| entry.expect("an entry")) {
            fs::copy(source.path(), scripts.path().join(source.file_name())).expect("a file");
        }
        Self { scripts }
    }

    /// Runs a script of `tests/node` to its end, which must be a success, and returns what it printed.
    pub(crate) fn script(&self, name: &str, arguments: &[&str]) -> String {
        let output = finish(self.command(name, arguments).spawn().expect("node is there"));
        println!("{}", text(&output));
        assert!(output.status.success(), "{name} ended with {}:\n{}", output.status, text(&output));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// A script of `tests/node`.
    pub(crate) fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("node");
        command.arg(self.scripts.path().join(name)).args(arguments).current_dir(self.scripts.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}
