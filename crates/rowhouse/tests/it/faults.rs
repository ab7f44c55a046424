//! The disk fails under the server: nothing that failed is acknowledged, nothing acknowledged is
//! lost, and when the disk is well again so is the server.
#![cfg(target_os = "linux")]

use crate::support::{Client, Home, Python, Server, finish, text};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const FLAGS: [&str; 4] = ["--auto-connect", "--auto-create", "--max-connections", "2"];

/// What the disk under the server does.
#[derive(Clone, Copy)]
enum Disk {
    Well = 0,
    FailsToSync = b'S' as isize,
    IsFull = b'W' as isize,
}

/// A home whose server's disk does as it is told.
struct Faults {
    home: Home,
    orders: fs::File,
    shim: PathBuf,
}

#[test]
fn a_write_that_was_not_synced_is_not_acknowledged_and_nothing_acknowledged_is_lost() {
    let Some(python) = Python::find() else { return };
    let faults = Faults::new();
    let server = faults.start();
    let mut client = Client::connect(&python, &server);
    client.rows("a", "CREATE TABLE t (x)");
    let mut acknowledged = Vec::new();
    for round in 0..20 {
        client.rows("a", &format!("INSERT INTO t VALUES ({round})"));
        acknowledged.push(json!([round]));
        faults.order(Disk::FailsToSync);
        for failing in [
            format!("INSERT INTO t VALUES ({})", 1000 + round),
            format!("UPDATE t SET x = x + 5000 WHERE x = {round} RETURNING x"),
        ] {
            let error = client.ask("a", &failing)["error"].take();
            assert_eq!(error["code"], "database_unavailable", "{failing}: {error}");
            assert!(error["hint"].is_string(), "{error}");
        }
        let error = client.ask(&format!("new{round}"), "CREATE TABLE t (x)")["error"].take();
        assert!(error.is_object(), "a database whose table was not synced");
        assert_eq!(client.health()["status"], "degraded");
        faults.order(Disk::Well);
        assert_eq!(client.rows("a", "SELECT x FROM t ORDER BY x"), json!(acknowledged));
    }
    assert!(60 <= faults.failures());
    client.rows("a", "INSERT INTO t VALUES (100)");
    acknowledged.push(json!([100]));
    assert_eq!(client.rows("a", "SELECT x FROM t ORDER BY x"), json!(acknowledged));
    assert_eq!(
        client.health()["failing_databases"].as_array().map(|failing| failing.contains(&json!("a"))),
        Some(false)
    );
    server.end(Signal::KILL);
    let server = faults.start();
    let mut client = Client::connect(&python, &server);
    assert_eq!(client.rows("a", "SELECT x FROM t ORDER BY x"), json!(acknowledged));
    assert_eq!(client.rows("a", "SELECT count(*) FROM t WHERE x > 999"), json!([[0]]));
    client.rows("new0", "CREATE TABLE t (x)");
    server.stop();
    integrity(&python, &faults.home);
}

#[test]
fn a_database_that_cannot_be_synced_when_it_is_closed_keeps_all_it_acknowledged() {
    let Some(python) = Python::find() else { return };
    let faults = Faults::new();
    let server = faults.start();
    let mut client = Client::connect(&python, &server);
    for name in ["a", "b", "c"] {
        client.rows(name, "CREATE TABLE t (x)");
    }
    for round in 0..5 {
        client.rows("a", &format!("INSERT INTO t VALUES ({round})"));
        let before = faults.failures();
        faults.order(Disk::FailsToSync);
        // Room for two: the third evicts the first.
        client.rows("b", "SELECT * FROM t");
        client.rows("c", "SELECT * FROM t");
        assert!(before < faults.failures(), "closing it failed");
        faults.order(Disk::Well);
        let expected: Vec<_> = (0..=round).map(|n| json!([n])).collect();
        assert_eq!(client.rows("a", "SELECT x FROM t ORDER BY x"), json!(expected));
    }
    let output = server.end(Signal::TERM);
    assert!(text(&output).contains("database did not close cleanly"), "{}", text(&output));
    integrity(&python, &faults.home);
}

