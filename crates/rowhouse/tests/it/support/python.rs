//! The Python in which real clients run.
use super::bounded::finish;
use super::home::text;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An interpreter with the pinned packages of `clients/python/requirements-test.txt`.
#[derive(Clone)]
pub(crate) struct Python {
    interpreter: PathBuf,
}

// === impl Python ===

impl Python {
    /// Finds the interpreter, or says that the test is skipped.
    ///
    /// # Panics
    ///
    /// Without one where `CI` is `true`: there, a skip is a failure.
    pub(crate) fn find() -> Option<Self> {
        let named = std::env::var_os("ROWHOUSE_TEST_PYTHON").map(PathBuf::from);
        let interpreter = named.unwrap_or_else(|| repository().join("target/venv/bin/python"));
        if interpreter.exists() {
            return Some(Self { interpreter });
        }
        let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!ci, "no Python at {}", interpreter.display());
        println!("SKIPPED: no Python at {}; `cargo xtask test` makes one", interpreter.display());
        None
    }

    /// Finds the interpreter with these modules, or says that the test is skipped.
    ///
    /// # Panics
    ///
    /// Without one of them where `CI` is `true`: there, a skip is a failure.
    pub(crate) fn with(modules: &[&str]) -> Option<Self> {
        let python = Self::find()?;
        let imports = format!("import {}", modules.join(", "));
        let imported = finish(python.command(&["-c", &imports]).spawn().expect("the interpreter exists"));
        if imported.status.success() {
            return Some(python);
        }
        let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!ci, "no {modules:?} in {}", python.interpreter.display());
        println!("SKIPPED: no {modules:?} in {}; `cargo xtask test` makes one", python.interpreter.display());
        None
    }

    /// The interpreter itself, for a script in another language.
    pub(crate) fn path(&self) -> &Path {
        &self.interpreter
    }

    /// Runs a script of `tests/python` to its end, which must be a success.
    pub(crate) fn script(&self, name: &str, arguments: &[&str]) {
        let script = scripts().join(name);
        let arguments: Vec<_> = arguments.iter().map(OsStr::new).collect();
        self.succeeds(&[&[script.as_os_str()], &arguments[..]].concat());
    }

    /// Runs the interpreter to its end, which must be a success.
    pub(crate) fn succeeds(&self, arguments: &[&OsStr]) {
        let output = finish(self.command(arguments).spawn().expect("the interpreter exists"));
        println!("{}", text(&output));
        assert!(output.status.success(), "{arguments:?} ended with {}:\n{}", output.status, text(&output));
    }

    /// Makes a database file, as another program would: by a script of SQL.
    pub(crate) fn make_database(&self, path: &Path, script: &str) {
        let code = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.argv[2]).close()";
        self.succeeds(&["-c".as_ref(), code.as_ref(), path.as_os_str(), script.as_ref()]);
    }

    /// The interpreter, which finds this repository's own client first.
    pub(crate) fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(&self.interpreter);
        command.args(arguments);
        command.env("PYTHONPATH", repository().join("clients/python"));
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONIOENCODING", "utf-8");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The scripts beside these tests.
pub(crate) fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python")
}
