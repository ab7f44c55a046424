//! The binary under the names of sqlite_rx's multi-database server.
use crate::support::{Client, Home, Python, Server, ended};
use rustix::process::Signal;

const NAMES: [&str; 2] = ["sqlite-multiprocess-server", "sqlite-multi-server"];

const ANY_PORT: [&str; 2] = ["--tcp-address", "tcp://127.0.0.1:0"];

/// Asserts that the command with these flags ends with 2, under every name alike, and names each of `words`.
#[track_caller]
fn refuses(flags: &[&str], words: &[&str]) {
    let home = Home::new();
    let mut ends = vec![home.ends(2, &[&["sqlite-multi-server"], flags].concat())];
    ends.extend(NAMES.map(|name| ended(2, home.command_as(name, flags))));
    for said in ends {
        for word in words {
            assert!(said.contains(word), "{flags:?} said nothing of {word}:\n{said}");
        }
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn each_name_takes_every_flag_of_the_original() {
    let Some(python) = Python::find() else { return };
    for name in NAMES {
        let home = Home::new();
        let data = home.data();
        let data = data.to_str().expect("temporary directories have plain names");
        ended(0, home.command_as("curve-keygen", &["--mode=server", "--curve-dir=keys", "--key-id=server"]));
        let command = home.command_as(
            name,
            &[
                "--log-level=INFO",
                "--tcp-address=tcp://127.0.0.1:0",
                "--default-database=system.db",
                "--database-map={\"users\": \"users.db\"}",
                "--base-port=6000",
                "--backup-dir=backups",
                "--backup-interval=600",
                "--curvezmq",
                "--no-curvezmq",
                "--zap",
                "--no-zap",
                "--curve-dir=keys",
                "--key-id=server",
                &format!("--data-directory={data}"),
                "--no-auto-connect",
                "--auto-connect",
                "--no-auto-create",
                "--auto-create",
                "--max-connections=10",
            ],
        );
        let server = Server::run(&home, command);
        let mut client = Client::connect(&python, &server);
        client.rows("user123", "CREATE TABLE t (x)");
        client.rows("users", "CREATE TABLE t (x)");
        client.rows("", "CREATE TABLE t (x)");
        let health = client.health();
        assert_eq!(health["connection"]["max_connections"], 10);
        assert_eq!(health["storage"]["backup_interval_seconds"].as_f64(), Some(600.0), "{health}");
        server.stop();
        assert_eq!(home.listing(), ["system.db", "user123.db", "users.db"]);
    }
}

#[test]
fn each_short_flag_is_the_originals() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let map = format!("{{\"users\": \"{}\"}}", home.database("users").display());
    let flags = ["-l", "warning", "-a", "tcp://127.0.0.1:0", "-d", ":memory:", "-m", &map, "-p", "6000"];
    let backups = ["-b", "backups", "-i", "60", "-c", "keys", "-k", "server"];
    let flags = [&flags[..], &backups].concat();
    let server = Server::run(&home, home.command_as(NAMES[0], &flags));
    let mut client = Client::connect(&python, &server);
    client.rows("users", "CREATE TABLE t (x)");
    assert_eq!(client.health()["data_directory"], serde_json::Value::Null);
    server.stop();
    assert_eq!(home.listing(), ["users.db"]);
}

#[test]
fn its_defaults_are_the_originals() {
    let home = Home::new();
    // Whoever has the port, we or somebody else: the server says where it wanted to listen.
    let _taken = std::net::TcpListener::bind("0.0.0.0:5000");
    let said = ended(1, home.command_as(NAMES[0], &[]));
    assert!(said.contains("0.0.0.0:5000"), "{said}");
    let help = ended(0, home.command_as(NAMES[0], &["--help"]));
    for default in ["tcp://0.0.0.0:5000", ":memory:", "{}", "[default: 20]", "[default: INFO]"] {
        assert!(help.contains(default), "{default}:\n{help}");
    }
}

#[test]
fn the_flags_of_tuning_come_from_the_environment_and_flags_win() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let mut command = home.command_as(NAMES[1], &["--max-connections", "9"]);
    command.env("ROWHOUSE_TCP_ADDRESS", "tcp://127.0.0.1:0");
    command.env("ROWHOUSE_MAX_CONNECTIONS", "8").env("ROWHOUSE_SQL_POLICY", "standard");
    let server = Server::run(&home, command);
    let mut client = Client::connect(&python, &server);
    assert_eq!(client.health()["max_connections"], 9);
    client.rows("", "CREATE TABLE t (x)");
    client.rows("", "DROP TABLE t");
}

#[test]
fn the_base_port_is_accepted_with_a_notice() {
    let home = Home::new();
    let server = Server::run(&home, home.command_as(NAMES[0], &[&ANY_PORT[..], &["-p", "7000"]].concat()));
    let said = crate::support::text(&server.end(Signal::TERM));
    assert!(said.contains("--base-port 7000 is deprecated and ignored"), "{said}");
    let server = Server::run(&home, home.command_as(NAMES[0], &ANY_PORT));
    let said = crate::support::text(&server.end(Signal::TERM));
    assert!(!said.contains("--base-port"), "{said}");
}

#[test]
fn log_levels_have_pythons_names_in_any_case() {
    let home = Home::new();
    for (level, told) in
        [("DEBUG", true), ("info", true), ("Warning", false), ("CRITICAL", false), ("NOTSET", true)]
    {
        let server = Server::run(&home, home.command_as(NAMES[0], &[&ANY_PORT[..], &["-l", level]].concat()));
        let said = crate::support::text(&server.end(Signal::TERM));
        assert_eq!(said.contains("INFO"), told, "{level}:\n{said}");
    }
    refuses(&["--log-level", "loud"], &["--log-level", "CRITICAL", "WARNING"]);
}

#[test]
fn limits_and_maps_that_make_no_sense_are_refused() {
    for value in ["0", "-1", "abc"] {
        refuses(&["--max-connections", value], &["--max-connections", value]);
    }
    for map in ["{", "[]", "{\"a\": 1}", "{\"../a\": \"a.db\"}"] {
        refuses(&["--database-map", map], &["--database-map"]);
    }
    refuses(&["--base-port", "abc"], &["--base-port"]);
    refuses(&["--backup-dir", "b", "--backup-interval", "0"], &["--backup-interval"]);
    let inside = ["--data-directory", "data", "--backup-dir", "data/b"];
    refuses(&inside, &["--data-directory", "--backup-dir"]);
    refuses(&["--no-such-flag"], &["--no-such-flag"]);
}

#[test]
fn auto_create_needs_auto_connect_and_both_a_data_directory() {
    refuses(&["--data-directory", "data", "--auto-create"], &["--auto-create", "--auto-connect"]);
    refuses(
        &["--data-directory", "data", "--auto-create", "--no-auto-connect"],
        &["--auto-create", "--no-auto-connect"],
    );
    refuses(&["--auto-connect"], &["--data-directory"]);
}

#[test]
fn the_version_has_the_originals_letter() {
    let home = Home::new();
    for name in NAMES {
        for flag in ["-v", "--version"] {
            let said = ended(0, home.command_as(name, &[flag]));
            assert_eq!(said.trim(), format!("{name} {} (rowhouse)", env!("CARGO_PKG_VERSION")));
        }
    }
}

#[test]
fn any_other_name_is_rowhouse() {
    let home = Home::new();
    for name in ["rowhouse", "rowhouse-0.1", "sqlite-multi-server-old"] {
        let said = ended(0, home.command_as(name, &["--version"]));
        assert_eq!(said.trim(), concat!("rowhouse ", env!("CARGO_PKG_VERSION")));
    }
}
