//! The program that speaks through the `libsql` crate.
use super::bounded::finish;
use super::home::text;
use super::python::repository;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The program of `tests/libsql`, which stands outside this workspace.
pub(crate) struct Libsql {
    program: PathBuf,
}

// === impl Libsql ===

impl Libsql {
    /// Finds the program, or says that the test is skipped.
    ///
    /// # Panics
    ///
    /// Without it where `CI` is `true`: there, a skip is a failure.
    pub(crate) fn find() -> Option<Self> {
        let named = std::env::var_os("ROWHOUSE_TEST_LIBSQL").map(PathBuf::from);
        let built = "target/libsql/debug/rowhouse-libsql-suite";
        let program = named.unwrap_or_else(|| repository().join(built));
        if program.exists() {
            return Some(Self { program });
        }
        let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!ci, "no program at {}", program.display());
        println!("SKIPPED: no program at {}; `cargo xtask test` builds it", program.display());
        None
    }

    /// Runs it to its end, which must be a success.
    pub(crate) fn runs(&self, arguments: &[&str]) {
        let mut command = Command::new(&self.program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = finish(command.spawn().expect("it was built"));
        println!("{}", text(&output));
        assert!(output.status.success(), "it ended with {}:\n{}", output.status, text(&output));
    }
}