#[test]
fn a_limit_changes_on_a_full_disk_is_said_not_to_be_recorded_and_is_recorded_when_there_is_room() {
    let Some(python) = Python::find() else { return };
    let faults = Faults::new();
    let server = faults.start();
    let mut client = Client::connect(&python, &server);
    let port = server.management().to_string();
    let manager = |words: &[&str]| {
        let url = format!("http://127.0.0.1:{port}");
        let output = faults.home.run(&[&["manager", "9090"], words, &["--url", &url]].concat());
        (output.status.success(), text(&output))
    };
    assert!(manager(&["limit", "1100"]).0);
    faults.order(Disk::IsFull);
    let (done, said) = manager(&["limit", "1200"]);
    assert!(!done && said.contains("in force") && said.contains("cannot be recorded"), "{said}");
    assert!(manager(&["status"]).1.contains("Current Limit: 1200"));
    assert_eq!(client.health()["status"], "degraded");
    faults.order(Disk::Well);
    assert!(manager(&["limit", "1300"]).0);
    assert_eq!(client.health()["status"], "healthy");
    let output = server.end(Signal::TERM);
    let said = text(&output);
    assert!(
        said.contains("cannot be recorded: they wait") && said.contains("can be recorded again"),
        "{said}"
    );
    let listed = faults.home.ends(0, &["audit", "--data-directory", "data", "--action", "client_limit"]);
    let limits: Vec<_> =
        listed.lines().filter_map(|line| line.split(" to=").nth(1)?.split(' ').next()).collect();
    assert_eq!(limits, ["1300", "1200", "1100", "1000"]);
    faults.home.ends(0, &["audit", "--data-directory", "data", "--verify"]);
}

#[test]
fn a_full_disk_refuses_writes_and_serves_reads_until_there_is_room() {
    let Some(python) = Python::find() else { return };
    let faults = Faults::new();
    let server = faults.start();
    let mut client = Client::connect(&python, &server);
    client.rows("a", "CREATE TABLE t (x)");
    for round in 0..10 {
        client.rows("a", &format!("INSERT INTO t VALUES ({round})"));
        faults.order(Disk::IsFull);
        refused_for_room(&mut client, "INSERT INTO t VALUES (1000)");
        let expected: Vec<_> = (0..=round).map(|n| json!([n])).collect();
        assert_eq!(client.rows("a", "SELECT x FROM t ORDER BY x"), json!(expected), "while it is full");
        assert_eq!(client.health()["status"], "degraded");
        faults.order(Disk::Well);
    }
    assert!(10 <= faults.failures());
    client.rows("a", "INSERT INTO t VALUES (10)");
    assert_eq!(client.health()["status"], "healthy");
    server.end(Signal::KILL);
    let server = faults.start();
    let mut client = Client::connect(&python, &server);
    assert_eq!(client.rows("a", "SELECT count(*), max(x) FROM t"), json!([[11, 10]]));
    server.stop();
    integrity(&python, &faults.home);
}

