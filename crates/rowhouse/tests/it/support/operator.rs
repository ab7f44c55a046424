//! Whoever operates a server, in a shell with the documentation beside it.
use super::bounded::finish;
use super::home::{Home, text};
use super::server::Server;
use std::path::Path;
use std::process::{Command, Output};

/// The main port in documentation, and the management port that follows from it.
const DOCUMENTED: (&str, &str) = ("9090", "10090");

/// The names under which an operator has the program.
const NAMES: [&str; 2] = ["rowhouse", "shibudb"];

/// A server, and a shell to manage it with; scripts run as they are documented but for the ports.
pub(crate) struct Operator {
    pub(crate) home: Home,
    pub(crate) server: Server,
}

// === impl Operator ===

impl Operator {
    /// A server with this limit, started as documented under one of the program's names.
    pub(crate) fn start(name: &str, limit: &str, flags: &[&str]) -> Self {
        Self::start_in(Home::new(), name, &[&[limit], flags].concat())
    }

    /// The same, where something was made ready for it; the limit is the first of the words.
    pub(crate) fn start_in(home: Home, name: &str, words: &[&str]) -> Self {
        let fixed = ["--tcp-address", "tcp://127.0.0.1:0", "--data-directory", "data"];
        let command = home.command_as(name, &[&["start", "0"], words, &fixed[..]].concat());
        let server = Server::run(&home, command);
        for name in NAMES {
            let _link = home.command_as(name, &[]);
        }
        Self { home, server }
    }

    /// A script in bash, with the programs on its path and the ports of this server.
    pub(crate) fn script(&self, script: &str) -> Command {
        let mut command = self.home.program(Path::new("bash"), &["-uo", "pipefail", "-c"]);
        command.arg(with_ports(script, self.server.management()));
        let path = std::env::var_os("PATH").expect("there is one");
        let own = self.home.path().to_owned();
        let path = std::env::join_paths([own].into_iter().chain(std::env::split_paths(&path)));
        command.env("PATH", path.expect("plain names"));
        command
    }

    /// Runs a script to its end.
    pub(crate) fn runs(&self, script: &str) -> Output {
        finish(self.script(script).spawn().expect("bash is there"))
    }

    /// Runs a script, which must be a success, and returns what it printed.
    #[track_caller]
    pub(crate) fn prints(&self, script: &str) -> String {
        let output = self.runs(script);
        assert!(output.status.success(), "{script}\nended with {}:\n{}", output.status, text(&output));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// The limit in force.
    pub(crate) fn limit(&self) -> u32 {
        let status = self.prints("rowhouse manager 9090 status --json");
        let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
        status["current_limit"].as_u64().and_then(|limit| limit.try_into().ok()).expect("a limit")
    }
}

/// A documented script for a server whose management port is another: the one place where it is changed.
///
/// The main port is told by the management port, which the system chose: nobody need listen on it.
pub(crate) fn with_ports(script: &str, management: u16) -> String {
    let (main, above) = DOCUMENTED;
    // In one pass, for one port may hold the digits of another.
    let parts = script.split(above).map(|part| part.replace(main, &(management - 1000).to_string()));
    parts.collect::<Vec<_>>().join(&management.to_string())
}

/// Whether these programs are there, else says that the test is skipped.
///
/// # Panics
///
/// Without one of them where `CI` is `true`: there, a skip is a failure.
pub(crate) fn has(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there =
        |program: &&&str| std::env::split_paths(&path).any(|directory| directory.join(program).exists());
    let Some(missing) = programs.iter().find(|program| !there(program)) else { return true };
    let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!ci, "{missing} is not there");
    println!("SKIPPED: {missing} is not there; .ci/run installs it");
    false
}
