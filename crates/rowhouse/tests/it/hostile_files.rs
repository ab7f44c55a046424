//! What may lie where a database should be: an error for its name only, told to operators, and over
//! when it is mended, all in one run of the server.
use crate::support::{Client, Home, Python, Server};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ONE_ROW: &str = "CREATE TABLE t (x); INSERT INTO t VALUES (1);";

/// One thing that may be wrong with the database of the same name.
struct Case {
    name: &'static str,
    spoil: fn(&Scene<'_>),
    /// What is asked while it is spoilt, and the code of the error.
    asked: &'static str,
    code: &'static str,
    mend: fn(&Scene<'_>),
}

struct Scene<'a> {
    home: &'a Home,
    python: &'a Python,
    name: &'static str,
}

const READ: &str = "SELECT count(*) FROM t WHERE x > 0";
const WRITE: &str = "INSERT INTO t VALUES (2)";

const CASES: &[Case] = &[
    Case {
        name: "text",
        spoil: |scene| fs::write(scene.file(""), "This is no database. ".repeat(1000)).expect("a file"),
        asked: READ,
        code: "database_corrupt",
        mend: |scene| scene.anew(),
    },
    Case {
        name: "truncated",
        spoil: |scene| {
            scene.anew();
            let script = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
                INSERT INTO t SELECT i FROM n";
            scene.python.make_database(&scene.file(""), script);
            fs::File::options().write(true).open(scene.file("")).and_then(|f| f.set_len(9000)).expect("cut");
        },
        asked: READ,
        code: "database_corrupt",
        mend: |scene| scene.anew(),
    },
    Case {
        name: "directory",
        spoil: |scene| fs::create_dir(scene.file("")).expect("a directory"),
        asked: READ,
        code: "database_corrupt",
        mend: |scene| scene.anew(),
    },
    Case {
        name: "symlink",
        spoil: |scene| symlink(scene.home.path().join("elsewhere.db"), scene.file("")).expect("a link"),
        asked: READ,
        code: "database_corrupt",
        mend: |scene| scene.anew(),
    },
    Case {
        name: "hardlink",
        spoil: |scene| {
            fs::hard_link(scene.home.path().join("elsewhere.db"), scene.file("")).expect("a link");
        },
        asked: READ,
        code: "database_corrupt",
        mend: |scene| scene.anew(),
    },
    Case {
        name: "fifo",
        spoil: |scene| mknodat(CWD, scene.file(""), FileType::Fifo, Mode::RUSR, 0).expect("a pipe"),
        asked: READ,
        code: "database_corrupt",
        mend: |scene| scene.anew(),
    },
    Case {
        name: "socket",
        spoil: |scene| drop(UnixListener::bind(scene.file("")).expect("a socket")),
        asked: READ,
        code: "database_corrupt",
        mend: |scene| scene.anew(),
    },
    Case {
        name: "forbidden",
        spoil: |scene| {
            scene.anew();
            mode(&scene.file(""), 0);
        },
        asked: READ,
        code: "database_unavailable",
        mend: |scene| mode(&scene.file(""), 0o600),
    },
    Case {
        name: "readonly",
        spoil: |scene| {
            scene.anew();
            mode(&scene.file(""), 0o400);
        },
        asked: WRITE,
        code: "read_only",
        mend: |scene| mode(&scene.file(""), 0o600),
    },
    Case {
        name: "log-is-a-directory",
        spoil: |scene| {
            scene.anew();
            fs::create_dir(scene.file("-wal")).expect("a directory");
        },
        asked: READ,
        code: "database_unavailable",
        mend: |scene| fs::remove_dir(scene.file("-wal")).expect("it is there"),
    },
    Case {
        name: "directory-readonly",
        spoil: |scene| {
            scene.anew();
            mode(&scene.home.data(), 0o500);
        },
        asked: READ,
        code: "read_only",
        mend: |scene| mode(&scene.home.data(), 0o700),
    },
    Case {
        name: "directory-gone",
        spoil: |scene| {
            scene.anew();
            fs::rename(scene.home.data(), scene.home.path().join("away")).expect("it can be moved");
        },
        asked: READ,
        code: "database_unavailable",
        mend: |scene| fs::rename(scene.home.path().join("away"), scene.home.data()).expect("and back"),
    },
    Case {
        name: "directory-replaced",
        spoil: |scene| {
            scene.anew();
            fs::rename(scene.home.data(), scene.home.path().join("away")).expect("it can be moved");
            fs::write(scene.home.data(), "").expect("a file");
        },
        asked: READ,
        code: "database_unavailable",
        mend: |scene| {
            fs::remove_file(scene.home.data()).expect("it is there");
            fs::rename(scene.home.path().join("away"), scene.home.data()).expect("and back");
        },
    },
];

#[test]
fn a_hostile_file_is_an_error_for_its_name_only_and_over_when_it_is_mended() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    python.make_database(&home.database("good"), ONE_ROW);
    python.make_database(&home.path().join("elsewhere.db"), "CREATE TABLE secret (x);");
    let Some(command) = bound_by_permissions(&home) else { return };
    let server = Server::run(&home, command);
    let mut client = Client::connect(&python, &server);
    for case in CASES {
        let scene = Scene { home: &home, python: &python, name: case.name };
        let whole_directory = case.name.starts_with("directory-");
        client.rows("good", READ);
        (case.spoil)(&scene);
        let error = client.ask(case.name, case.asked)["error"].take();
        assert_eq!(error["code"], case.code, "{}: {error}", case.name);
        confined(&home, &error);
        if !whole_directory {
            assert_eq!(client.rows("good", READ), json!([[1]]), "beside {}", case.name);
        }
        let health = client.health();
        assert_eq!(health["status"], "degraded", "{}: {health}", case.name);
        let failing = health["failing_databases"].as_array().expect("a list");
        assert!(failing.contains(&json!(case.name)), "{}: {failing:?}", case.name);
        (case.mend)(&scene);
        recovers(&mut client, case.name, case.asked);
        assert_eq!(client.rows("good", READ), json!([[1]]), "after {}", case.name);
        let health = client.health();
        assert_eq!(health["failing_databases"], json!([]), "after {}", case.name);
    }
    server.stop();
}

