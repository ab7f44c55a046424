//! `rowhouse db` and `rowhouse top` against a running server.
use crate::support::{Client, Operator, Python, text};
use serde_json::Value;

fn start(flags: &[&str]) -> Operator {
    Operator::start("rowhouse", "100", &[&["--auto-connect", "--auto-create"], flags].concat())
}

impl Operator {
    /// Runs `rowhouse db` with these words, which must be a success.
    #[track_caller]
    fn db(&self, words: &str) -> String {
        self.prints(&format!("rowhouse db {words} --port 9090"))
    }

    /// Runs `rowhouse db` with these words, which must be refused, and returns why.
    #[track_caller]
    fn db_refuses(&self, words: &str) -> String {
        let output = self.runs(&format!("rowhouse db {words} --port 9090"));
        assert_eq!(output.status.code(), Some(1), "{words}: {}", text(&output));
        assert!(output.stdout.is_empty(), "{words}: {}", text(&output));
        String::from_utf8(output.stderr).expect("UTF-8")
    }
}

#[track_caller]
fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_database_is_created_listed_shown_and_dropped() {
    let operator = start(&[]);
    assert!(operator.db("create acme").starts_with("Success: "));
    assert!(operator.home.database("acme").exists());
    let list = operator.db("list");
    assert!(list.lines().any(|line| line.starts_with("acme ") && line.contains("closed")), "{list}");
    assert!(list.starts_with("Known Databases: "), "{list}");
    let show = operator.db("show acme");
    for line in ["Name: acme", "State: closed", "Sessions: 0", "Paused: no", "Frozen: no", "Limits:"] {
        assert!(show.lines().any(|said| said == line), "{show}");
    }
    assert!(operator.db_refuses("create acme").starts_with("Error: "));
    assert!(operator.db("drop acme --yes").starts_with("Success: "));
    assert!(!operator.home.database("acme").exists());
    for refused in ["show acme", "drop acme --yes", "evict acme", "pause acme"] {
        let said = operator.db_refuses(refused);
        assert!(said.starts_with("Error: no such database"), "{refused}: {said}");
    }
    assert!(operator.db_refuses("resume acme").contains("not paused"));
    assert!(operator.db_refuses("drop ~default --yes").contains("cannot be dropped"));
}

#[test]
fn what_is_dropped_and_created_again_is_empty() {
    let Some(python) = Python::find() else { return };
    let operator = start(&[]);
    let mut client = Client::connect(&python, &operator.server);
    client.rows("acme", "CREATE TABLE t (x)");
    client.rows("acme", "INSERT INTO t VALUES (1)");
    operator.db("drop acme --yes");
    operator.db("create acme");
    assert!(client.error("acme", "SELECT x FROM t").contains("no such table"));
}

#[test]
fn the_limits_of_a_database_are_shown_and_changed() {
    let operator = start(&[]);
    operator.db("create acme");
    assert!(operator.db("limit acme 20").starts_with("Success: "));
    assert!(operator.db("limit acme +5").starts_with("Success: "));
    assert!(operator.db("limit acme -10").starts_with("Success: "));
    assert_eq!(operator.db("limit acme"), "Current Limit: 15\nActive Connections: 0\n");
    assert!(operator.db_refuses("limit acme 0").contains("must be positive"));
    let limits = operator.db("limits acme requests_per_second=200 statement-timeout=5s");
    for line in ["requests_per_second = 200", "statement_timeout = 5s"] {
        assert!(limits.lines().any(|said| said == line), "{limits}");
    }
    let before = json(&operator.db("limits acme --json"));
    operator.db("limits acme statement_timeout=");
    let after = json(&operator.db("limits acme --json"));
    assert_eq!((&before["statement_timeout"], &after["statement_timeout"]), (&"5s".into(), &"30s".into()));
    let said = operator.db_refuses("limits acme no_such_limit=1");
    assert!(said.contains("unknown limit: there are pool_size"), "{said}");
}

#[test]
fn a_database_is_paused_and_resumed_evicted_checkpointed_and_backed_up() {
    let Some(python) = Python::find() else { return };
    let operator = start(&["--backup-dir", "backups"]);
    let mut client = Client::connect(&python, &operator.server);
    client.rows("acme", "CREATE TABLE t (x)");
    assert!(operator.db("pause acme").starts_with("Success: "));
    assert!(operator.db("show acme").lines().any(|line| line == "Paused: yes"));
    assert!(operator.db("resume acme").starts_with("Success: "));
    client.rows("acme", "INSERT INTO t VALUES (1)");
    assert!(operator.db("checkpoint acme").starts_with("Success: "));
    let said = operator.db("backup acme");
    assert!(said.starts_with("Success: ") && said.contains("\nBackup: "), "{said}");
    assert!(operator.db("evict acme").starts_with("Success: "));
    assert!(operator.db("show acme").lines().any(|line| line == "State: closed"));
    assert_eq!(client.rows("acme", "SELECT x FROM t"), serde_json::json!([[1]]));
}

#[test]
fn top_shows_clients_databases_and_who_is_idle() {
    let Some(python) = Python::find() else { return };
    let operator = start(&[]);
    let mut client = Client::connect(&python, &operator.server);
    client.rows("acme", "CREATE TABLE t (x)");
    let shown = operator.prints("rowhouse top 9090 --once");
    for part in
        ["clients    1 of 100, 99 free  [#...", "] 1.0%", "busiest databases", "longest idle connections"]
    {
        assert!(shown.contains(part), "no {part} in\n{shown}");
    }
    assert!(shown.lines().any(|line| line.starts_with("acme ") && line.contains("open")), "{shown}");
    assert!(shown.lines().any(|line| line.contains("sqlite_rx") && line.contains(" idle ")), "{shown}");
    let said =
        operator.prints("set +o pipefail\nrowhouse top 9090 --interval 0.1 | grep -m 2 '^rowhouse at '");
    assert_eq!(said.lines().count(), 2, "{said}");
}
