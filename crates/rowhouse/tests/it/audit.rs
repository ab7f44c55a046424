//! The record of administration as an operator meets it: listed, checked, kept over kills and restarts.
use crate::support::{Home, Server, text};
use rowhouse_gateway::{Action, Cause, Entry, Interface};
use rustix::process::Signal;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

const DATA: [&str; 2] = ["--data-directory", "data"];

fn state(home: &Home) -> PathBuf {
    home.data().join(".rowhouse/state.db")
}

fn audit(home: &Home, code: i32, more: &[&str]) -> String {
    home.ends(code, &[&["audit"], &DATA[..], more].concat())
}

/// A limit is changed and a database dropped on this data directory, by a server in this process.
fn administer(home: &Home, limit: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = rowhouse::Server::builder()
            .bind_address("tcp://127.0.0.1:0")
            .data_directory(home.data())
            .option("persist_limit", "true")
            .build()
            .unwrap();
        let running = server.start().await.unwrap();
        let cause = Cause::new(Interface::Http, "127.0.0.1").because("because\nid=9 it is late");
        let change =
            Entry { to: Some(limit.to_string()), active: Some(3), ..Entry::of(Action::ClientLimit, cause) };
        running.journal().record(change).await.unwrap();
        let dropped = Entry::of(Action::DropDatabase, Cause::new(Interface::Command, "root"));
        let database = Some("acme".parse::<rowhouse_types::DatabaseName>().unwrap().into());
        let result = Err("database is in use".to_owned());
        running.journal().record(Entry { database, result, ..dropped }).await.unwrap();
        running.shut_down().await.unwrap();
    });
}

/// What the server says in its log of the limit in force.
fn limit_in_force(home: &Home, flags: &[&str]) -> String {
    let output = Server::start(home, flags).end(Signal::TERM);
    let said = text(&output);
    let line =
        said.lines().find(|line| line.contains("client limit in force")).unwrap_or_else(|| panic!("{said}"));
    line.split_once("client limit in force ").unwrap().1.to_owned()
}

#[test]
fn what_was_acknowledged_is_listed_beside_a_server_and_after_it_was_killed() {
    let home = Home::new();
    administer(&home, 310);
    let server = Server::start(&home, &[]);
    let lines = |more: &[&str]| audit(&home, 0, more).lines().map(str::to_owned).collect::<Vec<_>>();
    let listed = lines(&[]);
    assert_eq!(listed.len(), 4, "{listed:#?}");
    assert!(listed[0].starts_with("id=4 at=20") && listed[0].contains(" source=start "), "{listed:#?}");
    let of_change = " action=client_limit result=success source=http database=- active=3 from=- to=310 who=127.0.0.1 reason=\"because\\nid=9 it is late\" error=-";
    assert!(listed[2].ends_with(of_change), "{listed:#?}");
    assert!(listed[1].ends_with(" error=\"database is in use\""), "{listed:#?}");
    assert_eq!(lines(&["--database", "acme"]), listed[1..2]);
    assert_eq!(lines(&["--action", "client_limit", "--limit", "2"]), [listed[0].clone(), listed[2].clone()]);
    assert_eq!(lines(&["--since", "1h"]), listed);
    assert!(lines(&["--since", "2100-01-01T00:00:00Z"]).is_empty());
    let json: serde_json::Value = serde_json::from_str(&audit(&home, 0, &["--json", "-n", "1"])).unwrap();
    assert_eq!((&json["id"], &json["action"]), (&4.into(), &"client_limit".into()));
    server.end(Signal::KILL);
    assert_eq!(lines(&[]), listed);
    assert!(
        audit(&home, 0, &["--verify"])
            .starts_with("verified 4 entries, 1 to 4: each is as it was recorded\n")
    );
    Server::start(&home, &[]).stop();
    assert_eq!(lines(&[])[1..], listed);
}

/// One request of a connection of its own; the body of an answer that is a success.
fn ask(port: u16, method: &str, path: &str, body: &str) -> Option<serde_json::Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| serde_json::from_str(body).ok()).flatten()
}

#[test]
fn a_change_that_was_acknowledged_before_a_kill_is_recorded_and_kept() {
    let home = Home::new();
    let server = Server::start(&home, &["--persist-limit"]);
    let port = server.management();
    let (send, receive) = std::sync::mpsc::sync_channel(4);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let send = send.clone();
            std::thread::spawn(move || {
                while let Some(changed) = ask(port, "POST", "/limit/increase", "{\"amount\": 1}") {
                    send.send(changed["new_limit"].as_u64().unwrap()).unwrap();
                }
            })
        })
        .collect();
    drop(send);
    let mut acknowledged: Vec<_> = receive.iter().take(100).collect();
    server.end(Signal::KILL);
    acknowledged.extend(receive.iter());
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let listed = audit(&home, 0, &["--json", "--limit", "100000", "--action", "client_limit"]);
    let entries: Vec<serde_json::Value> =
        listed.lines().rev().map(|line| serde_json::from_str(line).unwrap()).collect();
    let limits: Vec<u64> =
        entries.iter().map(|entry| entry["to"].as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(limits, (1000..1000 + limits.len() as u64).collect::<Vec<_>>(), "in the order of the changes");
    assert!(acknowledged.iter().all(|limit| limits.contains(limit)), "{acknowledged:?} in {limits:?}");
    audit(&home, 0, &["--verify"]);
    let last = limits.last().unwrap();
    let said = limit_in_force(&home, &["--persist-limit"]);
    assert!(said.starts_with(&format!("client_limit={last} why=\"set while")), "{said}");
}

