//! Backups and restores as an operator meets them: on an interval, by hand, beside a running server, and interrupted.
use crate::support::{Client, Home, Machine, Python, Server, text};
use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

/// How long anything may take that takes a moment.
const PATIENCE: Duration = Duration::from_secs(60);

const ONE_ROW: &str = "CREATE TABLE t (x); INSERT INTO t VALUES (1);";

/// Flags by which the commands find what the server of a [`Home`] uses.
const PLACE: [&str; 4] = ["--data-directory", "data", "--backup-dir", "backups"];

/// Flags of a server that makes backups all the time.
const OFTEN: [&str; 6] =
    ["--auto-connect", "--auto-create", "--backup-dir", "backups", "--backup-interval", "0.05"];

fn backups(home: &Home, name: &str) -> Vec<PathBuf> {
    let folder = home.path().join("backups/databases").join(name);
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| !file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')));
    files.sort();
    files
}

fn tool(home: &Home, command: &[&str]) -> Output {
    home.run(&[command, &PLACE[..]].concat())
}

#[track_caller]
fn succeeds(home: &Home, command: &[&str]) -> String {
    home.ends(0, &[command, &PLACE[..]].concat())
}

#[track_caller]
fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(since.elapsed() < PATIENCE, "waited too long until {what}");
        std::thread::yield_now();
    }
}

fn integer(file: &Path, sql: &str) -> i64 {
    let raw = Connection::open(file).expect("a database");
    raw.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn is_sound(file: &Path) -> bool {
    let raw = Connection::open(file).expect("a database");
    raw.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).expect("checks") == "ok"
}

/// A database of about `mebibytes`, whose one number is `x`.
fn make_big(file: &Path, mebibytes: usize, x: i64) {
    let raw = Connection::open(file).expect("a database");
    raw.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; CREATE TABLE t (x); CREATE TABLE filling (x);",
    )
    .expect("made");
    raw.execute("INSERT INTO t VALUES (?1)", [x]).expect("made");
    let mut insert = raw.prepare("INSERT INTO filling VALUES (randomblob(1048576))").expect("prepares");
    raw.execute_batch("BEGIN").expect("begins");
    for _ in 0..mebibytes {
        insert.execute([]).expect("made");
    }
    raw.execute_batch("COMMIT").expect("commits");
}

#[test]
fn every_backup_under_write_load_holds_one_moment() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &[&OFTEN[..], &["--set", "backup_keep=100"]].concat());
    let mut client = Client::connect(&python, &server);
    client.rows("bank", "CREATE TABLE a (n)");
    client.rows("bank", "CREATE TABLE b (n)");
    client.rows("bank", "BEGIN");
    client.rows("bank", "INSERT INTO a VALUES (100000)");
    client.rows("bank", "INSERT INTO b VALUES (0)");
    client.rows("bank", "COMMIT");
    until("there are five backups", || {
        client.rows("bank", "BEGIN");
        client.rows("bank", "UPDATE a SET n = n - 1");
        client.rows("bank", "UPDATE b SET n = n + 1");
        client.rows("bank", "COMMIT");
        (5 <= backups(&home, "bank").len()).then_some(())
    });
    server.stop();
    let mut last = 0;
    for file in backups(&home, "bank") {
        assert!(is_sound(&file));
        if integer(&file, "SELECT count(*) FROM sqlite_schema") < 2
            || integer(&file, "SELECT count(*) FROM b") == 0
        {
            continue;
        }
        assert_eq!(integer(&file, "SELECT a.n + b.n FROM a, b"), 100_000, "{}", file.display());
        let moved = integer(&file, "SELECT n FROM b");
        assert!(last <= moved, "later backups are of later moments");
        last = moved;
    }
    assert!(0 < last);
    assert_eq!(home.listing(), ["bank.db"]);
}

#[test]
fn databases_are_evicted_and_opened_again_while_they_are_backed_up() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &[&OFTEN[..], &["--max-connections", "1"]].concat());
    let mut client = Client::connect(&python, &server);
    for name in ["a", "b"] {
        client.rows(name, "CREATE TABLE t (x)");
    }
    let mut written = 0;
    until("both have three backups", || {
        for name in ["a", "b"] {
            client.rows(name, "INSERT INTO t VALUES (1)");
        }
        written += 1;
        (3 <= backups(&home, "a").len() && 3 <= backups(&home, "b").len() && 30 <= written).then_some(())
    });
    let health = client.health();
    assert_eq!(health["active_dynamic_connections"], 1);
    let log = text(&server.end(Signal::TERM));
    assert!(!log.contains("did not close cleanly") && !log.contains("not backed up"), "{log}");
    assert_eq!(home.listing(), ["a.db", "b.db"]);
    for name in ["a", "b"] {
        assert_eq!(integer(&home.database(name), "SELECT count(*) FROM t"), written);
        assert!(backups(&home, name).iter().all(|file| is_sound(file)));
        assert!(backups(&home, name).len() <= 3, "so many are kept");
    }
}