#[test]
fn a_database_locked_by_another_process_is_busy_and_nothing_else_is() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    python.make_database(&home.database("good"), ONE_ROW);
    python.make_database(&home.database("locked"), ONE_ROW);
    let server = Server::start(&home, &["--auto-connect", "--set", "statement_timeout=20s"]);
    let mut client = Client::connect(&python, &server);
    let mut beside = Client::connect(&python, &server);
    let holder = hold_lock(&python, &home.database("locked"));
    client.send(&json!({ "query": WRITE, "database_name": "locked" }));
    assert_eq!(beside.rows("good", READ), json!([[1]]), "while the other waits for the lock");
    let error = client.receive()["error"].take();
    assert_eq!(error["code"], "database_busy", "{error}");
    assert!(error["hint"].is_string(), "{error}");
    release(holder);
    recovers(&mut client, "locked", WRITE);
}

/// What a process that died, or another database, may have left beside a database.
#[test]
fn leftovers_beside_a_database_are_rolled_back_or_of_no_account() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    for name in ["junk-wal", "junk-shm", "junk-journal"] {
        python.make_database(&home.database(name), ONE_ROW);
        let suffix = name.split_once('-').expect("so they are named").1;
        fs::write(home.data().join(format!("{name}.db-{suffix}")), "no log of any kind. ".repeat(3000))
            .expect("a file");
    }
    hot_journal(&python, &home.database("hot"));
    assert!(home.data().join("hot.db-journal").exists());
    let server = Server::start(&home, &["--auto-connect"]);
    let mut client = Client::connect(&python, &server);
    for name in ["junk-wal", "junk-shm", "junk-journal"] {
        assert_eq!(client.rows(name, READ), json!([[1]]), "{name}");
        client.rows(name, WRITE);
    }
    assert_eq!(client.rows("hot", "SELECT count(*), sum(x) FROM t"), json!([[1000, 1000]]));
    server.stop();
    assert_eq!(home.listing(), ["hot.db", "junk-journal.db", "junk-shm.db", "junk-wal.db"]);
}

#[test]
fn the_next_request_sees_what_is_there_after_a_file_was_moved_restored_or_removed() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let flags = ["--auto-connect", "--auto-create", "--default-database", "system.db"];
    let server = Server::start(&home, &flags);
    let mut client = Client::connect(&python, &server);
    for name in ["tenant", ""] {
        let file = home.database(if name.is_empty() { "system" } else { name });
        client.rows(name, "CREATE TABLE t (x)");
        client.rows(name, "INSERT INTO t VALUES (1)");
        // Restored from a copy, by renaming.
        let restored = home.path().join("restored.db");
        python.make_database(&restored, "CREATE TABLE t (x); INSERT INTO t VALUES ('restored');");
        fs::rename(&restored, &file).expect("as an operator does");
        assert_eq!(client.rows(name, "SELECT x FROM t"), json!([["restored"]]));
        // Moved away with what was acknowledged a moment ago, and back.
        client.rows(name, "INSERT INTO t VALUES ('acknowledged')");
        let away = home.path().join("away.db");
        fs::rename(&file, &away).expect("as an operator does");
        assert_eq!(client.rows(name, "SELECT count(*) FROM sqlite_master"), json!([[0]]), "created anew");
        fs::rename(&away, &file).expect("as an operator does");
        assert_eq!(client.rows(name, "SELECT x FROM t"), json!([["restored"], ["acknowledged"]]));
        // Removed in the middle of a transaction.
        client.rows(name, "BEGIN");
        client.rows(name, "INSERT INTO t VALUES (3)");
        fs::remove_file(&file).expect("as an operator does");
        let error = client.ask(name, "COMMIT")["error"].take();
        assert_eq!(error["code"], "database_unavailable", "{error}");
        let hint = error["hint"].as_str().expect("says what to do");
        assert!(hint.contains("rolled back") && hint.contains("again"), "{hint}");
        assert_eq!(client.rows(name, "SELECT count(*) FROM sqlite_master"), json!([[0]]), "created anew");
    }
    assert_eq!(client.health()["status"], "healthy");
}

