//! The documented scenarios: the files of `packaging/examples`, with nothing changed but port and root directory.
use crate::support::{Client, Home, Python, Server, ended, repository};
use serde_json::json;
use std::fs;
use std::process::Command;

/// A scenario's file, whose `/var/data` is in `home`.
fn example(home: &Home, name: &str) {
    let text = fs::read_to_string(repository().join("packaging/examples").join(name)).expect("an example");
    let root = home.path().join("var/data");
    let root = root.to_str().expect("temporary directories have plain names");
    home.write(name, &text.replace("/var/data", root));
}

/// Starts the server of a scenario on any port of the address that its file names.
fn start(home: &Home, name: &str) -> Command {
    let said = home.ends(0, &["config", "explain", "tcp_address", "--config", name]);
    let address = said.split('"').nth(1).expect("the file names an address");
    let any_port = address.strip_suffix("5000").expect("the documented port").to_owned() + "0";
    let mut command = home.command(&["start", "0", "--config", name]);
    command.env("ROWHOUSE_TCP_ADDRESS", any_port);
    command
}

#[test]
fn many_tenants_are_created_by_name_and_the_default_is_a_file_among_them() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    example(&home, "multi-tenant.toml");
    let said = home.ends(0, &["config", "explain", "--config", "multi-tenant.toml"]);
    for line in ["tcp_address = \"tcp://0.0.0.0:5000\"", "max_connections = 50", "database_map = {}"] {
        assert!(said.contains(line), "{said}");
    }
    let server = Server::run(&home, start(&home, "multi-tenant.toml"));
    python.script("tenants.py", &[server.address(), "60"]);
    let mut client = Client::connect(&python, &server);
    let health = client.health();
    assert_eq!(health["max_connections"], 50);
    assert_eq!(health["active_dynamic_connections"], 50);
    // Ten for the last ten created, and sixty for asking all again in the same order.
    assert_eq!(health["dynamic_connections_evicted"], 70);
    server.stop();
    let tenants = home.path().join("var/data/tenants");
    for file in ["system.db", "tenant-0.db", "tenant-59.db"] {
        assert!(tenants.join(file).is_file(), "{file}");
    }
}

#[test]
fn in_development_relative_paths_are_resolved_once_and_memory_lasts_between_requests() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    example(&home, "development.toml");
    let server = Server::run(&home, start(&home, "development.toml"));
    // The unmodified client reaches the default database: two of them, one after the other.
    let ask = "import sys; from sqlite_rx.client import SQLiteClient\n\
               print(SQLiteClient(connect_address=sys.argv[1]).execute(sys.argv[2])['items'])";
    for sql in ["CREATE TABLE t (x)", "INSERT INTO t VALUES (1)"] {
        python.succeeds(&["-c".as_ref(), ask.as_ref(), server.address().as_ref(), sql.as_ref()]);
    }
    let mut client = Client::connect(&python, &server);
    assert_eq!(client.rows("", "SELECT x FROM t"), json!([[1]]));
    client.rows("mine", "CREATE TABLE t (x)");
    assert_eq!(client.health()["max_connections"], 5);
    assert!(home.path().join("dev_data/mine.db").is_file());
    assert!(!home.path().join("dev_data/dev_data").exists());
    server.stop();
}

#[test]
fn in_production_what_there_is_is_served_and_nothing_is_created() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    example(&home, "production.toml");
    let production = home.path().join("var/data/production");
    let tenants = production.join("tenants");
    fs::create_dir_all(&tenants).expect("a directory");
    for name in ["main", "users", "products", "tenants/acme"] {
        let row = format!("CREATE TABLE t (x); INSERT INTO t VALUES ('{name}');");
        python.make_database(&production.join(format!("{name}.db")), &row);
    }
    let server = Server::run(&home, start(&home, "production.toml"));
    let mut client = Client::connect(&python, &server);
    for (database, file) in
        [("", "main"), ("users", "users"), ("products", "products"), ("acme", "tenants/acme")]
    {
        assert_eq!(client.rows(database, "SELECT x FROM t"), json!([[file]]), "{database:?}");
    }
    let reply = client.ask("unknown", "CREATE TABLE t (x)");
    assert_eq!(reply["error"]["message"], "Database 'unknown' not found");
    let health = client.health();
    assert_eq!(health["max_connections"], 20);
    assert_eq!(health["active_dynamic_connections"], 1);
    assert_eq!(health["processes"]["users"]["running"], true);
    server.stop();
    let files =
        fs::read_dir(&tenants).expect("the directory").map(|entry| entry.expect("an entry").file_name());
    let mut files: Vec<_> = files.map(|name| name.into_string().expect("UTF-8")).collect();
    files.sort();
    assert_eq!(files, [".rowhouse", "acme.db"]);
}

#[test]
fn in_production_a_configured_database_that_cannot_be_read_stops_the_start() {
    let home = Home::new();
    example(&home, "production.toml");
    let production = home.path().join("var/data/production");
    fs::create_dir_all(production.join("tenants")).expect("a directory");
    let spoilt = production.join("users.db");
    fs::write(&spoilt, "This is no database. ".repeat(1000)).expect("a file");
    let said = ended(1, start(&home, "production.toml"));
    assert!(said.contains("users"), "{said}");
    assert!(!said.contains("sqlite_rx   tcp://"), "it served before it looked: {said}");
    // A directory in the place of a file is no database either.
    fs::remove_file(&spoilt).expect("it is there");
    fs::create_dir(&spoilt).expect("a directory");
    let said = ended(1, start(&home, "production.toml"));
    assert!(said.contains("users"), "{said}");
}