#[test]
fn health_tells_of_the_newest_backup() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let flags = ["--backup-dir", "backups", "--backup-interval", "1h", "--auto-connect", "--auto-create"];
    let server = Server::start(&home, &flags);
    let mut client = Client::connect(&python, &server);
    client.rows("a", "CREATE TABLE t (x)");
    let asked = client.ask("a", "HEALTH_CHECK");
    assert_eq!(asked["database_backup_enabled"], true);
    assert_eq!(asked["database_backup_interval"], 3600.0);
    assert_eq!(asked["storage"]["backup_interval_seconds"], 3600.0);
    let directory = asked["storage"]["backup_directory"].as_str().expect("a path");
    assert!(directory.ends_with("/backups"), "{directory}");
    assert_eq!(asked["dynamic_databases"]["a"]["backup"]["size_bytes"], Value::Null, "there is none yet");
    // Made by another process: told all the same.
    succeeds(&home, &["backup", "a"]);
    let file = backups(&home, "a").pop().expect("a backup");
    let asked = client.ask("a", "HEALTH_CHECK");
    let told = &asked["dynamic_databases"]["a"]["backup"];
    assert_eq!(told["size_bytes"], fs::metadata(&file).expect("is there").len());
    assert!(
        told["path"]
            .as_str()
            .expect("a path")
            .ends_with(file.to_str().expect("UTF-8").rsplit('/').next().expect("a name"))
    );
    assert!(1.0e9 < told["last_modified"].as_f64().expect("a time"));
    assert_eq!(asked["database_backup_path"], told["path"]);
}

#[test]
fn without_a_place_for_backups_health_says_that_there_are_none() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let health = Client::connect(&python, &server).health();
    assert_eq!(health["database_backup_enabled"], false);
    assert_eq!(health["processes"]["default"]["backup"], serde_json::json!({ "enabled": false }));
    assert_eq!(health["storage"]["backup_directory"], Value::Null);
}

#[test]
fn memory_is_backed_up_by_the_server_and_restored_as_a_file() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &OFTEN);
    let mut client = Client::connect(&python, &server);
    client.rows("", "CREATE TABLE t AS SELECT 7 AS x");
    until("there is a backup", || {
        let listed = succeeds(&home, &["backup", "list", "--default"]);
        listed.contains(".db").then_some(())
    });
    server.stop();
    let said = home.ends(1, &[&["backup", "--default"][..], &PLACE].concat());
    assert!(said.contains("memory"), "{said}");
    let said = succeeds(&home, &["backup", "list", "nobody"]);
    assert!(said.contains("there are no backups of database nobody"), "{said}");
    succeeds(&home, &["restore", "--default", "--as", "kept"]);
    assert_eq!(integer(&home.database("kept"), "SELECT x FROM t"), 7);
}

#[test]
fn the_backup_directory_is_apart_from_the_data() {
    let home = Home::new();
    std::os::unix::fs::symlink(home.data(), home.path().join("link")).expect("a link");
    for directory in ["data", "data/backups", ".", "link", "link/backups"] {
        let flags =
            ["--tcp-address", "tcp://127.0.0.1:0", "--data-directory", "data", "--backup-dir", directory];
        let said = home.ends(2, &[&["start", "0"][..], &flags].concat());
        assert!(said.contains("--backup-dir") && said.contains("--data-directory"), "{said}");
    }
    assert_eq!(home.listing(), Vec::<String>::new());
}

