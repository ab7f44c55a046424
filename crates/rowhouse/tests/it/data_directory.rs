//! The directory as a whole: its state, its lock, its format.
use crate::support::{Client, Home, Python, Server, text};
use rustix::process::Signal;
use std::fs;

/// Arguments of a server that is refused before it serves.
const START: [&str; 7] =
    ["start", "0", "--tcp-address", "tcp://127.0.0.1:0", "--data-directory", "data", "--auto-connect"];

#[test]
fn the_servers_own_state_has_a_directory_no_database_can_be_named_after() {
    let home = Home::new();
    let _server = Server::start(&home, &["--auto-connect"]);
    assert!(home.data().join(".rowhouse").is_dir());
    assert!(home.data().join(".rowhouse/format").is_file());
}

#[test]
fn a_missing_data_directory_is_made() {
    let home = Home::new();
    fs::remove_dir(home.data()).expect("it is empty");
    let _server = Server::start(&home, &["--auto-connect"]);
    assert!(home.data().is_dir());
}

#[test]
fn a_second_process_on_the_same_directory_is_refused_with_a_sentence() {
    let home = Home::new();
    let first = Server::start(&home, &["--auto-connect"]);
    let output = home.run(&START);
    let said = text(&output);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{}: {said}", output.status);
    let names_the_cause = ["lock", "another", "already", "in use"].iter().any(|word| said.contains(word));
    assert!(names_the_cause && said.contains("data"), "{said}");
    first.stop();
    let _second = Server::start(&home, &["--auto-connect"]);
}

#[test]
fn a_killed_server_leaves_no_lock_and_no_lost_row() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let flags = ["--auto-connect", "--auto-create"];
    let first = Server::start(&home, &flags);
    let mut client = Client::connect(&python, &first);
    client.rows("a", "CREATE TABLE t (x)");
    client.rows("a", "INSERT INTO t VALUES (1)");
    first.end(Signal::KILL);
    let second = Server::start(&home, &flags);
    let mut client = Client::connect(&python, &second);
    assert_eq!(client.rows("a", "SELECT x FROM t"), serde_json::json!([[1]]));
}

#[test]
fn a_format_of_a_newer_version_is_refused() {
    let home = Home::new();
    Server::start(&home, &["--auto-connect"]).stop();
    let format = home.data().join(".rowhouse/format");
    fs::write(&format, "999999\n").expect("the state can be written");
    let output = home.run(&START);
    let said = text(&output);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{}: {said}", output.status);
    assert!(said.contains("999999") && said.contains("newer"), "{said}");
    assert_eq!(fs::read_to_string(&format).expect("it is still there"), "999999\n");
}
