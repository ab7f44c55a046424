//! A client for one request at a time.
use super::python::{Python, scripts};
use super::server::Server;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

/// One peer of a server, and so one session; ended on drop.
pub(crate) struct Client {
    child: Child,
    requests: ChildStdin,
    replies: BufReader<ChildStdout>,
}

// === impl Client ===

impl Client {
    pub(crate) fn connect(python: &Python, server: &Server) -> Self {
        Self::run(python, "ask.py", &[server.address()])
    }

    /// Runs a script of `tests/python` that answers each line with a line.
    pub(crate) fn run(python: &Python, script: &str, arguments: &[&str]) -> Self {
        let script = scripts().join(script);
        let arguments: Vec<_> = arguments.iter().map(OsStr::new).collect();
        let mut command = python.command(&[&[script.as_os_str()], &arguments[..]].concat());
        command.stdin(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("the interpreter exists");
        let requests = child.stdin.take().expect("it is piped");
        let replies = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, requests, replies }
    }

    /// Sends a request: an object with `query` and what else the message shall have.
    pub(crate) fn send(&mut self, request: &Value) {
        writeln!(self.requests, "{request}").expect("the client runs");
    }

    /// The reply to the oldest request without one.
    pub(crate) fn receive(&mut self) -> Value {
        let mut line = String::new();
        self.replies.read_line(&mut line).expect("the client runs");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the client got no reply, but {line:?}"))
    }

    /// The line that answers a line.
    pub(crate) fn exchange(&mut self, line: &str) -> String {
        writeln!(self.requests, "{line}").expect("the client runs");
        let mut answer = String::new();
        self.replies.read_line(&mut answer).expect("the client runs");
        answer.trim_end().to_owned()
    }

    /// The reply to `query` on the database of that name; none is the default database.
    pub(crate) fn ask(&mut self, database: &str, query: &str) -> Value {
        self.send(&json!({ "query": query, "database_name": database }));
        self.receive()
    }

    /// The rows of a query that must succeed.
    pub(crate) fn rows(&mut self, database: &str, query: &str) -> Value {
        let mut reply = self.ask(database, query);
        assert_eq!(reply["error"], Value::Null, "{query} on {database:?}");
        reply["items"].take()
    }

    /// The message of the error that a query must get.
    pub(crate) fn error(&mut self, database: &str, query: &str) -> String {
        let reply = self.ask(database, query);
        let message = reply["error"]["message"].as_str();
        message.unwrap_or_else(|| panic!("{query} on {database:?} succeeded: {reply}")).to_owned()
    }

    /// What HEALTH_CHECK says.
    pub(crate) fn health(&mut self) -> Value {
        self.ask("", "HEALTH_CHECK")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}