#[test]
fn all_with_a_damaged_database_backs_up_the_rest_and_says_which_it_could_not() {
    let home = Home::new();
    for name in ["a", "c"] {
        Connection::open(home.database(name)).expect("made").execute_batch(ONE_ROW).expect("made");
    }
    fs::write(home.database("b"), "This is no database. ".repeat(1000)).expect("written");
    let output = tool(&home, &["backup", "--all"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("database b was not backed up") && said.contains("1 of 4"), "{said}");
    assert_eq!([1, 0, 1], ["a", "b", "c"].map(|name| backups(&home, name).len()));
    assert_eq!(home.listing(), ["a.db", "b.db", "c.db"], "nothing is left beside");
}

#[test]
fn a_server_killed_while_it_makes_a_backup_leaves_none_that_is_broken() {
    let home = Home::new();
    make_big(&home.database("big"), 64, 7);
    let server = Server::start(&home, &OFTEN);
    let partial = home.path().join("backups/databases/big/.partial.db");
    until("one is being made", || (partial.exists() || !backups(&home, "big").is_empty()).then_some(()));
    server.end(Signal::KILL);
    let listed = succeeds(&home, &["backup", "list", "big"]);
    let files = listed.lines().filter(|line| line.ends_with(".db"));
    assert_eq!(files.count(), backups(&home, "big").len(), "{listed}");
    assert!(backups(&home, "big").iter().all(|file| is_sound(file)));
    // As an earlier kill has left it, for sure.
    fs::create_dir_all(partial.parent().expect("a folder")).expect("made");
    fs::write(&partial, "half").expect("written");
    let server = Server::start(&home, &["--backup-dir", "backups", "--backup-interval", "1h"]);
    until("what was left is gone or made anew", || {
        let content = fs::read(&partial).unwrap_or_default();
        (content != b"half").then_some(())
    });
    until("there is a backup", || backups(&home, "big").pop());
    server.stop();
    assert!(!partial.exists());
    assert!(backups(&home, "big").iter().all(|file| is_sound(file) && integer(file, "SELECT x FROM t") == 7));
}

#[test]
fn a_restore_waits_for_nobody_and_replaces_only_what_nobody_uses() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &["--auto-connect", "--auto-create"]);
    let mut client = Client::connect(&python, &server);
    client.rows("a", "CREATE TABLE t AS SELECT 1 AS x");
    succeeds(&home, &["backup", "a"]);
    client.rows("a", "UPDATE t SET x = 2");
    // It would replace data: that must be said.
    let said = home.ends(2, &[&["restore", "a"][..], &PLACE].concat());
    assert!(said.contains("--yes") && said.contains("--as"), "{said}");
    let said = home.ends(1, &[&["restore", "a", "--yes"][..], &PLACE].concat());
    assert!(said.contains("in use") && said.contains("stop the server") && said.contains("--as"), "{said}");
    assert_eq!(client.rows("a", "SELECT x FROM t"), serde_json::json!([[2]]));
    // Beside it, at once, and served without a restart.
    succeeds(&home, &["restore", "a", "--as", "a2"]);
    assert_eq!(client.rows("a2", "SELECT x FROM t"), serde_json::json!([[1]]));
    let said = home.ends(1, &[&["restore", "a", "--as", "a2", "--yes"][..], &PLACE].concat());
    assert!(said.contains("exists already"), "{said}");
    server.stop();
    succeeds(&home, &["restore", "a", "--yes"]);
    let server = Server::start(&home, &["--auto-connect"]);
    let mut client = Client::connect(&python, &server);
    assert_eq!(client.rows("a", "SELECT x FROM t"), serde_json::json!([[1]]));
}

#[test]
fn a_database_is_restored_as_soon_as_the_server_has_closed_it() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &["--auto-connect", "--auto-create", "--max-connections", "1"]);
    let mut client = Client::connect(&python, &server);
    client.rows("a", "CREATE TABLE t AS SELECT 1 AS x");
    succeeds(&home, &["backup", "a"]);
    client.rows("a", "UPDATE t SET x = 2");
    client.rows("b", "CREATE TABLE t (x)");
    succeeds(&home, &["restore", "a", "--yes"]);
    assert_eq!(client.rows("a", "SELECT x FROM t"), serde_json::json!([[1]]));
    client.rows("a", "UPDATE t SET x = 3");
    client.rows("b", "SELECT 1");
    assert_eq!(client.rows("a", "SELECT x FROM t"), serde_json::json!([[3]]));
}

