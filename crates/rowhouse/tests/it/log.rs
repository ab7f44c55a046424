//! What the log says of databases: one event for each thing that happens, for programs to read, and
//! no more of the same than an operator needs.
use crate::support::{Client, Home, Python, Server, finish, text};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;

const FLAGS: [&str; 20] = [
    "--auto-connect",
    "--auto-create",
    "--max-connections",
    "1",
    "--set",
    "max_waiting=1",
    "--set",
    "room_timeout=900ms",
    "--set",
    "create_rate=1",
    "--set",
    "client_limit=3",
    "--set",
    "pool_size=1",
    "--set",
    "acquire_timeout=100ms",
    "--set",
    "log_format=json",
    "--log-level",
    "rowhouse=debug",
];

#[test]
fn every_event_is_a_line_of_json_with_its_fields_and_a_flood_is_a_few_lines() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    for n in 0..100 {
        fs::write(home.database(&format!("bad-{n}")), "This is no database. ".repeat(100)).expect("a file");
    }
    let server = Server::start(&home, &FLAGS);
    let [mut one, mut two, mut three] = [(); 3].map(|()| Client::connect(&python, &server));
    one.rows("a", "CREATE TABLE t (x)");
    one.rows("a", "BEGIN");
    one.rows("a", "INSERT INTO t VALUES (1)");
    assert_eq!(code(&mut two, "a", "SELECT 1"), "connection_limit_reached");
    // One waits for room in vain, and a second may not even wait.
    two.send(&json!({ "query": "SELECT 1", "database_name": "b" }));
    three.send(&json!({ "query": "SELECT 1", "database_name": "c" }));
    let mut refused = [&mut two, &mut three].map(|client| client.receive()["error"]["code"].take());
    refused.sort_by_key(Value::to_string);
    assert_eq!(refused, ["database_limit_reached", "queue_full"]);
    one.rows("a", "COMMIT");
    // Each client creates one a second.
    let mut rates = 0;
    for n in 0..5 {
        rates += u32::from(code(&mut one, &format!("new-{n}"), "SELECT 1") == "creation_rate_limited");
    }
    assert!(0 < rates);
    for _ in 0..3 {
        for n in 0..100 {
            assert_eq!(code(&mut one, &format!("bad-{n}"), "SELECT 1"), "database_corrupt");
        }
    }
    let address = server.address().strip_prefix("tcp://").expect("an address of TCP").to_owned();
    for _ in 0..100 {
        drop(TcpStream::connect(&address).expect("it listens"));
    }
    let mut late = Client::connect(&python, &server);
    assert_eq!(code(&mut late, "a", "SELECT 1"), "client_limit_reached");
    drop((one, two, three, late));
    let output = server.end(Signal::TERM);
    let said = String::from_utf8(output.stderr.clone()).expect("the log is UTF-8");
    let lines: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect();
    assert!(!text(&output).contains("panicked"));
    checks(&lines);
}

fn checks(lines: &[Value]) {
    let find = |message: &str, fields: Value| {
        let wanted = |line: &&Value| {
            let found = &line["fields"];
            let fields = fields.as_object().expect("an object");
            found["message"].as_str().is_some_and(|text| text.starts_with(message))
                && fields.iter().all(|(key, value)| found[key] == *value)
        };
        let found: Vec<_> = lines.iter().filter(wanted).collect();
        assert!(!found.is_empty(), "no {message} with {fields} in {lines:#?}");
        found
    };
    find("database created", json!({ "database": "a" }));
    for (message, fields) in [
        ("database opened", json!({ "database": "a" })),
        ("database closed", json!({ "database": "a", "reason": "evicted" })),
    ] {
        assert!(find(message, fields)[0]["fields"]["duration_ms"].is_f64(), "{message}");
    }
    for (reason, code) in [
        ("connections", "connection_limit_reached"),
        ("room", "database_limit_reached"),
        ("room_queue", "queue_full"),
        ("create_rate", "creation_rate_limited"),
    ] {
        find("request refused", json!({ "reason": reason, "code": code }));
    }
    let refused = find("client refused", json!({ "reason": "clients", "limit": "3" }));
    assert!(refused.len() <= 20 * 3, "{} lines of clients refused", refused.len());
    let failed = find("database not opened", json!({ "code": "database_corrupt" }));
    assert!(failed.len() <= 20 * 6, "{} lines of databases not opened", failed.len());
    assert!(failed.iter().all(|line| line["fields"]["error"].as_str().is_some_and(|text| !text.is_empty())));
}

/// The code of the error that a request gets, or nothing.
fn code(client: &mut Client, database: &str, query: &str) -> String {
    let error = client.ask(database, query)["error"].take();
    error["code"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_reader_of_the_log_that_has_gone_does_not_take_the_server_with_it() {
    let home = Home::new();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    // A warning at the start, and more at the end.
    let mut command = home.command(&["start", "0", "--tcp-address", "tcp://0.0.0.0:0"]);
    let mut child = command.stderr(writer).spawn().expect("the binary was built");
    let mut first = [0; 8];
    child.stdout.as_mut().expect("it is piped").read_exact(&mut first).expect("a banner");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).expect("it runs");
    let output = finish(child);
    assert!(output.status.success(), "{}: {}", output.status, text(&output));
}

#[test]
fn a_banner_that_nobody_reads_is_no_reason_not_to_serve() {
    let home = Home::new();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = home.command(&["start", "0", "--tcp-address", "tcp://127.0.0.1:0"]);
    let mut child = command.stdout(writer).spawn().expect("the binary was built");
    let mut log = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut line = String::new();
    while !line.contains("the banner cannot be written") {
        line.clear();
        assert_ne!(log.read_line(&mut line).expect("text"), 0, "it said nothing of the banner");
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).expect("it runs");
    assert!(finish(child).status.success());
}
