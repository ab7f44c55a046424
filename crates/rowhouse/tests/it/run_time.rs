//! What changes while the server runs, seen and changed over HTTP.
use crate::support::{Client, Operator, Python, await_line, has};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const URL: &str = "http://localhost:10090";

impl Operator {
    /// The reply to a request with curl.
    fn curl(&self, arguments: &str) -> Value {
        let said = self.prints(&format!("curl -s -H 'Content-Type: application/json' {arguments}"));
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("not JSON: {said}"))
    }

    /// An option: its value, where that is from, and whether it changes.
    fn option(&self, key: &str) -> (Value, String, bool) {
        let config = self.curl(&format!("{URL}/config"));
        let options = config["options"].as_array().expect("an array");
        let found = options.iter().find(|option| option["key"] == key).expect("an option");
        let origin = found["origin"].as_str().expect("words").to_owned();
        (found["value"].clone(), origin, found["changes"].as_bool().expect("a truth"))
    }

    fn log(&self) -> std::path::PathBuf {
        self.home.path().join("stderr.txt")
    }
}

#[test]
fn options_change_over_http_all_or_none_and_are_told_with_where_they_are_from() {
    if !has(&["curl"]) {
        return;
    }
    let Some(python) = Python::find() else { return };
    let operator = Operator::start("rowhouse", "1000", &[]);
    assert_eq!(operator.option("client_limit"), (json!(1000), "from LIMIT".to_owned(), true));
    assert_eq!(operator.option("synchronous"), (json!("full"), "by default".to_owned(), false));
    let patch = |body: Value| operator.curl(&format!("-X PATCH -d '{body}' {URL}/config"));
    let refused = patch(json!({ "max_result_rows": 1, "synchronous": "off" }));
    let needs_restart = "synchronous stays \"full\": to change it, restart the server";
    assert_eq!(refused, json!({ "error": needs_restart, "status": "failed" }));
    let mut client = Client::connect(&python, &operator.server);
    assert_eq!(client.rows("", "VALUES (1), (2)"), json!([[1], [2]]));
    let changed = patch(json!({ "max_result_rows": 1, "client_limit": 300 }));
    assert_eq!(changed["changed"], json!(["client_limit", "max_result_rows"]));
    assert_eq!(client.ask("", "VALUES (1), (2)")["error"]["code"], "result_too_large");
    assert_eq!(operator.limit(), 300);
    assert_eq!(operator.option("client_limit").1, "changed at run time by http");
    patch(json!({ "max_result_rows": null }));
    assert_eq!(client.rows("", "VALUES (1), (2)"), json!([[1], [2]]));
    let history = operator.curl(&format!("{URL}/limit/history"));
    assert_eq!(
        (&history["changes"][0]["source"], &history["changes"][0]["to"]),
        (&json!("http"), &json!(300))
    );
    drop(client);
    operator.server.stop();
}

#[test]
fn the_log_level_changes_over_http() {
    if !has(&["curl"]) {
        return;
    }
    let Some(python) = Python::find() else { return };
    let operator = Operator::start("rowhouse", "10", &["--auto-connect", "--auto-create"]);
    let put =
        |level: &str| operator.curl(&format!("-X PUT -d '{}' {URL}/log-level", json!({ "level": level })));
    assert_eq!(put("a=b=c")["status"], "failed");
    assert_eq!(put("rowhouse=debug")["status"], "success");
    assert_eq!(operator.curl(&format!("{URL}/log-level"))["level"], "rowhouse=debug");
    let mut client = Client::connect(&python, &operator.server);
    client.rows("quiet", "SELECT 1");
    await_line(&operator.log(), "database opened");
    drop(client);
    operator.server.stop();
}

#[test]
fn a_limit_that_follows_its_usage_says_so_in_its_history() {
    if !has(&["curl"]) {
        return;
    }
    let times = ["--autoscale-interval", "100ms", "--autoscale-cooldown", "100ms"];
    let operator = Operator::start("rowhouse", "290", &[&["--autoscale", "true"][..], &times].concat());
    await_line(&operator.log(), "new=100 ");
    let history = operator.curl(&format!("{URL}/limit/history"));
    let changes = history["changes"].as_array().expect("an array");
    let told: Vec<_> =
        changes.iter().rev().map(|change| (change["source"].clone(), change["to"].clone())).collect();
    let expected = [("start", 290), ("autoscale", 190), ("autoscale", 100)];
    assert_eq!(told, expected.map(|(source, to)| (json!(source), json!(to))));
    operator.server.stop();
}

#[test]
fn metrics_have_each_family_and_each_series_once_and_no_name_of_a_database_that_is_closed() {
    if !has(&["curl"]) {
        return;
    }
    let Some(python) = Python::find() else { return };
    let flags = ["--auto-connect", "--auto-create", "--max-connections", "1"];
    let operator = Operator::start("rowhouse", "10", &flags);
    let mut client = Client::connect(&python, &operator.server);
    for name in ["first-tenant", "second-tenant"] {
        client.rows(name, "CREATE TABLE t (x)");
    }
    let metrics = operator.prints(&format!("curl -s {URL}/metrics"));
    for line in [
        "rowhouse_databases_created_total 2",
        "rowhouse_databases_closed_total{reason=\"evicted\"} 1",
        "rowhouse_database_open_seconds_count 2",
    ] {
        assert!(metrics.lines().any(|found| found == line), "no {line} in:\n{metrics}");
    }
    let mut seen = BTreeSet::new();
    for line in metrics.lines().filter(|line| !line.starts_with("# HELP")) {
        let (series, _) = line.rsplit_once(' ').expect("a name and a value");
        assert!(seen.insert(series), "{series} twice");
    }
    assert!(!metrics.contains("first-tenant"), "{metrics}");
    drop(client);
    operator.server.stop();
}
