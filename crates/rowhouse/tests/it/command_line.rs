//! What the command line accepts, refuses and says.
use crate::support::{Client, Home, Python, Server};

/// Asserts that `rowhouse start` with these flags ends with 2 and names each of `words`.
#[track_caller]
fn refuses(flags: &[&str], words: &[&str]) {
    let home = Home::new();
    let said = home.ends(2, &[&["start", "0"], flags].concat());
    for word in words {
        assert!(said.contains(word), "{flags:?} said nothing of {word}:\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn max_connections_is_a_positive_number() {
    for value in ["0", "-1", "abc", "", "1.5", "99999999999999999999"] {
        let flag = format!("--max-connections={value}");
        refuses(&["--data-directory", "data", &flag], &["--max-connections"]);
    }
    refuses(&["--data-directory", "data", "--max-connections", "-1"], &["--max-connections"]);
}

#[test]
fn auto_create_needs_auto_connect() {
    let flags = ["--data-directory", "data", "--auto-create", "--no-auto-connect"];
    refuses(&flags, &["--auto-create", "--no-auto-connect"]);
}

#[test]
fn the_auto_flags_need_a_data_directory() {
    refuses(&["--auto-connect"], &["--data-directory"]);
    refuses(&["--auto-connect", "--auto-create"], &["--data-directory"]);
}

#[test]
fn the_database_map_is_json_of_valid_names() {
    for map in ["{", "[]", "{\"a\": 1}", "{\"../a\": \"a.db\"}", "{\"a b\": \"a.db\"}", "{\"a\": \"\"}"] {
        refuses(&["--data-directory", "data", "--database-map", map], &["--database-map"]);
    }
}

#[test]
fn addresses_and_ports_are_checked() {
    for address in ["tcp://nowhere", "http://127.0.0.1:0", "127.0.0.1", "tcp://127.0.0.1:70000"] {
        refuses(&["--tcp-address", address], &["--tcp-address"]);
    }
    let home = Home::new();
    for arguments in [&["start", "70000"][..], &["start", "abc"], &["start", "0", "0"], &["start", "0", "-5"]]
    {
        home.ends(2, arguments);
    }
}

#[test]
fn the_sql_policy_is_one_of_two() {
    refuses(&["--sql-policy", "anything"], &["sqlite-rx", "standard"]);
}

#[test]
fn an_unknown_flag_gets_a_suggestion() {
    refuses(&["--max-connection", "5"], &["--max-connections"]);
}

#[test]
fn an_unknown_key_of_the_configuration_gets_a_suggestion() {
    let home = Home::new();
    home.write("rowhouse.toml", "data_directroy = \"data\"\n");
    for arguments in [&["config", "check", "rowhouse.toml"][..], &["start", "0", "--config", "rowhouse.toml"]]
    {
        let output = home.run(arguments);
        let said = crate::support::text(&output);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{arguments:?}: {}", output.status);
        assert!(said.to_lowercase().contains("did you mean"), "{said}");
        assert!(said.contains("data_directory"), "{said}");
    }
}

#[test]
fn the_example_of_the_configuration_passes_its_check() {
    let home = Home::new();
    let example = home.run(&["config", "example"]);
    assert!(example.status.success(), "{}", crate::support::text(&example));
    home.write("rowhouse.toml", &String::from_utf8(example.stdout).expect("the example is text"));
    home.ends(0, &["config", "check", "rowhouse.toml"]);
}

#[test]
fn a_missing_configuration_file_is_an_error() {
    let home = Home::new();
    let said = home.ends(2, &["start", "0", "--config", "no-such.toml"]);
    assert!(said.contains("no-such.toml"), "{said}");
}

#[test]
fn the_version_is_told() {
    let said = Home::new().ends(0, &["--version"]);
    assert_eq!(said.trim(), concat!("rowhouse ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_defaults_open_nothing_by_name() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let mut client = Client::connect(&python, &server);
    let connection = &client.health()["connection"];
    assert_eq!(connection["max_connections"], 20);
    assert_eq!(connection["auto_connect_enabled"], false);
    assert_eq!(connection["auto_create_enabled"], false);
}

#[test]
fn flags_win_over_the_environment_and_the_environment_over_the_file() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    home.write("rowhouse.toml", "max_connections = 7\nauto_connect = true\nauto_create = true\n");
    let data = home.data();
    let data = data.to_str().expect("temporary directories have plain names");
    let mut command = home.command(&[
        "start",
        "0",
        "--tcp-address",
        "tcp://127.0.0.1:0",
        "--data-directory",
        data,
        "--config",
        "rowhouse.toml",
        "--no-auto-create",
    ]);
    command.env("ROWHOUSE_MAX_CONNECTIONS", "8").env("ROWHOUSE_AUTO_CREATE", "true");
    let server = Server::run(&home, command);
    let mut client = Client::connect(&python, &server);
    let connection = &client.health()["connection"];
    assert_eq!(connection["max_connections"], 8);
    assert_eq!(connection["auto_connect_enabled"], true);
    assert_eq!(connection["auto_create_enabled"], false);
}

#[test]
fn dev_serves_and_creates_in_a_directory_beside() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let command = home.command(&["start", "0", "--dev", "--tcp-address", "tcp://127.0.0.1:0"]);
    let server = Server::run(&home, command);
    let mut client = Client::connect(&python, &server);
    client.rows("user123", "CREATE TABLE t (x)");
    assert!(home.path().join("rowhouse-data/user123.db").exists());
}

#[test]
fn the_standard_policy_allows_what_touches_one_database_only() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &["--auto-connect", "--auto-create", "--sql-policy", "standard"]);
    let mut client = Client::connect(&python, &server);
    client.rows("other", "CREATE TABLE secret (x)");
    for sql in ["CREATE TABLE t (x)", "INSERT INTO t VALUES (1)", "DELETE FROM t", "DROP TABLE t"] {
        client.rows("a", sql);
    }
    let other = home.database("other");
    let copy = home.path().join("copy.db");
    for sql in [
        format!("ATTACH '{}' AS other", other.display()),
        format!("VACUUM INTO '{}'", copy.display()),
        "SELECT load_extension('x')".to_owned(),
        "PRAGMA hard_heap_limit = 1".to_owned(),
    ] {
        let message = client.error("a", &sql);
        assert!(message.contains("not authorized"), "{sql}: {message}");
    }
    assert!(!copy.exists());
}

