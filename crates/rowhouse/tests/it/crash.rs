//! The server is killed amid writes, again and again.
use crate::support::{Client, Home, Python, Server};
use rustix::process::Signal;
use std::fs;
use std::path::Path;

/// Kills in CI, and in a soak.
const KILLS: (usize, usize) = (50, 1_000);

/// How often the files are read besides, by another SQLite, as the kill left them.
const READ_EVERY: usize = 5;

/// Four clients write single rows, many rows, transactions and new databases, in less room than
/// they need, so that databases are closed and opened amid all this.
#[test]
fn killed_amid_writes_soak_the_server_loses_no_acknowledged_one_and_doubles_none() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let flags = ["--auto-connect", "--auto-create", "--max-connections", "3", "--set", "create_rate=10000"];
    let kills = if std::env::var_os("ROWHOUSE_SOAK").is_some() { KILLS.1 } else { KILLS.0 };
    let mut writer = Client::run(&python, "crash.py", &[&kills.to_string()]);
    let (mut acknowledged, mut unanswered) = (0, 0);
    let mut server = Server::start(&home, &flags);
    let mut tables = Client::connect(&python, &server);
    for name in ["shared-1", "shared-2", "shared-3"] {
        tables.rows(name, "CREATE TABLE t (round, client, number, part)");
    }
    drop(tables);
    for round in 0..kills {
        tell(&mut writer, &["load", server.address(), &round.to_string()]);
        server.end(Signal::KILL);
        let counts = tell(&mut writer, &["stop"]);
        let mut counts = counts.split(' ').map(|n| n.parse::<usize>().expect("two numbers"));
        acknowledged += counts.next().expect("the first");
        unanswered += counts.next().expect("the second");
        if round % READ_EVERY == 0 {
            let left = home.path().join("left");
            copy(&home.data(), &left);
            tell(&mut writer, &["check", path(&left), &round.to_string()]);
            fs::remove_dir_all(left).expect("it was made above");
        }
        server = Server::start(&home, &flags);
        tell(&mut writer, &["verify", server.address(), &round.to_string()]);
    }
    server.stop();
    tell(&mut writer, &["check", path(&home.data())]);
    println!("{kills} kills, {acknowledged} writes acknowledged, {unanswered} unanswered");
    assert!(kills < acknowledged && 0 < unanswered, "the kills came amid writes");
}

fn tell(writer: &mut Client, words: &[&str]) -> String {
    let answer = writer.exchange(&words.join("\t"));
    let rest = answer.strip_prefix("ok").unwrap_or_else(|| panic!("{words:?} was answered {answer:?}"));
    rest.trim().to_owned()
}

fn path(path: &Path) -> &str {
    path.to_str().expect("temporary directories have plain names")
}

/// Databases and their logs, without the index of the logs, as after a power cut.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("it was removed after the last use");
    for entry in fs::read_dir(from).expect("it is there") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("UTF-8");
        if name.ends_with(".db") || name.ends_with("-wal") || name.ends_with("-journal") {
            fs::copy(entry.path(), to.join(name)).expect("a file");
        }
    }
}
