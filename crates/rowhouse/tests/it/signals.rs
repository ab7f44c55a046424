//! Signals: none ends the process before it is ready, and each does what it says.
use crate::support::{Client, Home, PATIENCE, Python, Server, await_line, finish, text};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Read as _;
use std::net::TcpStream;
use std::process::{Child, Command};

const ORDERS: [Signal; 3] = [Signal::USR1, Signal::USR2, Signal::HUP];

/// Sends signals as fast as they go until the server has told its banner, and returns how many.
fn pester(child: &Child, signals: &[Signal]) -> u32 {
    let pid = Pid::from_child(child);
    let mut sent = 0;
    let banner = child.stdout.as_ref().expect("it is piped");
    rustix::io::ioctl_fionbio(banner, true).expect("a pipe");
    let (mut said, mut chunk) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&said).contains("encryption") {
        for signal in signals {
            kill_process(pid, *signal).expect("it lives");
            sent += 1;
        }
        match rustix::io::read(banner, &mut chunk) {
            Ok(0) => return sent,
            Ok(read) => said.extend_from_slice(&chunk[..read]),
            Err(_nothing_yet) => {}
        }
    }
    rustix::io::ioctl_fionbio(banner, false).expect("a pipe");
    sent
}

/// Whether the process catches all of [`ORDERS`].
fn catches(child: &Child) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0");
    let caught = u64::from_str_radix(caught.trim(), 16).expect("a mask");
    ORDERS.iter().all(|order| caught & (1 << (order.as_raw() - 1)) != 0)
}

fn start(home: &Home) -> Command {
    home.command(&["start", "0", "--tcp-address", "tcp://127.0.0.1:0", "--data-directory", "data"])
}

/// Before its first line a program has no say: who starts it keeps signals from it until then.
#[test]
fn no_signal_from_the_very_start_on_ends_the_process() {
    let home = Home::new();
    let rowhouse = start(&home);
    for _ in 0..10 {
        let mut shell =
            home.program("sh".as_ref(), &["-c", "trap '' USR1 USR2 HUP; echo; exec \"$@\"", "sh"]);
        shell.arg(rowhouse.get_program()).args(rowhouse.get_args());
        let mut child = shell.spawn().expect("a shell is there");
        let mut first = [0];
        child.stdout.as_mut().expect("it is piped").read_exact(&mut first).expect("its signals are ignored");
        let sent = pester(&child, &ORDERS);
        kill_process(Pid::from_child(&child), Signal::TERM).expect("it lives");
        let output = finish(child);
        assert!(output.status.success() && 0 < sent, "{}: {}", output.status, text(&output));
    }
}

#[test]
fn signals_are_taken_before_anything_else_and_remembered() {
    let home = Home::new();
    for _ in 0..10 {
        let log = home.path().join("stderr.txt");
        let stderr = File::create(&log).expect("a file of the test's own");
        let mut child = start(&home).stderr(stderr).spawn().expect("the binary was built");
        while !catches(&child) {
            assert!(child.try_wait().expect("it can be asked").is_none(), "it lives");
        }
        let sent = pester(&child, &ORDERS);
        await_line(&log, "configuration reloaded");
        kill_process(Pid::from_child(&child), Signal::TERM).expect("it lives");
        let output = finish(child);
        assert!(output.status.success() && 0 < sent, "{}: {}", output.status, text(&output));
    }
}

/// A server with a log of JSON, and what the log says of the limit.
struct Limited {
    home: Home,
    server: Server,
}

impl Limited {
    fn start(flags: &[&str]) -> Self {
        let home = Home::new();
        let server = Server::start(&home, &[flags, &["--log-format", "json"]].concat());
        Self { home, server }
    }

    fn send(&self, signal: Signal) {
        let pid = Pid::from_raw(self.server.pid().try_into().expect("a process id")).expect("not zero");
        kill_process(pid, signal).expect("it lives");
    }

    fn await_line(&self, words: &str) {
        await_line(&self.home.path().join("stderr.txt"), words);
    }

    /// Ends it, and returns the fields of its log's lines.
    fn log(self) -> Vec<Value> {
        let output = self.server.end(Signal::TERM);
        assert!(output.status.success(), "{}: {}", output.status, text(&output));
        let said = String::from_utf8(output.stderr).expect("the log is UTF-8");
        let line = |line| serde_json::from_str::<Value>(line).expect("JSON")["fields"].take();
        said.lines().map(line).collect()
    }
}

#[test]
fn usr1_raises_the_limit_and_usr2_lowers_it_and_the_log_says_who_and_why() {
    let limited = Limited::start(&["300"]);
    limited.send(Signal::USR1);
    limited.await_line("\"new\":400");
    limited.send(Signal::USR2);
    limited.await_line("\"new\":300");
    let log = limited.log();
    let changes: Vec<_> = log.iter().filter(|line| line["message"] == "client limit changed").collect();
    let by = format!("process {} of user {}", std::process::id(), rustix::process::getuid().as_raw());
    let line = |old, new, reason| {
        json!({ "message": "client limit changed", "old": old, "new": new, "active": 0, "source": "signal",
            "by": by, "reason": reason })
    };
    assert_eq!(changes, [&line(300, 400, "SIGUSR1"), &line(400, 300, "SIGUSR2")]);
}

#[test]
fn usr2_is_ignored_with_a_warning_where_nothing_would_be_left() {
    let limited = Limited::start(&["100"]);
    limited.send(Signal::USR2);
    limited.await_line("connection limit must be positive; keeping it at 100");
    // It lives and obeys.
    limited.send(Signal::USR1);
    limited.await_line("\"new\":200");
    limited.log();
}