#[test]
fn a_file_renamed_to_another_database_is_that_one_from_then_on() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &["--auto-connect"]);
    let mut client = Client::connect(&python, &server);
    python.make_database(&home.database("old"), ONE_ROW);
    client.rows("old", WRITE);
    fs::rename(home.database("old"), home.database("new")).expect("as an operator does");
    recovers(&mut client, "new", READ);
    assert_eq!(client.rows("new", READ), json!([[2]]));
    let error = client.ask("old", READ)["error"].take();
    assert_eq!(error["code"], "creation_not_allowed", "{error}");
}

// === impl Scene ===

impl Scene<'_> {
    fn file(&self, suffix: &str) -> std::path::PathBuf {
        self.home.data().join(format!("{}.db{suffix}", self.name))
    }

    /// Puts a good database where anything may be.
    fn anew(&self) {
        let file = self.file("");
        if file.is_dir() {
            fs::remove_dir(&file).expect("it is empty");
        } else if file.symlink_metadata().is_ok() {
            fs::remove_file(&file).expect("it is there");
        }
        let fresh = self.home.path().join("fresh.db");
        self.python.make_database(&fresh, ONE_ROW);
        fs::rename(fresh, file).expect("one file system");
    }
}

/// A command for a server that permissions hold for, also where the tests are run by root.
fn bound_by_permissions(home: &Home) -> Option<Command> {
    let data = home.data();
    let data = data.to_str().expect("temporary directories have plain names");
    let plain = home.command(&[
        "start",
        "0",
        "--tcp-address",
        "tcp://127.0.0.1:0",
        "--auto-connect",
        "--auto-create",
        "--data-directory",
        data,
    ]);
    if !rustix::process::geteuid().is_root() {
        return Some(plain);
    }
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set", "-dac_override,-dac_read_search"]);
    command.arg(plain.get_program()).args(plain.get_args()).current_dir(home.path());
    for (key, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(key, value),
            None => command.env_remove(key),
        };
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if Command::new("setpriv").arg("--version").stdout(Stdio::null()).status().is_ok() {
        return Some(command);
    }
    let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!ci, "root needs setpriv for this test");
    println!("SKIPPED: permissions hold nothing for root without setpriv");
    None
}

/// An error that says what to do, and tells no path.
fn confined(home: &Home, error: &Value) {
    let text = error.to_string();
    let path = home.path().to_str().expect("temporary directories have plain names");
    assert!(!text.contains(path) && !text.contains(".db"), "the error tells a path: {text}");
    assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "no hint: {text}");
}

/// Asks until it works: without a restart, and soon.
fn recovers(client: &mut Client, database: &str, query: &str) {
    let started = Instant::now();
    loop {
        let reply = client.ask(database, query);
        if reply["error"].is_null() {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{database} stays broken: {reply}");
        std::thread::yield_now();
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is the test's own");
}

/// Another process that holds a database's lock until it is released.
fn hold_lock(python: &Python, path: &Path) -> Child {
    let code = "import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute('PRAGMA journal_mode=WAL')
connection.execute('BEGIN IMMEDIATE')
print('held', flush=True)
sys.stdin.read()
connection.execute('COMMIT')";
    let mut command = python.command(&["-c".as_ref(), code.as_ref(), path.as_os_str()]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("the interpreter exists");
    let mut line = String::new();
    let stdout = child.stdout.as_mut().expect("it is piped");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("it says so");
    assert_eq!(line, "held\n");
    child
}

fn release(mut holder: Child) {
    drop(holder.stdin.take());
    assert!(holder.wait().expect("it ends").success());
}

/// Leaves a database in the middle of a transaction of a process that died: its pages are half
/// written, and its journal knows what they were.
fn hot_journal(python: &Python, path: &Path) {
    let code = "import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute('PRAGMA cache_size=2')
connection.execute('CREATE TABLE t (x, padding)')
connection.execute('WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) '
                   'INSERT INTO t SELECT 1, zeroblob(500) FROM n')
connection.execute('BEGIN')
connection.execute('UPDATE t SET x = 2')
os._exit(0)";
    python.succeeds(&["-c".as_ref(), code.as_ref(), path.as_os_str()]);
}
