//! Databases in processes of their own: what ends one ends nothing else, and none outlives the server.
#![cfg(target_os = "linux")]

use crate::support::{Client, Home, Python, Server, text};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

const FLAGS: [&str; 7] = [
    "--auto-connect",
    "--auto-create",
    "--isolation",
    "process",
    "--default-database",
    "system.db",
    "--max-connections=3",
];

/// The process of a database, as HEALTH_CHECK tells it.
fn pid(client: &mut Client, database: &str) -> u32 {
    let health = client.health();
    let of = if database == "default" { "processes" } else { "dynamic_databases" };
    let pid = health[of][database]["pid"].as_u64();
    u32::try_from(pid.unwrap_or_else(|| panic!("{database} is not open: {health}"))).expect("a process")
}

fn is_alive(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // What was reaped is gone; a zombie would be `Z`.
    !status.is_empty()
}

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("not zero");
    kill_process(pid, signal).expect("it runs");
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_killed_process_fails_its_own_database_only_and_the_next_request_starts_it_again() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &FLAGS);
    let (mut client, mut other) = (Client::connect(&python, &server), Client::connect(&python, &server));
    for name in ["a", "b"] {
        client.rows(name, "CREATE TABLE t (x)");
        client.rows(name, "INSERT INTO t VALUES (1)");
    }
    let (a, b) = (pid(&mut client, "a"), pid(&mut client, "b"));
    assert!(a != b && a != server.pid() && pid(&mut client, "default") != server.pid());
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    client.send(&json!({ "query": endless, "database_name": "a" }));
    while other.health()["dynamic_databases"]["a"]["active_sessions"] != 1 {
        std::thread::yield_now();
    }
    signal(a, Signal::KILL);
    let error = client.receive()["error"].take();
    assert_eq!(error["code"], "database_unavailable", "{error}");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("process ended")), "{error}");
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("send it again")), "{error}");
    // Who was not meant noticed nothing.
    assert_eq!(other.rows("b", "SELECT x FROM t"), json!([[1]]));
    assert_eq!(pid(&mut other, "b"), b);
    assert_eq!(client.rows("a", "SELECT x FROM t"), json!([[1]]), "what was committed");
    client.rows("a", "INSERT INTO t VALUES (2)");
    let health = client.health();
    assert_ne!(health["dynamic_databases"]["a"]["pid"], a);
    assert_eq!(health["dynamic_databases"]["a"]["restart_count"], 1);
    assert_eq!(health["metrics"]["total_process_restarts"], 1);
    assert_eq!(health["connection"]["isolation"], "process");
    wait_until("the killed process is reaped", || !is_alive(a));
    let output = server.end(Signal::TERM);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("ended by signal 9"), "{}", text(&output));
    assert_eq!(home.listing(), ["a.db", "b.db", "system.db"], "every database was closed");
    assert!(!is_alive(b));
}

#[test]
fn a_process_that_ended_while_nobody_asked_is_never_noticed_by_a_request() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &FLAGS);
    let mut client = Client::connect(&python, &server);
    client.rows("a", "CREATE TABLE t (x)");
    client.rows("", "CREATE TABLE t (x)");
    for (name, of) in [("a", "a"), ("", "default")] {
        for round in 0..2 {
            let before = pid(&mut client, of);
            signal(before, Signal::KILL);
            wait_until("it is gone", || !is_alive(before));
            client.rows(name, &format!("INSERT INTO t VALUES ({round})"));
            assert_ne!(pid(&mut client, of), before);
        }
        assert_eq!(client.rows(name, "SELECT x FROM t ORDER BY x"), json!([[0], [1]]));
    }
    server.stop();
}

#[test]
fn a_transaction_ends_with_its_process_and_its_client_is_told_so_once() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &FLAGS);
    let mut client = Client::connect(&python, &server);
    client.rows("a", "CREATE TABLE t (x)");
    client.rows("a", "BEGIN");
    client.rows("a", "INSERT INTO t VALUES (1)");
    let process = pid(&mut client, "a");
    signal(process, Signal::KILL);
    wait_until("it is gone", || !is_alive(process));
    let error = client.ask("a", "INSERT INTO t VALUES (2)")["error"].take();
    assert_eq!(error["code"], "database_unavailable", "{error}");
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("begin again")), "{error}");
    assert_eq!(client.rows("a", "SELECT count(*) FROM t"), json!([[0]]));
    server.stop();
}

#[test]
fn processes_end_with_the_server_however_it_ends() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &FLAGS);
    let mut client = Client::connect(&python, &server);
    client.rows("a", "CREATE TABLE t (x)");
    client.rows("a", "BEGIN");
    client.rows("a", "INSERT INTO t VALUES (1)");
    let mut busy = Client::connect(&python, &server);
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    busy.send(&json!({ "query": endless, "database_name": "b" }));
    while client.health()["dynamic_databases"]["b"]["active_sessions"] != 1 {
        std::thread::yield_now();
    }
    let processes = [pid(&mut client, "a"), pid(&mut client, "b"), pid(&mut client, "default")];
    server.end(Signal::KILL);
    wait_until("they end", || !processes.into_iter().any(is_running));
    // At once: the next server finds no lock of theirs.
    let server = Server::start(&home, &FLAGS);
    let mut client = Client::connect(&python, &server);
    assert_eq!(client.rows("a", "SELECT count(*) FROM t"), json!([[0]]));
    client.rows("a", "INSERT INTO t VALUES (2)");
    server.stop();
}