#[test]
fn usr2_is_ignored_with_a_warning_where_more_are_connected() {
    let Some(python) = Python::find() else { return };
    let limited = Limited::start(&["102"]);
    let mut clients = [(); 3].map(|()| Client::connect(&python, &limited.server));
    clients.iter_mut().for_each(|client| assert_eq!(client.rows("", "SELECT 1"), json!([[1]])));
    limited.send(Signal::USR2);
    limited.await_line("cannot decrease limit to 2 when 3 connections are active; keeping it at 102");
    clients.iter_mut().for_each(|client| assert_eq!(client.rows("", "SELECT 1"), json!([[1]])));
    drop(clients);
    limited.log();
}

#[test]
fn every_signal_counts() {
    let limited = Limited::start(&["1000"]);
    for raised in 1..=200 {
        limited.send(Signal::USR1);
        // The system makes one of those that come before the first was delivered.
        limited.await_line(&format!("\"new\":{}", 1000 + 100 * raised));
    }
    let log = limited.log();
    assert_eq!(log.iter().filter(|line| line["message"] == "client limit changed").count(), 200);
}

#[test]
fn signals_change_no_limit_where_that_is_off() {
    let limited = Limited::start(&["--signal-limits", "false"]);
    limited.send(Signal::USR1);
    limited.await_line("signal_limits is off");
    assert!(limited.log().iter().all(|line| line["message"] != "client limit changed"));
}

#[test]
fn a_reload_changes_what_it_may_and_says_what_needs_a_restart() {
    let home = Home::new();
    let file = home.write("a.toml", "client_limit = 300\nlog_level = \"info\"\n");
    let file = file.to_str().expect("a plain name");
    let server = Server::start(&home, &["--config", file, "--log-format", "json"]);
    let limited = Limited { home, server };
    limited.home.write(
        "a.toml",
        "client_limit = 400\nlog_level = \"debug\"\nsynchronous = \"off\"\nlog_format = \"text\"\n",
    );
    limited.send(Signal::HUP);
    limited.await_line("configuration reloaded: 2 options changed, 1 kept as they are");
    limited.await_line("synchronous stays \\\"full\\\": to change it, restart the server");
    limited.home.write("a.toml", "client_limit = 500\nlog_levl = \"info\"\n");
    limited.send(Signal::HUP);
    limited.await_line("did you mean \\\"log_level\\\"");
    let log = limited.log();
    let limit = |line: &&Value| line["message"] == "client limit changed";
    let changed: Vec<_> = log.iter().filter(limit).collect();
    assert_eq!(changed.len(), 1, "the faulty file changed nothing: {changed:?}");
    assert_eq!((&changed[0]["new"], &changed[0]["source"]), (&json!(400), &json!("reload")));
    assert!(log.iter().any(|line| line["message"] == "database closed"), "it is logged at debug");
}

#[test]
fn a_second_signal_to_stop_ends_at_once() {
    let Some(python) = Python::find() else { return };
    let limited = Limited::start(&["--auto-connect", "--auto-create"]);
    let (mut busy, mut watcher) =
        (Client::connect(&python, &limited.server), Client::connect(&python, &limited.server));
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    busy.send(&json!({ "query": endless, "database_name": "slow" }));
    while watcher.health()["dynamic_databases"]["slow"].is_null() {
        std::thread::yield_now();
    }
    limited.send(Signal::TERM);
    limited.await_line("a second signal ends at once");
    let output = limited.server.end(Signal::INT);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("ended by a second signal (SIGINT)"), "{}", text(&output));
}

#[test]
fn a_tool_ends_by_a_signal_as_programs_do() {
    use std::os::unix::process::ExitStatusExt as _;
    let home = Home::new();
    // Nobody accepts: it waits for an answer.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("tcp://{}", deaf.local_addr().expect("bound"));
    let child = home.command(&["health", "--tcp-address", &address, "--timeout", "60s"]).spawn();
    let child = child.expect("the binary was built");
    let _asked = deaf.accept().expect("it asks");
    kill_process(Pid::from_child(&child), Signal::USR1).expect("it lives");
    assert_eq!(finish(child).status.signal(), Some(Signal::USR1.as_raw()));
}

#[test]
fn a_reload_reaches_who_connects_later() {
    let home = Home::new();
    let file = home.write("a.toml", "handshake_timeout = \"1h\"\n");
    let server = Server::start(&home, &["--config", file.to_str().expect("a plain name")]);
    let limited = Limited { home, server };
    limited.home.write("a.toml", "handshake_timeout = \"100ms\"\n");
    limited.send(Signal::HUP);
    limited.await_line("configuration reloaded: 1 options changed");
    let address = limited.server.address().strip_prefix("tcp://").expect("an address of TCP");
    let mut silent = TcpStream::connect(address).expect("it listens");
    silent.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut said = Vec::new();
    silent.read_to_end(&mut said).expect("it is closed in time");
    limited.server.stop();
}

#[test]
fn a_reload_changes_what_databases_that_are_open_may_use() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let file = home.write("a.toml", "");
    let flags = ["--config", file.to_str().expect("a plain name"), "--auto-connect", "--auto-create"];
    let server = Server::start(&home, &flags);
    let limited = Limited { home, server };
    let mut client = Client::connect(&python, &limited.server);
    let two = "VALUES (1), (2)";
    assert_eq!(client.rows("a", two), json!([[1], [2]]));
    limited.home.write("a.toml", "max_result_rows = 1\nmax_connections = 7\n");
    limited.send(Signal::HUP);
    limited.await_line("configuration reloaded: 2 options changed");
    assert_eq!(client.ask("a", two)["error"]["code"], "result_too_large");
    assert_eq!(client.health()["max_connections"], 7);
    drop(client);
    limited.server.stop();
}
