//! `rowhouse manager` on its own: what its words mean, and what it says without a server.
use crate::support::{Home, ended, finish, text};
use std::net::TcpListener;
use std::process::Command;

/// A main port above whose thousand nobody listens.
fn nobody() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port() - 1000
}

/// Asserts that the command ends with 2 and says `said` on standard error, first, and nothing else.
#[track_caller]
fn is_wrong(command: Command, said: &str) {
    let mut command = command;
    let output = finish(command.spawn().expect("the program is there"));
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(output.stdout.is_empty(), "{}", text(&output));
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(error.lines().next(), Some(said), "{error}");
}

#[test]
fn without_a_server_the_first_line_is_the_documented_one_and_the_hints_follow() {
    let home = Home::new();
    let port = nobody().to_string();
    for name in ["rowhouse", "shibudb"] {
        for command in
            ["status", "stats", "health", "history", "connections", "databases", "increase", "reset"]
        {
            let output =
                finish(home.command_as(name, &["manager", &port, command]).spawn().expect("it is built"));
            assert_eq!(output.status.code(), Some(1), "{}", text(&output));
            let error = String::from_utf8_lossy(&output.stderr);
            let lines: Vec<_> = error.lines().collect();
            assert_eq!(lines[0], "Error: Failed to connect to management server: connection refused");
            for (line, hint) in lines[1..].iter().zip(["/health", "main port + 1000", "firewall"]) {
                assert!(line.contains(hint), "{error}");
            }
            assert_eq!(lines.len(), 4, "{error}");
        }
    }
}

#[test]
fn words_that_make_no_sense_are_told_in_the_words_of_that_command() {
    let home = Home::new();
    for name in ["rowhouse", "shibudb"] {
        let usage = format!("Usage: {name} manager <port> <command>");
        let limit = format!("Usage: {name} manager <port> limit <new_limit>");
        for (arguments, said) in [
            (&["manager"][..], usage.as_str()),
            (&["manager", "9090"], &usage),
            (&["manager", "stats"], &usage),
            (&["manager", "abc", "status"], "Error: Invalid port number: abc"),
            (&["manager", "70000", "status"], "Error: Invalid port number: 70000"),
            (&["manager", "9090", "bogus"], "Error: Unknown command: bogus"),
            (&["manager", "9090", "limit"], &limit),
            (&["manager", "9090", "limit", "abc"], "Error: Invalid limit value: abc"),
            (
                &["manager", "9090", "limit", "99999999999999999999"],
                "Error: Invalid limit value: 99999999999999999999",
            ),
            (&["manager", "9090", "increase", "1.5"], "Error: Invalid amount: 1.5"),
            (&["manager", "9090", "decrease", "many"], "Error: Invalid amount: many"),
            (
                &["manager", "9090", "limit", "5", "--watch"],
                "Error: --watch only goes with what changes nothing",
            ),
        ] {
            is_wrong(home.command_as(name, arguments), said);
        }
    }
}

#[test]
fn whoever_is_told_of_no_command_reads_which_there_are() {
    let said = Home::new().ends(2, &["manager", "9090", "bogus"]);
    for command in [
        "status",
        "stats",
        "limit",
        "increase",
        "decrease",
        "reset",
        "health",
        "history",
        "connections",
        "databases",
    ] {
        assert!(said.lines().any(|line| line.starts_with(&format!("  {command} "))), "{said}");
    }
}

#[test]
fn a_port_that_has_none_above_it_needs_another() {
    let home = Home::new();
    for arguments in [&["manager", "64536", "status"][..], &["manager", "65535", "status"]] {
        let said = home.ends(2, arguments);
        assert!(said.contains("--management-port"), "{said}");
    }
}

#[test]
fn the_flags_of_a_connection_are_checked_before_anybody_is_asked() {
    let home = Home::new();
    home.write("empty", "\n");
    home.write("words", "a b c\n");
    home.write("token", "secret\n");
    for (flags, said) in [
        (&["--url", "localhost:10090"][..], "http://HOST:PORT"),
        (&["--url", "http://localhost:1", "--management-port", "1"], "cannot be used with"),
        (&["--management-port", "0"], "--management-port"),
        (&["--token-file", "none"], "cannot be read"),
        (&["--token-file", "empty"], "is empty"),
        (&["--token-file", "words"], "holds no token"),
        (&["--url", "http://db.example.com:1", "--token-file", "token"], "unencrypted"),
        (&["--url", "https://localhost:1", "--cacert", "none"], "--cacert none"),
        (&["--url", "https://localhost:1", "--cacert", "token"], "no certificate"),
        (&["--timeout", "soon"], "--timeout"),
        (&["--watch", "never"], "--watch"),
    ] {
        let said_in_fact = home.ends(2, &[&["manager", "9090", "status"], flags].concat());
        assert!(said_in_fact.contains(said), "{flags:?}: {said_in_fact}");
    }
}

#[test]
fn as_shibudb_there_are_start_and_manager() {
    let home = Home::new();
    let said = ended(0, home.command_as("shibudb", &["--help"]));
    for command in ["start", "manager"] {
        assert!(said.lines().any(|line| line.trim_start().starts_with(command)), "{said}");
    }
    let said = ended(0, home.command_as("shibudb", &["--version"]));
    assert!(said.starts_with("shibudb ") && said.contains("(rowhouse)"), "{said}");
    let said = ended(2, home.command_as("shibudb", &["start", "abc"]));
    assert!(said.contains("PORT"), "{said}");
}