#[test]
fn a_restore_killed_at_any_moment_leaves_the_old_or_the_new() {
    let _machine = Machine::shared();
    let home = Home::new();
    make_big(&home.database("big"), 16, 1);
    succeeds(&home, &["backup", "big"]);
    fs::remove_file(home.database("big")).expect("removed");
    let journal = home.data().join("big.db-journal");
    let workshop = home.data().join(".big.db.restoring");
    for round in 0..9 {
        if !home.database("big").exists() {
            make_big(&home.database("big"), 16, 2);
        }
        let mut child =
            home.command(&[&["restore", "big", "--yes"][..], &PLACE].concat()).spawn().expect("built");
        // Killed while it copies and checks, or while it writes over the database.
        let moment = if round % 3 == 0 { &workshop } else { &journal };
        while child.try_wait().expect("can be waited for").is_none() && !moment.exists() {}
        let deadline = Instant::now() + Duration::from_millis(round * 12);
        while Instant::now() < deadline {
            std::hint::spin_loop();
        }
        // It may have ended by itself.
        let _ended = kill_process(Pid::from_child(&child), Signal::KILL);
        child.wait().expect("can be waited for");
        assert!(is_sound(&home.database("big")), "round {round}");
        let x = integer(&home.database("big"), "SELECT x FROM t");
        println!("round {round}: {}", if x == 1 { "the new" } else { "the old" });
        assert!(x == 1 || x == 2, "round {round}: {x}");
        assert_eq!(integer(&home.database("big"), "SELECT count(*) FROM filling"), 16);
        fs::remove_file(home.database("big")).expect("removed");
    }
    make_big(&home.database("big"), 16, 2);
    succeeds(&home, &["restore", "big", "--yes"]);
    assert_eq!(integer(&home.database("big"), "SELECT x FROM t"), 1);
    assert_eq!(home.listing(), ["big.db"], "what the killed ones left is gone");
}

#[test]
fn a_backup_is_found_by_its_time_its_name_or_its_path_and_never_mistaken_for_another_databases() {
    let home = Home::new();
    for name in ["a", "b"] {
        Connection::open(home.database(name)).expect("made").execute_batch(ONE_ROW).expect("made");
    }
    succeeds(&home, &["backup", "a"]);
    Connection::open(home.database("a"))
        .expect("opens")
        .execute_batch("UPDATE t SET x = 2")
        .expect("changes");
    succeeds(&home, &["backup", "--all"]);
    let files = backups(&home, "a");
    let listed = succeeds(&home, &["backup", "list", "a"]);
    let first = listed.split_whitespace().nth(1).expect("a time").to_owned();
    let path = files[0].to_str().expect("UTF-8").to_owned();
    let name = path.rsplit('/').next().expect("a name").to_owned();
    for (number, from) in [first, path.clone(), name].iter().enumerate() {
        let new = format!("new{number}");
        succeeds(&home, &["restore", "a", "--from", from, "--as", &new]);
        assert_eq!(integer(&home.database(&new), "SELECT x FROM t"), 1, "{from}");
    }
    succeeds(&home, &["restore", "a", "--as", "latest"]);
    assert_eq!(integer(&home.database("latest"), "SELECT x FROM t"), 2);
    for (from, code, word) in [
        ("2001-01-01T00:00:00Z", 1, "oldest"),
        ("no-such-file", 1, "no such file"),
        (backups(&home, "b")[0].to_str().expect("UTF-8"), 2, "database b"),
    ] {
        let said =
            home.ends(code, &[&["restore", "a", "--from", from, "--as", "never"][..], &PLACE].concat());
        assert!(said.contains(word), "{said}");
    }
    for name in ["../x", "a/b", "CON", ""] {
        home.ends(2, &[&["restore", "a", "--as", name][..], &PLACE].concat());
    }
    assert!(!home.database("never").exists());
}

/// Runs in a mount namespace of its own, where the tests may mount.
#[test]
fn a_full_disk_costs_a_backup_and_nothing_else() {
    let _machine = Machine::shared();
    let home = Home::new();
    make_big(&home.database("big"), 8, 1);
    Connection::open(home.database("small")).expect("made").execute_batch(ONE_ROW).expect("made");
    fs::create_dir(home.path().join("backups")).expect("made");
    let binary = env!("CARGO_BIN_EXE_rowhouse");
    let script = format!(
        "mount -t tmpfs -o size=4m none backups || exit 77
         echo rowhouse runs; {binary} backup small {place} || exit 3
         {binary} backup --all {place}; echo ended with $?
         find backups -type f; {binary} backup list {place}",
        place = PLACE.join(" "),
    );
    let arguments = ["--user", "--map-root-user", "--mount", "sh", "-c", &script];
    let output = home.program(Path::new("unshare"), &arguments).output();
    let said = match output {
        Ok(output) if output.status.success() => text(&output),
        // Either the namespace or the mount is forbidden: nothing of ours has run.
        other if !other.as_ref().is_ok_and(|output| text(output).contains("rowhouse")) => {
            let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
            assert!(!ci, "no mount namespace here: {other:?}");
            println!("SKIPPED: no mount namespace here: {other:?}");
            return;
        }
        other => panic!("{other:?}"),
    };
    assert!(said.contains("ended with 1") && said.contains("database big was not backed up"), "{said}");
    assert!(said.contains("full"), "{said}");
    assert!(!said.contains(".partial"), "{said}");
    let small = said.lines().filter(|line| line.starts_with("small ")).count();
    assert_eq!(small, 2, "the former one and the new one: {said}");
}
