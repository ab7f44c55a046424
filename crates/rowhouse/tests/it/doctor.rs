//! `rowhouse doctor`: what is wrong is told, with what to do, and nothing is changed.
use crate::support::{Cluster, Home, Server, finish, text};
use serde_json::Value;
use std::net::TcpListener;
use std::process::Command;

/// Flags with which no port is that of another test.
const QUIET: [&str; 3] = ["--http=false", "--management=false", "--data-directory=data"];

/// What the doctor finds: whether all is well, and the status and the sentence of each check.
fn examined(mut command: Command) -> (bool, Vec<(String, String, String)>) {
    let output = finish(command.arg("--json").spawn().expect("the binary was built"));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    let healthy = told["healthy"].as_bool().expect("a truth");
    assert_eq!(output.status.code(), Some(if healthy { 0 } else { 1 }), "{}", text(&output));
    let word = |value: &Value| value.as_str().expect("a text").to_owned();
    let checks = told["checks"].as_array().expect("a list").iter();
    (
        healthy,
        checks.map(|check| (word(&check["check"]), word(&check["status"]), word(&check["found"]))).collect(),
    )
}

fn status<'a>(checks: &'a [(String, String, String)], name: &str) -> (&'a str, &'a str) {
    let found = checks.iter().find(|(check, ..)| check == name);
    found.map(|(_, status, found)| (&**status, &**found)).unwrap_or_else(|| panic!("no {name} in {checks:?}"))
}

#[test]
fn an_installation_that_is_sound_is_told_so_and_left_alone() {
    let home = Home::new();
    let said = home.ends(0, &[&["doctor"][..], &QUIET].concat());
    for line in ["configuration   ok", "data directory  ok", "file system     ", "open files      ok"] {
        assert!(said.lines().any(|said| said.starts_with(line)), "no {line} in:\n{said}");
    }
    assert!(said.starts_with("CHECK"), "{said}");
    assert_eq!(std::fs::read_dir(home.data()).expect("it is there").count(), 0, "nothing is made");
}

#[test]
fn what_is_wrong_is_told_with_what_to_do() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let said = home
        .ends(1, &["doctor", "--http-address", &address, "--management=false", "--data-directory", "data"]);
    assert!(
        said.contains("is taken by another program") && said.contains("What to do:\n  HTTP port: "),
        "{said}"
    );
    assert!(said.ends_with("1 wrong, 0 warnings\n"), "{said}");
    let said = home.ends(1, &["doctor", "--max-connections", "none"]);
    assert!(said.contains("max_connections must be a whole number"), "{said}");
    home.ends(2, &["doctor", "--no-such-flag"]);
}

#[test]
fn the_ports_of_the_server_that_is_looked_at_are_its_own() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let http = server.http().trim_start_matches("http://").to_owned();
    let flags = ["doctor", "--http-address", &http, "--tcp-address", server.address(), "--management=false"];
    let (healthy, checks) = examined(home.command(&[&flags[..], &["--data-directory", "data"]].concat()));
    assert!(healthy, "{checks:?}");
    assert!(status(&checks, "HTTP port").1.ends_with("is served by rowhouse"), "{checks:?}");
    assert!(status(&checks, "data directory").1.ends_with("is in use by a server"), "{checks:?}");
    // Whoever has the same port on another data directory.
    let (healthy, checks) = examined(home.command(&[&flags[..], &["--data-directory", "other"]].concat()));
    assert!(healthy && status(&checks, "sqlite_rx port").1.ends_with("is served by rowhouse"), "{checks:?}");
    server.stop();
}

#[test]
fn postgresql_is_looked_at_as_the_server_would_use_it() {
    let Some(cluster) = Cluster::find() else { return };
    let home = Home::new();
    let doctor = |template: &str, more: &[&str]| {
        let mut command = home.command(&[&["doctor"], &QUIET[..], more].concat());
        command.env("DB_RESULTS_DB_TEMPLATE", template).env("DB_DATABASE_URL", cluster.dsn("postgres"));
        command
    };
    let template = cluster.template();
    let (healthy, checks) = examined(doctor(&template, &["--max-connections", "200"]));
    assert!(healthy, "{checks:?}");
    let (verdict, sum) = status(&checks, "PostgreSQL main: connections");
    // Of 200, three are kept for superusers.
    assert!(verdict == "warning" && sum.starts_with("your pools can ask for 3,050 "), "{sum}");
    assert!(sum.contains("the server has 197"), "{sum}");
    for check in
        ["metadata database", "PostgreSQL main: version", "PostgreSQL main: privileges", "PostgreSQL secret"]
    {
        assert_eq!(status(&checks, check).0, "ok", "{checks:?}");
    }
    let (_, checks) = examined(doctor(&template, &["--max-connections", "5"]));
    assert_eq!(status(&checks, "PostgreSQL main: connections").0, "ok", "{checks:?}");
    let role = cluster.physical("weak").replace("mad_results_", "");
    cluster.psql(&format!(
        "CREATE ROLE \"{role}\" LOGIN PASSWORD 'weak'; GRANT CONNECT ON DATABASE postgres TO \"{role}\""
    ));
    let weak =
        template.replacen(&format!("rowhouse_test:{}", cluster.password()), &format!("{role}:weak"), 1);
    let mut command = doctor(&weak, &[]);
    command.env_remove("DB_DATABASE_URL");
    let (healthy, checks) = examined(command);
    assert!(!healthy && status(&checks, "PostgreSQL main: privileges").0 == "wrong", "{checks:?}");
    let wrong = template.replacen(cluster.password(), "s3cret", 1);
    let mut command = doctor(&wrong, &[]);
    command.env_remove("DB_DATABASE_URL");
    let said = text(&finish(command.spawn().expect("the binary was built")));
    assert!(said.contains("it refuses the login (28P01)") && !said.contains("s3cret"), "{said}");
    assert_eq!(cluster.databases(), [""; 0]);
    assert_eq!(std::fs::read_dir(home.data()).expect("it is there").count(), 0, "nothing is made");
    cluster.done();
}
