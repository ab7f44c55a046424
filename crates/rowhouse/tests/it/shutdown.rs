//! Signals: what is in flight is answered, and nothing is left behind.
use crate::support::{Client, Home, Python, Server, text};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Takes a few seconds, and shows afterwards whether it was done.
const SLOW_WRITE: &str = "CREATE TABLE t (x); INSERT INTO t
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000000) SELECT max(i) FROM n;";

fn drains_on(signal: Signal) {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let flags = ["--auto-connect", "--auto-create", "--default-database", "system.db"];
    let server = Server::start(&home, &flags);
    let mut busy = Client::connect(&python, &server);
    let mut watcher = Client::connect(&python, &server);
    watcher.rows("", "CREATE TABLE t (x)");
    watcher.rows("idle", "CREATE TABLE t (x)");
    busy.send(&json!({ "query": SLOW_WRITE, "execute_script": true, "database_name": "slow" }));
    while watcher.health()["dynamic_databases"]["slow"].is_null() {
        std::thread::yield_now();
    }
    let output = server.end(signal);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(busy.receive()["error"], Value::Null, "the statement in flight");
    assert_eq!(home.listing(), ["idle.db", "slow.db", "system.db"]);
    let server = Server::start(&home, &flags);
    let mut client = Client::connect(&python, &server);
    assert_eq!(client.rows("slow", "SELECT x FROM t"), json!([[5_000_000]]));
}

#[test]
fn sigterm_delivers_what_is_in_flight_and_leaves_no_log() {
    drains_on(Signal::TERM);
}

#[test]
fn sigint_delivers_what_is_in_flight_and_leaves_no_log() {
    drains_on(Signal::INT);
}

#[test]
fn an_open_transaction_is_rolled_back_at_the_end() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let flags = ["--auto-connect", "--auto-create"];
    let server = Server::start(&home, &flags);
    let mut client = Client::connect(&python, &server);
    client.rows("a", "CREATE TABLE t (x)");
    client.rows("a", "BEGIN");
    client.rows("a", "INSERT INTO t VALUES (1)");
    server.stop();
    assert_eq!(home.listing(), ["a.db"]);
    let server = Server::start(&home, &flags);
    let mut client = Client::connect(&python, &server);
    assert_eq!(client.rows("a", "SELECT x FROM t"), json!([]));
}

#[test]
fn a_hundred_databases_leave_no_log() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &["--auto-connect", "--auto-create", "--max-connections", "100"]);
    let mut client = Client::connect(&python, &server);
    let names: Vec<_> = (100..200).map(|number| format!("tenant-{number}")).collect();
    for name in &names {
        client.rows(name, "CREATE TABLE t (x)");
    }
    assert_eq!(client.health()["active_dynamic_connections"], 100);
    server.stop();
    let files: Vec<_> = names.iter().map(|name| format!("{name}.db")).collect();
    assert_eq!(home.listing(), files);
}

#[test]
fn what_takes_too_long_is_interrupted_and_every_database_still_closes() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &["--auto-connect", "--auto-create", "--set", "drain_timeout=200ms"]);
    let mut busy = Client::connect(&python, &server);
    let mut watcher = Client::connect(&python, &server);
    watcher.rows("idle", "CREATE TABLE t (x)");
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    busy.send(&json!({ "query": endless, "database_name": "slow" }));
    while watcher.health()["dynamic_databases"]["slow"].is_null() {
        std::thread::yield_now();
    }
    let output = server.end(Signal::TERM);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("drain_timeout"), "{}", text(&output));
    assert_eq!(home.listing(), ["idle.db", "slow.db"]);
}

/// Its client can send it again to the next server only, which must be the first to apply it.
#[test]
fn what_waits_for_a_resend_is_interrupted_and_not_applied() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &["--default-database", "system.db"]);
    python.script("resend.py", &[server.address(), "--leave"]);
    server.stop();
    assert_eq!(home.listing(), ["system.db"]);
    let server = Server::start(&home, &["--default-database", "system.db"]);
    let mut client = Client::connect(&python, &server);
    assert_eq!(client.rows("", "SELECT count(*) FROM resent"), json!([[0]]));
}
