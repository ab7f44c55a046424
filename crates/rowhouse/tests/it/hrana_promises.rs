//! What is promised to all of libSQL's clients together, with real ones.
use crate::support::{Home, Node, PATIENCE, Python, Server, finish, text};
use rustix::process::Signal;
use std::io::{BufRead, BufReader};
use std::sync::mpsc::sync_channel;
use std::thread;

/// Flags of a server that opens and creates databases by name.
const DYNAMIC: [&str; 2] = ["--auto-connect", "--auto-create"];

#[test]
fn a_token_for_one_database_opens_no_other_by_any_route() {
    let (Some(node), Some(python)) = (Node::find(), Python::find()) else { return };
    let home = Home::new();
    let [key, token] = ["key.pem", "token"].map(|file| home.path().join(file));
    let [key, token] = [&key, &token].map(|path| path.to_str().expect("plain names"));
    node.script("keys.mjs", &[key, token, "acme"]);
    python.make_database(&home.database("globex"), "CREATE TABLE t (x)");
    let keyed = format!("jwt_key_file={key}");
    let server = Server::start(&home, &[&DYNAMIC[..], &["--set", &keyed]].concat());
    node.script("routes.mjs", &[server.http(), token]);
    // Not even a log of another database.
    let listing = home.listing();
    let others: Vec<_> = listing.iter().filter(|name| !name.starts_with("acme.db")).collect();
    assert_eq!(others, ["globex.db"]);
    server.stop();
}

#[test]
fn the_database_of_a_live_stream_is_never_evicted() {
    let Some(node) = Node::find() else { return };
    let home = Home::new();
    let room = ["--max-connections", "2", "--set", "room_timeout=300ms"];
    let server = Server::start(&home, &[&DYNAMIC[..], &room].concat());
    node.script("room.mjs", &[server.http()]);
    server.stop();
}

#[test]
fn a_thousand_idle_streams_of_one_database_keep_nobody_from_another() {
    let Some(node) = Node::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &DYNAMIC);
    node.script("idle.mjs", &[server.http()]);
    server.stop();
}

#[test]
fn a_restart_under_load_loses_nothing_that_was_acknowledged() {
    let Some(node) = Node::find() else { return };
    for signal in [Signal::TERM, Signal::KILL] {
        let home = Home::new();
        let server = Server::start(&home, &DYNAMIC);
        let file = home.path().join("acknowledged.json");
        let file = file.to_str().expect("plain names");
        let mut writing =
            node.command("write_on.mjs", &[&server.database("acme"), file]).spawn().expect("node is there");
        let (send, under_way) = sync_channel(1);
        let mut lines = BufReader::new(writing.stdout.take().expect("it is piped")).lines();
        thread::spawn(move || send.send(lines.next()));
        under_way.recv_timeout(PATIENCE).expect("it gets under way").expect("a line").expect("UTF-8");
        let _ended = server.end(signal);
        let written = finish(writing);
        assert!(written.status.success(), "{}", text(&written));
        let server = Server::start(&home, &DYNAMIC);
        node.script("written.mjs", &[&server.database("acme"), file]);
        server.stop();
    }
}

#[test]
fn results_of_any_size_take_no_memory_soak() {
    let Some(node) = Node::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &DYNAMIC);
    let soaks = std::env::var_os("ROWHOUSE_SOAK").is_some_and(|soak| soak != "0");
    let rows = if soaks { "10000000" } else { "100000" };
    let mut command = node.command("rows.mjs", &[&server.database("acme"), &server.pid().to_string(), rows]);
    let output = command.output().expect("node is there");
    println!("{}", text(&output));
    assert!(output.status.success(), "{}", text(&output));
    server.stop();
}