/// As above, on a disk that really is full: 2 MiB of memory.
#[test]
fn a_disk_of_two_mebibytes_fills_up_and_has_room_again() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let Some(disk) = Small::mount(&home.data()) else { return };
    let server = Server::start(&home, &FLAGS);
    let mut client = Client::connect(&python, &server);
    client.rows("a", "CREATE TABLE t (x)");
    client.rows("full", "SELECT 1");
    let ballast = home.data().join("ballast");
    let mut written = 0;
    let error = loop {
        let reply = client.ask("a", "INSERT INTO t VALUES (zeroblob(50000))");
        if !reply["error"].is_null() {
            break reply["error"].clone();
        }
        written += 1;
        assert!(written < 100, "2 MiB hold no more than 40");
    };
    assert_eq!(error["code"], "disk_full", "{error}");
    assert_eq!(client.rows("a", "SELECT count(*) FROM t"), json!([[written]]));
    // To the last byte: nothing can be created, and that too is told as it is.
    let filled = fs::write(&ballast, vec![0; 4 << 20]);
    assert!(filled.is_err(), "the disk is full");
    let error = client.ask("another", "CREATE TABLE t (x)")["error"].take();
    assert_eq!(error["code"], "disk_full", "{error}");
    assert!(error["hint"].is_string(), "{error}");
    assert_eq!(client.health()["status"], "degraded");
    fs::remove_file(ballast).expect("it is there");
    rustix::mount::mount_remount(home.data(), MountFlags::empty(), c"size=8m").expect("root may");
    client.rows("a", "INSERT INTO t VALUES (zeroblob(50000))");
    assert_eq!(client.rows("a", "SELECT count(*) FROM t"), json!([[written + 1]]));
    while !client.ask("another", "CREATE TABLE IF NOT EXISTS t (x)")["error"].is_null() {
        std::thread::yield_now();
    }
    server.stop();
    integrity(&python, &home);
    drop(disk);
}

fn refused_for_room(client: &mut Client, query: &str) {
    let error = client.ask("a", query)["error"].take();
    assert_eq!(error["code"], "disk_full", "{error}");
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("room")), "{error}");
}

/// Asks another SQLite whether every file is whole.
fn integrity(python: &Python, home: &Home) {
    let code = "import sqlite3, sys
for path in sys.argv[1:]:
    found = sqlite3.connect(path).execute('PRAGMA integrity_check').fetchall()
    assert found == [('ok',)], (path, found)";
    let files: Vec<_> = home.listing().into_iter().filter(|name| name.ends_with(".db")).collect();
    assert!(!files.is_empty());
    let paths: Vec<_> = files.iter().map(|name| home.data().join(name)).collect();
    let paths = paths.iter().map(|path| path.as_os_str());
    python.succeeds(&["-c".as_ref(), code.as_ref()].into_iter().chain(paths).collect::<Vec<_>>());
}

/// A small disk, until it is dropped.
struct Small(PathBuf);

impl Small {
    /// Needs the right to mount, which few have; the test before this one needs no right.
    fn mount(at: &Path) -> Option<Self> {
        match mount(c"rowhouse-test", at, c"tmpfs", MountFlags::empty(), c"size=2m") {
            Ok(()) => Some(Self(at.to_owned())),
            Err(error) => {
                println!("the full disk is simulated only: no right to mount one ({error})");
                None
            }
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: a server that a failing test leaves behind may still use it.
        let _busy = unmount(&self.0, UnmountFlags::DETACH);
    }
}

impl Faults {
    fn new() -> Self {
        let home = Home::new();
        let shim = home.path().join("shim.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/shim.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"]).arg(&shim).arg(source).arg("-ldl");
        compiler.stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = finish(compiler.spawn().expect("the project needs a C compiler anyway"));
        assert!(output.status.success(), "{}", text(&output));
        let mut options = fs::File::options();
        let orders = options.read(true).write(true).create_new(true).open(home.path().join("faults"));
        let orders = orders.expect("a file of the test's own");
        orders.set_len(8).expect("a file of the test's own");
        Self { home, orders, shim }
    }

    fn start(&self) -> Server {
        let data = self.home.data();
        let data = data.to_str().expect("temporary directories have plain names");
        let fixed = ["start", "0", "--tcp-address", "tcp://127.0.0.1:0", "--data-directory", data];
        let mut command = self.home.command(&[&fixed[..], &FLAGS].concat());
        command.env("LD_PRELOAD", &self.shim).env("LD_FAULTS", self.home.path().join("faults"));
        Server::run(&self.home, command)
    }

    fn order(&self, disk: Disk) {
        self.orders.write_all_at(&[disk as u8], 0).expect("a file of the test's own");
    }

    fn failures(&self) -> u32 {
        let mut count = [0; 4];
        self.orders.read_exact_at(&mut count, 4).expect("a file of the test's own");
        u32::from_ne_bytes(count)
    }
}
