//! A directory of a test's own, and the binary run in it.
use super::bounded::finish;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// The current directory of the binary under test; `data` in it is the data directory.
pub(crate) struct Home {
    directory: TempDir,
}

// === impl Home ===

impl Home {
    pub(crate) fn new() -> Self {
        let home = Self { directory: TempDir::new().expect("a temporary directory") };
        fs::create_dir(home.data()).expect("an empty directory");
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The file of a database in the data directory.
    pub(crate) fn database(&self, name: &str) -> PathBuf {
        self.data().join(format!("{name}.db"))
    }

    /// The names in the data directory, in order, without the server's own state.
    pub(crate) fn listing(&self) -> Vec<String> {
        let entries = fs::read_dir(self.data()).expect("the data directory");
        let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<_> = entries.map(|e| name(e).into_string().expect("UTF-8")).collect();
        names.retain(|name| name != ".rowhouse");
        names.sort();
        names
    }

    pub(crate) fn write(&self, file: &str, contents: &str) -> PathBuf {
        let path = self.path().join(file);
        fs::write(&path, contents).expect("a file of the test's own");
        path
    }

    /// The binary with these arguments, here, and with nothing of this process's configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.program(Path::new(env!("CARGO_BIN_EXE_rowhouse")), arguments)
    }

    /// The binary under another name, as packages install it: by a symbolic link.
    pub(crate) fn command_as(&self, name: &str, arguments: &[&str]) -> Command {
        let link = self.path().join(name);
        if !link.exists() {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_rowhouse"), &link)
                .expect("a link of the test's own");
        }
        self.program(&link, arguments)
    }

    /// A program with these arguments, here, and with nothing of this process's configuration.
    pub(crate) fn program(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.path());
        for (key, _) in std::env::vars_os() {
            if ["ROWHOUSE_", "DB_"].iter().any(|prefix| key.to_string_lossy().starts_with(prefix)) {
                command.env_remove(key);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the binary to its end, which must come by itself.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        finish(self.command(arguments).spawn().expect("the binary was built"))
    }

    /// Asserts that the binary ends with `code`, and returns what it said.
    pub(crate) fn ends(&self, code: i32, arguments: &[&str]) -> String {
        ended(code, self.command(arguments))
    }
}

/// Asserts that a command ends with `code`, and returns what it said.
pub(crate) fn ended(code: i32, mut command: Command) -> String {
    let output = finish(command.spawn().expect("the program is there"));
    let said = text(&output);
    assert_eq!(output.status.code(), Some(code), "{command:?} said:\n{said}");
    said
}

/// What a process said, on both of its outputs.
pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