#[test]
fn the_default_policy_never_reaches_another_database() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &["--auto-connect", "--auto-create"]);
    let mut client = Client::connect(&python, &server);
    client.rows("other", "CREATE TABLE secret (x)");
    let copy = home.path().join("copy.db");
    for sql in [
        format!("ATTACH '{}' AS other", home.database("other").display()),
        format!("attach 'file:{}?mode=ro' AS other", home.database("other").display()),
        format!("VACUUM INTO '{}'", copy.display()),
    ] {
        let message = client.error("a", &sql);
        assert!(message.contains("not authorized"), "{sql}: {message}");
    }
    assert!(!copy.exists());
}

#[test]
fn a_value_of_env_that_cannot_be_read_is_told_by_its_place_and_not_shown() {
    let home = Home::new();
    home.write(".env", "DB_HOST=here\nDB_PASSWORD=hunter2 and=more\n");
    let said = home.ends(2, &["config", "check"]);
    assert!(said.contains(".env is not valid after DB_HOST"), "{said}");
    assert!(!said.contains("hunter2") && !said.contains("more"), "{said}");
}

#[test]
fn the_file_that_env_or_the_environment_names_is_checked_and_served() {
    let home = Home::new();
    home.write("named.toml", "max_connectons = 7\n");
    let mut command = home.command(&["config", "check"]);
    command.env("ROWHOUSE_CONFIG", "named.toml");
    let said = crate::support::ended(2, command);
    assert!(said.contains("max_connectons") && said.contains("named.toml"), "{said}");
    home.write(".env", "ROWHOUSE_CONFIG=named.toml\n");
    for arguments in [&["config", "check"][..], &["start", "0"]] {
        let said = home.ends(2, arguments);
        assert!(said.contains("max_connectons"), "{said}");
    }
    // The environment is over it.
    home.write("other.toml", "max_connections = 7\n");
    let mut command = home.command(&["config", "explain", "max_connections"]);
    command.env("ROWHOUSE_CONFIG", "other.toml");
    assert!(crate::support::ended(0, command).contains("set    in other.toml"));
}

#[test]
fn what_nobody_reads_on_is_no_error() {
    let home = Home::new();
    for arguments in [&["config", "table"][..], &["config", "example"], &["completions", "bash"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = home.command(arguments).stdout(writer).output().expect("it runs");
        assert!(output.status.success() && output.stderr.is_empty(), "{}", crate::support::text(&output));
    }
}

#[test]
fn a_maintenance_command_that_is_not_told_where_is_wrong_and_does_nothing() {
    let home = Home::new();
    for (arguments, flag) in [
        (&["backup", "a"][..], "--backup-dir"),
        (&["backup", "list"], "--backup-dir"),
        (&["restore", "a"], "--backup-dir"),
    ] {
        let said = home.ends(2, arguments);
        assert!(said.contains(flag), "{arguments:?}: {said}");
    }
}

#[test]
fn a_variable_that_is_no_text_is_refused_rather_than_passed_over() {
    use std::os::unix::ffi::OsStrExt as _;
    let home = Home::new();
    for (name, code) in [("ROWHOUSE_DATA_DIRECTORY", 2), ("OTHER", 0)] {
        let mut command = home.command(&["config", "check"]);
        command.env(name, std::ffi::OsStr::from_bytes(b"/data/\xff"));
        let said = crate::support::ended(code, command);
        assert_eq!(code == 2, said.contains("ROWHOUSE_DATA_DIRECTORY in the environment"), "{said}");
    }
}