#[test]
fn a_changed_record_is_found_and_named() {
    let home = Home::new();
    administer(&home, 310);
    let verified = audit(&home, 0, &["--verify"]);
    let anchor = verified.lines().last().and_then(|line| line.strip_prefix("anchor ")).unwrap().to_owned();
    administer(&home, 320);
    audit(&home, 0, &["--verify", "--anchor", &anchor]);
    let connection = rusqlite::Connection::open(state(&home)).unwrap();
    connection.execute("UPDATE entries SET became = '311' WHERE id = 2", []).unwrap();
    drop(connection);
    let said = audit(&home, 1, &["--verify"]);
    assert!(said.contains("entry 2 was changed"), "{said}");
    let output = Server::start(&home, &[]).end(Signal::TERM);
    assert!(text(&output).contains("entry 2 was changed"), "{}", text(&output));
    let said = audit(&home, 2, &["--verify", "--anchor", "2"]);
    assert!(said.contains("--anchor"), "{said}");
}

#[test]
fn a_limit_set_while_the_server_ran_is_kept_if_asked_for_and_the_command_line_wins() {
    let home = Home::new();
    administer(&home, 310);
    let kept =
        "client_limit=310 why=\"set while the server ran and kept by persist_limit, over 1000 by default\"";
    assert_eq!(limit_in_force(&home, &["--persist-limit"]), kept);
    assert_eq!(limit_in_force(&home, &[]), "client_limit=1000 why=\"by default\"");
    assert_eq!(
        limit_in_force(&home, &["500", "--persist-limit"]),
        "client_limit=500 why=\"from LIMIT, over 310 kept from before\""
    );
    let file = home.write("a.toml", "client_limit = 700\npersist_limit = true\n");
    let said = limit_in_force(&home, &["--config", file.to_str().unwrap()]);
    assert!(said.starts_with("client_limit=310 ") && said.contains("over 700 in "), "{said}");
    let said = home.ends(2, &["start", "0", "--tcp-address", "tcp://127.0.0.1:0", "--persist-limit"]);
    assert!(said.contains("--data-directory"), "{said}");
}

#[test]
fn a_damaged_state_is_an_error_at_the_start_that_says_what_to_do() {
    let home = Home::new();
    administer(&home, 310);
    let start = [&["start", "0", "--tcp-address", "tcp://127.0.0.1:0"], &DATA[..]].concat();
    let sound = fs::read(state(&home)).unwrap();
    let mut broken_page = sound.clone();
    broken_page[4096..4200].fill(0xff);
    let mut emptied = sound.clone();
    emptied.truncate(4096);
    for damaged in [
        b"no database at all, but text of some length, as it happens; no database".to_vec(),
        broken_page,
        emptied,
    ] {
        fs::write(state(&home), damaged).unwrap();
        let said = home.ends(1, &start);
        assert!(said.contains("state.db is damaged") && said.contains("move it away"), "{said}");
        let said = audit(&home, 1, &[]);
        assert!(said.contains("state.db"), "{said}");
    }
    fs::remove_file(state(&home)).unwrap();
    Server::start(&home, &[]).stop();
    fs::remove_file(state(&home)).unwrap();
    let said = audit(&home, 1, &[]);
    assert!(said.contains("no history of changes") && said.contains("--data-directory"), "{said}");
}

#[test]
fn the_record_is_the_owners_alone_and_no_database_of_anybodys() {
    let home = Home::new();
    let server = Server::start(&home, &["--auto-connect", "--auto-create"]);
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(state(&home)), 0o600);
    assert_eq!(mode(home.data().join(".rowhouse")), 0o700);
    for beside in ["state.db-wal", "state.db-shm"] {
        assert_eq!(mode(home.data().join(".rowhouse").join(beside)), 0o600, "{beside}");
    }
    server.stop();
    let backup = [&["backup", "--all", "--backup-dir", "backups"], &DATA[..]].concat();
    home.ends(0, &backup);
    let backed_up = home.path().join("backups");
    let made = if backed_up.is_dir() { fs::read_dir(backed_up).unwrap().count() } else { 0 };
    assert_eq!(made, 0, "there is no database, and the record is none");
    let start =
        ["start", "0", "--tcp-address", "tcp://127.0.0.1:0", "--default-database", ".rowhouse/state.db"];
    let said = home.ends(2, &[&start, &DATA[..]].concat());
    assert!(said.contains("where the server keeps its own state"), "{said}");
}