/// Not our child any more: who reaps it takes its time.
fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .and_then(|rest| rest.trim_start().chars().next())
        .is_some_and(|state| state != 'Z')
}

#[test]
fn signals_that_mean_the_server_do_not_end_its_processes() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &FLAGS);
    let mut client = Client::connect(&python, &server);
    client.rows("a", "CREATE TABLE t (x)");
    let process = pid(&mut client, "a");
    // It is in no group with the server, whose terminal signals the whole of it.
    let group = fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    let group = group.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(2).map(str::to_owned));
    assert_eq!(group, Some(process.to_string()));
    for mean in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2] {
        kill_process_group(Pid::from_raw(process.cast_signed()).expect("not zero"), mean).expect("it runs");
        client.rows("a", "INSERT INTO t VALUES (1)");
    }
    assert_eq!(pid(&mut client, "a"), process);
    assert_eq!(client.rows("a", "SELECT count(*) FROM t"), json!([[6]]));
    server.stop();
}

#[test]
fn processes_can_be_told_apart_and_hold_no_secrets_of_the_environment() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &[&FLAGS[..], &["--worker-memory", "256MiB"]].concat());
    let mut client = Client::connect(&python, &server);
    client.rows("tenant-1", "SELECT 1");
    let process = pid(&mut client, "tenant-1");
    let of = |file: &str| fs::read_to_string(Path::new("/proc").join(process.to_string()).join(file));
    assert_eq!(of("cmdline").expect("it runs"), "rowhouse\0__worker\0tenant-1\0");
    assert_eq!(of("comm").expect("it runs"), "rw:tenant-1\n");
    let environment = of("environ").expect("it runs");
    let names: Vec<_> = environment.split_terminator('\0').filter_map(|pair| pair.split_once('=')).collect();
    assert!(names.iter().any(|(name, _)| *name == "PATH"), "{names:?}");
    // The runner of this test sets the latter.
    let foreign = |name: &str| name.starts_with("ROWHOUSE_") || name.starts_with("CARGO_");
    assert!(!names.iter().any(|(name, _)| foreign(name)), "{names:?}");
    let limits = of("limits").expect("it runs");
    let limit = |name| limits.lines().find(|line| line.starts_with(name)).expect("a limit").to_owned();
    assert!(limit("Max core file size").contains(" 0 "), "{limits}");
    assert!(limit("Max data size").contains(&(256u64 << 20).to_string()), "{limits}");
    // Nothing of the server's or of others' is open there.
    let open: Vec<_> = fs::read_dir(format!("/proc/{process}/fd"))
        .expect("it runs")
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .map(|target| target.display().to_string())
        .collect();
    let foreign = open.iter().filter(|name| name.contains(".db") && !name.contains("tenant-1.db")).count();
    assert_eq!(foreign, 0, "{open:?}");
    server.stop();
}

#[test]
fn who_takes_too_much_memory_loses_its_own_process_or_statement_only() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let flags = ["--worker-memory", "64MiB", "--sql-policy", "standard"];
    let server = Server::start(&home, &[&FLAGS[..], &flags].concat());
    let mut client = Client::connect(&python, &server);
    client.rows("other", "CREATE TABLE t (x)");
    let other = pid(&mut client, "other");
    let greedy = "SELECT length(group_concat(x)) FROM (SELECT zeroblob(20000000) AS x UNION ALL \
                  SELECT zeroblob(20000001) UNION ALL SELECT zeroblob(20000002))";
    let error = client.ask("greedy", greedy)["error"].take();
    assert!(["out_of_memory", "database_unavailable"].iter().any(|code| error["code"] == *code), "{error}");
    assert_eq!(client.rows("greedy", "SELECT 1"), json!([[1]]));
    assert_eq!(pid(&mut client, "other"), other);
    server.stop();
}

#[test]
fn a_process_that_keeps_ending_is_started_ever_more_slowly() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &FLAGS);
    let mut client = Client::connect(&python, &server);
    let mut refused = Value::Null;
    for _ in 0..12 {
        let reply = client.ask("a", "SELECT 1");
        if !reply["error"].is_null() {
            refused = reply["error"].clone();
            break;
        }
        let process = pid(&mut client, "a");
        signal(process, Signal::KILL);
        wait_until("it is gone", || !is_alive(process));
    }
    assert_eq!(refused["code"], "database_unavailable", "{refused}");
    assert!(
        refused["message"].as_str().is_some_and(|text| text.contains("times within a minute")),
        "{refused}"
    );
    assert_eq!(client.rows("b", "SELECT 1"), json!([[1]]), "others are started at once");
    let since = Instant::now();
    while !client.ask("a", "SELECT 1")["error"].is_null() {
        assert!(since.elapsed() < Duration::from_secs(60), "it is started again");
    }
    server.stop();
}

#[test]
fn nobody_but_a_server_can_use_the_workers_command() {
    let said = Home::new().ends(2, &["__worker", "tenant"]);
    assert!(said.contains("the server's own"), "{said}");
}
