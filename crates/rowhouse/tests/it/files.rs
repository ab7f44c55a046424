//! Database files: found, created, mapped, and refused one by one.
use crate::support::{Client, Home, Python, Server};
use serde_json::{Value, json};
use std::fs;

const ONE_ROW: &str = "CREATE TABLE t (x); INSERT INTO t VALUES (1);";

#[test]
fn a_file_that_comes_after_the_start_is_connected_without_restart() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &["--auto-connect"]);
    let mut client = Client::connect(&python, &server);
    assert_eq!(client.error("x", "SELECT 1"), "Database 'x' not found");
    python.make_database(&home.database("x"), ONE_ROW);
    assert_eq!(client.rows("x", "SELECT x FROM t"), json!([[1]]));
}

#[test]
fn without_auto_create_an_unknown_name_makes_no_file() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &["--auto-connect"]);
    let mut client = Client::connect(&python, &server);
    assert_eq!(client.error("new", "CREATE TABLE t (x)"), "Database 'new' not found");
    assert_eq!(home.listing(), Vec::<String>::new());
}

#[test]
fn without_auto_connect_an_existing_file_is_refused() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    python.make_database(&home.database("x"), ONE_ROW);
    let server = Server::start(&home, &[]);
    let mut client = Client::connect(&python, &server);
    assert_eq!(client.error("x", "SELECT x FROM t"), "Database 'x' not found");
}

#[test]
fn a_name_is_the_file_of_that_name_in_wal_mode() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &["--auto-connect", "--auto-create"]);
    let mut client = Client::connect(&python, &server);
    client.rows("user123", "CREATE TABLE t (x)");
    server.stop();
    assert_eq!(home.listing(), ["user123.db"]);
    let header = fs::read(home.database("user123")).expect("the file is there");
    // The file format's read and write versions: 2 is WAL.
    assert_eq!(header[18..20], [2, 2]);
}

#[test]
fn the_map_comes_first_and_its_relative_paths_are_in_the_data_directory() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    python.make_database(&home.database("mapped"), "CREATE TABLE t (x); INSERT INTO t VALUES ('mapped');");
    python.make_database(&home.database("x"), "CREATE TABLE t (x); INSERT INTO t VALUES ('by name');");
    let outside = home.path().join("outside.db");
    python.make_database(&outside, "CREATE TABLE t (x); INSERT INTO t VALUES ('outside');");
    let map = json!({ "x": "mapped.db", "abs": outside }).to_string();
    let server = Server::start(&home, &["--auto-connect", "--max-connections", "1", "--database-map", &map]);
    let mut client = Client::connect(&python, &server);
    assert_eq!(client.rows("x", "SELECT x FROM t"), json!([["mapped"]]));
    assert_eq!(client.rows("abs", "SELECT x FROM t"), json!([["outside"]]));
    let health = client.health();
    assert_eq!(health["active_dynamic_connections"], 0);
    assert_eq!(health["processes"]["x"]["type"], "static");
    assert_eq!(health["dynamic_databases"], json!({}));
}

#[test]
fn the_default_database_is_in_the_data_directory_and_never_evicted() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let flags =
        ["--default-database", "system.db", "--auto-connect", "--auto-create", "--max-connections", "1"];
    let server = Server::start(&home, &flags);
    let mut client = Client::connect(&python, &server);
    client.rows("", "CREATE TABLE t (x)");
    client.rows("", "INSERT INTO t VALUES (1)");
    for name in ["a", "b", "c"] {
        client.rows(name, "CREATE TABLE t (x)");
    }
    assert_eq!(client.rows("", "SELECT x FROM t"), json!([[1]]));
    let health = client.health();
    assert_eq!(health["active_dynamic_connections"], 1);
    assert_eq!(health["metrics"]["dynamic_connections_evicted"], 2);
    assert!(home.database("system").exists());
}

#[test]
fn a_default_database_in_memory_lasts_between_clients() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &["--auto-connect", "--auto-create", "--max-connections", "1"]);
    let mut client = Client::connect(&python, &server);
    client.rows("", "CREATE TABLE t (x)");
    client.rows("a", "SELECT 1");
    client.rows("b", "SELECT 1");
    drop(client);
    let mut client = Client::connect(&python, &server);
    assert_eq!(client.rows("", "SELECT count(*) FROM t"), json!([[0]]));
}

#[test]
fn an_evicted_database_leaves_an_empty_log_at_most_and_comes_back() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &["--auto-connect", "--auto-create", "--max-connections", "1"]);
    let mut client = Client::connect(&python, &server);
    client.rows("a", "CREATE TABLE t (x)");
    client.rows("a", "INSERT INTO t VALUES (1)");
    client.rows("b", "SELECT 1");
    let log = home.data().join("a.db-wal").metadata().map_or(0, |log| log.len());
    assert_eq!(log, 0, "all of it is in the file");
    assert_eq!(client.rows("a", "SELECT x FROM t"), json!([[1]]));
    server.stop();
    assert_eq!(home.listing(), ["a.db", "b.db"]);
}

/// Asserts that what `spoil` makes of `x.db` is an error for `x`, a poor one for a spy, and for nobody else.
fn confines(spoil: impl FnOnce(&Python, &Home)) -> Option<Value> {
    let python = Python::find()?;
    let home = Home::new();
    python.make_database(&home.database("good"), ONE_ROW);
    python.make_database(&home.path().join("elsewhere.db"), "CREATE TABLE secret (x);");
    spoil(&python, &home);
    let server = Server::start(&home, &["--auto-connect", "--auto-create"]);
    let mut client = Client::connect(&python, &server);
    for _ in 0..3 {
        let message = client.error("x", "SELECT * FROM sqlite_master");
        let path = home.path().to_str().expect("temporary directories have plain names");
        assert!(!message.contains(path), "the error tells a path: {message}");
        assert_eq!(client.rows("good", "SELECT x FROM t"), json!([[1]]));
    }
    Some(client.health())
}

#[test]
fn a_symbolic_link_is_refused() {
    confines(|_, home| {
        std::os::unix::fs::symlink(home.path().join("elsewhere.db"), home.database("x")).expect("a link");
    });
}

#[test]
fn a_symbolic_link_to_nothing_is_refused_and_creates_nothing() {
    confines(|_, home| {
        std::os::unix::fs::symlink(home.path().join("nowhere.db"), home.database("x")).expect("a link");
    });
}

#[test]
fn a_hard_link_is_refused() {
    confines(|_, home| {
        fs::hard_link(home.path().join("elsewhere.db"), home.database("x")).expect("a link");
    });
}

#[test]
fn a_directory_is_refused() {
    confines(|_, home| fs::create_dir(home.database("x")).expect("a directory"));
}

#[test]
fn a_pipe_is_refused() {
    confines(|_, home| {
        let made = std::process::Command::new("mkfifo").arg(home.database("x")).status();
        assert!(made.expect("mkfifo is there").success());
    });
}

#[test]
fn a_file_that_is_no_database_is_an_error_for_its_name_only() {
    let health = confines(|_, home| {
        fs::write(home.database("x"), "This is no database. ".repeat(1000)).expect("a file");
    });
    if let Some(health) = health {
        assert_eq!(health["status"], "degraded", "{health}");
    }
}
