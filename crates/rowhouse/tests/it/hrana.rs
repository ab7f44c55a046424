//! Hrana over HTTP: what streams keep, for whom, and for how long.
use crate::support::{Served, serve};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;

/// The requests of a pipeline that run these statements.
fn execute(statements: &[&str]) -> Vec<Value> {
    statements.iter().map(|sql| json!({ "type": "execute", "stmt": { "sql": sql } })).collect()
}

impl Served {
    /// Sends a pipeline; the status and the answer.
    async fn pipeline(&self, database: &str, baton: Option<&str>, requests: &[Value]) -> (u16, Value) {
        let body = json!({ "baton": baton, "requests": requests }).to_string();
        let answer = self.post(&format!("/db/{database}/v3/pipeline"), "", body).await;
        let body = serde_json::from_str(&answer.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", answer.status, answer.body));
        (answer.status, body)
    }

    /// Runs statements on a stream; its baton.
    async fn on(&self, database: &str, baton: Option<&str>, statements: &[&str]) -> Option<String> {
        let (status, body) = self.pipeline(database, baton, &execute(statements)).await;
        let results = body["results"].as_array().unwrap_or_else(|| panic!("{status} {body}"));
        assert!(results.iter().all(|result| result["type"] == "ok"), "{body}");
        body["baton"].as_str().map(ToOwned::to_owned)
    }

    /// The first value of a statement that runs by itself.
    async fn value(&self, database: &str, sql: &str) -> Value {
        let (_, body) = self.pipeline(database, None, &execute(&[sql])).await;
        body["results"][0]["response"]["result"]["rows"][0][0]["value"].clone()
    }
}

#[tokio::test]
async fn what_leaves_nothing_behind_keeps_no_stream() {
    let served = serve(&[]).await;
    assert_eq!(served.on("a", None, &["CREATE TABLE t (n)", "INSERT INTO t VALUES (1)"]).await, None);
    assert_eq!(served.on("a", None, &["BEGIN", "COMMIT"]).await, None);
    let store = json!({ "type": "store_sql", "sql_id": 1, "sql": "SELECT 7" });
    let (_, stored) = served.pipeline("a", None, &[store]).await;
    let stored_run = json!({ "type": "execute", "stmt": { "sql_id": 1 } });
    let (_, ran) = served.pipeline("a", stored["baton"].as_str(), &[stored_run]).await;
    assert_eq!(ran["results"][0]["response"]["result"]["rows"][0][0]["value"], "7");
    let close = json!({ "type": "close_sql", "sql_id": 1 });
    let (_, closed) = served.pipeline("a", ran["baton"].as_str(), &[close]).await;
    assert_eq!(closed["baton"], Value::Null);
}

#[tokio::test]
async fn a_baton_is_good_for_the_next_request_to_its_database_and_no_other() {
    let served = serve(&[]).await;
    served.on("a", None, &["CREATE TABLE t (n)"]).await;
    let first = served.on("a", None, &["BEGIN", "INSERT INTO t VALUES (1)"]).await.expect("a transaction");
    let (status, refused) = served.pipeline("b", Some(&first), &execute(&["SELECT 1"])).await;
    assert_eq!((status, &refused["code"]), (400, &json!("STREAM_EXPIRED")));
    let second = served.on("a", Some(&first), &["INSERT INTO t VALUES (2)"]).await.expect("it goes on");
    assert_ne!(first, second);
    for stale in [first.as_str(), "", "AAAA", &second[1..]] {
        let (status, refused) = served.pipeline("a", Some(stale), &execute(&["COMMIT"])).await;
        assert_eq!((status, &refused["code"]), (400, &json!("STREAM_EXPIRED")), "{stale}");
    }
    assert_eq!(served.value("a", "SELECT count(*) FROM t").await, "0");
    assert_eq!(served.on("a", Some(&second), &["COMMIT"]).await, None);
    assert_eq!(served.value("a", "SELECT count(*) FROM t").await, "2");
}

#[tokio::test]
async fn an_idle_stream_is_rolled_back_and_its_next_use_is_told_so() {
    let served = serve(&[("stream_idle_timeout", "50ms")]).await;
    served.on("a", None, &["CREATE TABLE t (n)"]).await;
    let begun = served.on("a", None, &["BEGIN IMMEDIATE", "INSERT INTO t VALUES (1)"]).await;
    // It waits for its turn to write, which is when the other has ended.
    served.on("a", None, &["INSERT INTO t VALUES (2)"]).await;
    let (status, refused) = served.pipeline("a", begun.as_deref(), &execute(&["COMMIT"])).await;
    assert_eq!((status, &refused["code"]), (400, &json!("STREAM_EXPIRED")));
    assert_eq!(served.value("a", "SELECT group_concat(n) FROM t").await, "2");
}

#[tokio::test]
async fn the_database_of_a_transaction_is_not_evicted() {
    let served = serve(&[("max_connections", "1"), ("room_timeout", "50ms")]).await;
    served.on("a", None, &["CREATE TABLE t (n)"]).await;
    let begun = served.on("a", None, &["BEGIN", "INSERT INTO t VALUES (1)"]).await;
    let (status, refused) = served.pipeline("b", None, &execute(&["SELECT 1"])).await;
    assert_eq!((status, &refused["code"]), (503, &json!("DATABASE_LIMIT_REACHED")));
    served.on("a", begun.as_deref(), &["COMMIT"]).await;
    assert_eq!(served.value("b", "SELECT 1").await, "1");
    assert_eq!(served.value("a", "SELECT count(*) FROM t").await, "1");
}

#[tokio::test]
async fn a_batch_goes_by_its_conditions_and_errors_have_sqlite_s_names() {
    let served = serve(&[]).await;
    served.on("a", None, &["CREATE TABLE t (n UNIQUE)", "INSERT INTO t VALUES (1)"]).await;
    let step = |sql: &str, condition: Value| json!({ "stmt": { "sql": sql }, "condition": condition });
    let steps = json!([
        step("INSERT INTO t VALUES (1)", Value::Null),
        step("SELECT 'failed'", json!({ "type": "error", "step": 0 })),
        step("SELECT 'not run'", json!({ "type": "ok", "step": 0 })),
        step("BEGIN", json!({ "type": "is_autocommit" })),
        step("SELECT 'not run'", json!({ "type": "is_autocommit" })),
        step("SELECT 'skipped'", json!({ "type": "error", "step": 2 })),
    ]);
    let requests = [json!({ "type": "batch", "batch": { "steps": steps } }), json!({ "type": "close" })];
    let (_, body) = served.pipeline("a", None, &requests).await;
    let result = &body["results"][0]["response"]["result"];
    let error = &result["step_errors"][0];
    assert_eq!(
        (&error["code"], &error["extended_code"], &error["message"]),
        (
            &json!("SQLITE_CONSTRAINT"),
            &json!("SQLITE_CONSTRAINT_UNIQUE"),
            &json!("UNIQUE constraint failed: t.n")
        )
    );
    let ran: Vec<bool> =
        result["step_results"].as_array().expect("results").iter().map(Value::is_object).collect();
    assert_eq!(ran, [false, true, false, true, false, true]);
    for (sql, code) in [
        ("SELEC", "SQLITE_ERROR"),
        ("SELECT 1; SELECT 2", "SQL_MANY_STATEMENTS"),
        ("SELECT ?", "ARGS_INVALID"),
        ("ATTACH 'x' AS y", "SQLITE_AUTH"),
    ] {
        let (_, body) = served.pipeline("a", None, &execute(&[sql])).await;
        assert_eq!(body["results"][0]["error"]["code"], code, "{sql}");
    }
}

#[tokio::test]
async fn a_cursor_is_streamed_whatever_results_kept_in_memory_may_have() {
    let served = serve(&[("max_result_rows", "10"), ("max_result_bytes", "1000")]).await;
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200000) SELECT i FROM n";
    let body = json!({ "batch": { "steps": [{ "stmt": { "sql": sql } }] } }).to_string();
    let answer = served.post("/db/a/v3/cursor", "", body).await;
    assert!(answer.is_whole);
    let mut lines = answer.body.lines();
    assert_eq!(lines.next(), Some(r#"{"baton":null,"base_url":null}"#));
    assert_eq!(lines.next().map(|line| line.contains("step_begin")), Some(true));
    assert_eq!(lines.clone().filter(|line| line.contains(r#""type":"row""#)).count(), 200_000);
    assert!(lines.next_back().is_some_and(|line| line.contains("step_end")));
    let (_, body) = served.pipeline("a", None, &execute(&[sql])).await;
    assert_eq!(body["results"][0]["error"]["code"], "RESPONSE_TOO_LARGE");
}

#[tokio::test]
async fn a_cursor_that_is_left_early_keeps_its_transaction() {
    let served = serve(&[]).await;
    served.on("a", None, &["CREATE TABLE t (n)"]).await;
    let rows =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10000000) SELECT i FROM n";
    let steps = json!([
        { "stmt": { "sql": "BEGIN" } },
        { "stmt": { "sql": "INSERT INTO t VALUES (1)" } },
        { "stmt": { "sql": rows } },
    ]);
    let body = json!({ "batch": { "steps": steps } }).to_string();
    let address = served.address;
    let baton = tokio::task::spawn_blocking(move || {
        let mut socket = TcpStream::connect(address).expect("it listens");
        let head = "POST /db/a/v3/cursor HTTP/1.1\r\nHost: localhost\r\n";
        write!(socket, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).expect("it reads");
        let mut read = vec![0; 4096];
        let mut text = String::new();
        while !text.contains("step_begin") {
            let bytes = socket.read(&mut read).expect("an answer");
            assert_ne!(bytes, 0, "{text}");
            text.push_str(&String::from_utf8_lossy(&read[..bytes]));
        }
        let start = text.find("{\"baton\":\"").expect("a baton") + 10;
        text[start..].split('"').next().expect("a baton").to_owned()
    })
    .await
    .expect("it does not panic");
    // The server finds out when it writes; until then the stream is busy, and its baton good.
    let ended = loop {
        let (status, body) = served.pipeline("a", Some(&baton), &execute(&["COMMIT"])).await;
        if status == 200 {
            break body;
        }
        assert_eq!(body["code"], "STREAM_EXPIRED");
    };
    assert_eq!(ended["results"][0]["type"], "ok", "{ended}");
    assert_eq!(served.value("a", "SELECT count(*) FROM t").await, "1");
}

#[tokio::test]
async fn no_half_of_a_transaction_is_applied_that_a_limit_rolled_back() {
    let served = serve(&[("statement_timeout", "200ms")]).await;
    served.on("a", None, &["CREATE TABLE t (n)"]).await;
    let endless =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) INSERT INTO t SELECT 2 FROM n";
    let statements =
        ["BEGIN", "INSERT INTO t VALUES (1)", endless, "INSERT INTO t VALUES (3)", "COMMIT", "SELECT 1"];
    let (status, body) = served.pipeline("a", None, &execute(&statements)).await;
    let codes: Vec<&str> = body["results"]
        .as_array()
        .unwrap_or_else(|| panic!("{status} {body}"))
        .iter()
        .map(|result| result["error"]["code"].as_str().unwrap_or("ok"))
        .collect();
    let over = "STREAM_EXPIRED";
    assert_eq!(codes, ["ok", "ok", "STATEMENT_TIMEOUT", over, over, over], "{body}");
    assert_eq!(body["baton"], Value::Null);
    // The transaction is opened by one request with the statement that fails.
    let sequence = json!({ "type": "sequence", "sql": format!("BEGIN; {endless}") });
    let mut requests = vec![sequence];
    requests.extend(execute(&["INSERT INTO t VALUES (3)", "COMMIT"]));
    let (_, body) = served.pipeline("a", None, &requests).await;
    assert_eq!(body["results"][1]["error"]["code"], over, "{body}");
    assert_eq!(served.value("a", "SELECT count(*) FROM t").await, "0");
}

#[tokio::test]
async fn an_answer_has_no_more_bytes_than_a_result_may_whatever_it_is_made_of() {
    const MOST: usize = 20_000;
    let served = serve(&[("max_result_bytes", &MOST.to_string())]).await;
    let ask = |requests: Vec<Value>| {
        let body = json!({ "baton": null, "requests": requests }).to_string();
        served.post("/db/a/v3/pipeline", "", body)
    };
    let long = "x".repeat(1000);
    let columns = format!("SELECT 1 AS \"{long}\" WHERE 0");
    let steps: Vec<Value> = (0..1000).map(|_| json!({ "stmt": { "sql": columns } })).collect();
    let batch = ask(vec![json!({ "type": "batch", "batch": { "steps": steps } })]).await;
    let described: String = (0..30).map(|n| format!(", 1 AS \"{long}{n}\"")).collect();
    let describe = ask(vec![json!({ "type": "describe", "sql": format!("SELECT 1{described}") })]).await;
    let failing = ask(execute(&vec![format!("SELECT {long}").as_str(); 100])).await;
    for answer in [batch, describe, failing] {
        assert!(answer.body.len() < 2 * MOST, "{}", answer.body.len());
        assert!(answer.body.contains("RESPONSE_TOO_LARGE"), "{} {}", answer.status, answer.body);
    }
    let name = format!("SELECT 1 AS \"{}\"", "é".repeat(4000));
    let (_, body) = served.pipeline("a", None, &execute(&[&name])).await;
    let told = body["results"][0]["response"]["result"]["cols"][0]["name"].as_str().map(str::len);
    assert_eq!(told, Some(4096), "{body}");
}

#[tokio::test]
async fn version_1_answers_with_one_result_and_leaves_nothing() {
    let served = serve(&[]).await;
    let ask = |path: &'static str, body: Value| served.post(path, "", body.to_string());
    let answer = ask("/db/a/v1/execute", json!({ "stmt": { "sql": "CREATE TABLE t (n)" } })).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let steps = json!([{ "stmt": { "sql": "BEGIN" } }, { "stmt": { "sql": "INSERT INTO t VALUES (1)" } }]);
    let answer = ask("/db/a/v1/batch", json!({ "batch": { "steps": steps } })).await;
    let body: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(body["result"]["step_results"][1]["affected_row_count"], 1);
    assert_eq!(served.value("a", "SELECT count(*) FROM t").await, "0");
    let answer = ask("/db/a/v1/execute", json!({ "stmt": { "sql": "SELECT x" } })).await;
    let body: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!((answer.status, &body["code"]), (400, &json!("SQLITE_ERROR")));
    assert!(answer.head.contains("content-type: application/json\r\n"), "{}", answer.head);
}
