//! Tokens and users from the command line, and what they open over HTTP.
use crate::support::{Home, Operator, await_line, has, text};
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;

/// The status with which a query of this database is answered.
fn status(operator: &Operator, credentials: &str, (database, sql): (&str, &str)) -> String {
    let at = operator.server.http();
    operator.prints(&format!(
        "curl -s -o answer -w '%{{http_code}}' {at}/db/{database}/query {credentials} -d '{{\"sql\": \"{sql}\"}}'"
    ))
}

#[test]
fn a_token_opens_its_databases_over_http_until_it_is_taken_back_and_nothing_is_opened_for_others() {
    if !has(&["curl"]) {
        return;
    }
    let operator = Operator::start("rowhouse", "100", &["--auto-connect", "--auto-create"]);
    let made = operator.prints(
        "rowhouse token create ci --scopes write,create --databases 'acme,eu-*' --lasts 1h --port 9090 -q",
    );
    let ci = format!("-H 'Authorization: Bearer {}'", made.trim());
    let made =
        operator.prints("rowhouse token create reader --scopes read --databases 'acme,eu-2' --port 9090 -q");
    let reader = format!("-H 'Authorization: Bearer {}'", made.trim());
    for (credentials, asked, expected) in [
        ("", ("acme", "SELECT 1"), "401"),
        ("-u alice:wrong-password", ("acme", "SELECT 1"), "401"),
        ("-H 'Authorization: Bearer rh_wrong'", ("acme", "SELECT 1"), "401"),
        (&reader, ("acme", "SELECT 1"), "404"),
        (&ci, ("acme", "CREATE TABLE t (a)"), "200"),
        (&ci, ("eu-1", "SELECT 1"), "200"),
        (&ci, ("other", "SELECT 1"), "403"),
        (&reader, ("acme", "SELECT * FROM t"), "200"),
        (&reader, ("acme", "INSERT INTO t VALUES (1)"), "403"),
        (&reader, ("eu-1", "SELECT 1"), "403"),
        (&reader, ("eu-2", "SELECT 1"), "404"),
        (&reader, ("nowhere", "SELECT 1"), "403"),
    ] {
        assert_eq!(status(&operator, credentials, asked), expected, "{credentials} {asked:?}");
    }
    let listed = operator.prints("rowhouse token list --json --port 9090");
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(listed["tokens"][0]["name"], "ci");
    assert_eq!(operator.prints("rowhouse token revoke ci --port 9090"), "Success: Token ci revoked\n");
    assert_eq!(status(&operator, &ci, ("acme", "SELECT 1")), "401");
    let names: Vec<_> = operator.home.listing().into_iter().filter(|name| name.ends_with(".db")).collect();
    assert_eq!(names, ["acme.db", "eu-1.db"], "nothing else was made");
    let secret = made.trim().to_owned();
    let Operator { home, server } = operator;
    let output = server.end(Signal::TERM);
    let told = text(&output);
    assert!(told.contains("credentials refused") && !told.contains(&secret), "{told}");
    assert!(!home.ends(0, &["audit", "--data-directory", "data", "--json"]).contains(&secret));
}

#[test]
fn tokens_and_users_are_made_without_a_server_and_hold_when_it_starts() {
    if !has(&["curl"]) {
        return;
    }
    let home = Home::new();
    let directory = ["--data-directory", "data"];
    let token = |words: &[&str]| home.ends(0, &[&["token"], words, &directory].concat());
    let made = token(&["create", "ops", "--scopes", "read,create", "--databases", "*", "--quiet"]);
    assert!(made.starts_with("rh_"), "{made}");
    token(&["create", "gone", "--scopes", "read", "--databases", "*"]);
    assert_eq!(token(&["revoke", "gone"]), "Success: Token gone revoked\n");
    assert!(token(&["list"]).contains("ops   read,create  *"), "{}", token(&["list"]));
    let again =
        [&["token", "create", "ops", "--scopes", "read", "--databases", "*"][..], &directory].concat();
    assert!(home.ends(1, &again).contains("there is a token \"ops\" already"));
    let wrong = [&["token", "create", "x", "--scopes", "reed", "--databases", "*"][..], &directory].concat();
    assert!(home.ends(2, &wrong).contains("\"reed\" is no scope"));

    let operator = Operator::start_in(home, "rowhouse", &["100", "--auto-connect", "--auto-create"]);
    let bearer = format!("-H 'Authorization: Bearer {}'", made.trim());
    assert_eq!(status(&operator, &bearer, ("acme", "SELECT 1")), "200");
    assert_eq!(status(&operator, "", ("acme", "SELECT 1")), "401");
    operator.server.stop();
}

/// Makes this one the only user of the file.
fn write_user(home: &Home, name: &str) {
    let _link = home.command_as("rowhouse", &[]);
    let add = format!("./rowhouse user add {name} --scopes read,create --databases '*' --print");
    let script = format!("(umask 077; echo 'correct horse' | {add} > users)");
    let mut shell = home.program(Path::new("bash"), &["-euc", &script]);
    assert!(shell.status().expect("bash is there").success());
}

#[test]
fn users_of_a_file_come_in_by_their_passwords_and_are_exchanged_by_a_signal() {
    if !has(&["curl"]) {
        return;
    }
    let home = Home::new();
    write_user(&home, "alice");
    let operator = Operator::start_in(
        home,
        "rowhouse",
        &["100", "--auto-connect", "--auto-create", "--users-file", "users"],
    );
    let (alice, bob) = ("-u 'alice:correct horse'", "-u 'bob:correct horse'");
    assert_eq!(status(&operator, alice, ("acme", "SELECT 1")), "200");
    assert_eq!(status(&operator, bob, ("acme", "SELECT 1")), "401");
    write_user(&operator.home, "bob");
    let pid = Pid::from_raw(operator.server.pid().cast_signed()).expect("it runs");
    kill_process(pid, Signal::HUP).expect("it runs");
    await_line(&operator.home.path().join("stderr.txt"), "configuration reloaded");
    // The files are read right after that is said: the first who is let in shows that they were.
    while status(&operator, bob, ("acme", "SELECT 1")) != "200" {}
    assert_eq!(status(&operator, alice, ("acme", "SELECT 1")), "401");
    operator.server.stop();
}
