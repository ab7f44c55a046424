//! Plain SQL over HTTP, as somebody without a driver uses it.
use crate::support::{Served, serve};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long an answer may take on a machine with much to do.
const PATIENCE: Duration = Duration::from_secs(120);

impl Served {
    async fn query(&self, sql: &str) -> Value {
        let answer = self.post("/db/shop/query", "", json!({ "sql": sql }).to_string()).await;
        serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{sql}: {error}: {}", answer.body))
    }

    async fn error(&self, sql: &str) -> (u16, String) {
        let answer = self.post("/db/shop/query", "", json!({ "sql": sql }).to_string()).await;
        let body: Value = serde_json::from_str(&answer.body).expect("JSON");
        (answer.status, body["error"]["code"].as_str().expect("a code").to_owned())
    }
}

const COUNT: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200000)";

#[tokio::test]
async fn a_statement_is_answered_with_columns_rows_and_counts() {
    let served = serve(&[]).await;
    served.query("CREATE TABLE t (id INTEGER PRIMARY KEY, a)").await;
    let body =
        r#"{"sql": "INSERT INTO t (id, a) VALUES (:id, @a)", "args": {"id": 5, "@a": {"base64": "AP8"}}}"#;
    let answer = served.post("/db/shop/query", "Content-Type: application/json\r\n", body).await;
    let expected = "{\"columns\":[],\"rows\":[],\"rows_affected\":1,\"last_insert_id\":5}\n";
    assert_eq!(answer.body, expected);
    assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    let rows = served.query("SELECT id, a, 9007199254740993 AS big, 9e999 AS inf FROM t").await;
    let expected = json!({
        "columns": ["id", "a", "big", "inf"],
        "rows": [[5, {"base64": "AP8"}, "9007199254740993", "Infinity"]],
        "rows_affected": 0, "last_insert_id": null,
    });
    assert_eq!(rows, expected);
    let changed = served.query("UPDATE t SET a = 1").await;
    assert_eq!((&changed["rows_affected"], &changed["last_insert_id"]), (&json!(1), &Value::Null));
    let returned = served.query("INSERT INTO t (a) VALUES (2), (3) RETURNING id").await;
    assert_eq!(returned["rows"], json!([[6], [7]]));
    assert_eq!((&returned["rows_affected"], &returned["last_insert_id"]), (&json!(2), &json!(7)));
    served.running.shut_down().await.expect("nothing is in flight");
}

#[tokio::test]
async fn the_default_database_is_asked_without_a_name_and_sql_may_be_the_body() {
    let served = serve(&[]).await;
    let answer = served
        .post(
            "/query",
            "Content-Type: application/sql\r\nAccept: text/csv\r\n",
            "SELECT 1 AS a, '' AS b, NULL AS c",
        )
        .await;
    assert_eq!(answer.body, "a,b,c\r\n1,\"\",\r\n");
    assert!(answer.head.contains("content-type: text/csv; charset=utf-8; header=present"), "{}", answer.head);
    served.running.shut_down().await.expect("nothing is in flight");
}

#[tokio::test]
async fn what_is_wrong_has_a_status_a_code_and_a_hint() {
    let served = serve(&[]).await;
    served.query("CREATE TABLE t (a UNIQUE)").await;
    served.query("INSERT INTO t VALUES (1)").await;
    let cases = [
        ("SELEC 1", 400, "sql_error"),
        ("INSERT INTO t VALUES (1)", 400, "constraint_violation"),
        ("SELECT ?", 400, "sql_misuse"),
        ("SELECT 1; SELECT 2", 400, "sql_misuse"),
        ("ATTACH 'x' AS y", 403, "not_authorized"),
        ("BEGIN IMMEDIATE", 400, "sql_misuse"),
    ];
    for (sql, status, code) in cases {
        assert_eq!(served.error(sql).await, (status, code.to_owned()), "{sql}");
    }
    // The transaction above is gone: nobody waits for it.
    served.query("INSERT INTO t VALUES (2)").await;
    let answer = served.post("/db/shop/query", "", r#"{"sql": "SELECT 1", "parameters": []}"#).await;
    let body: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!((answer.status, &body["error"]["code"]), (400, &json!("malformed_request")));
    assert!(body["error"]["hint"].as_str().is_some_and(|hint| hint.contains("args")), "{body}");
    let request = b"GET /db/shop/query HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_vec();
    assert_eq!(served.send(request).await.status, 405);
    served.running.shut_down().await.expect("nothing is in flight");
}

#[tokio::test]
async fn results_of_any_length_are_streamed_in_every_form() {
    // Less than the result: the bound is one of results that are one message.
    let served = serve(&[("max_result_rows", "1000"), ("max_result_bytes", "1000")]).await;
    let body = json!({ "sql": format!("{COUNT} SELECT i, 'row' AS t FROM n") }).to_string();
    let whole = served.post("/db/shop/query", "", &body).await;
    assert!(whole.is_whole && whole.head.contains("chunked"), "{}", whole.head);
    let whole: Value = serde_json::from_str(&whole.body).expect("JSON");
    assert_eq!(whole["rows"].as_array().map(Vec::len), Some(200_000));
    assert_eq!(whole["rows"][199_999], json!([200_000, "row"]));
    let lines = served.post("/db/shop/query", "Accept: application/x-ndjson\r\n", &body).await;
    assert!(lines.is_whole && lines.body.ends_with("{\"i\":200000,\"t\":\"row\"}\n"));
    assert_eq!(lines.body.lines().count(), 200_000);
    let csv = served.post("/db/shop/query", "Accept: text/csv\r\n", &body).await;
    assert!(
        csv.is_whole && csv.body.starts_with("i,t\r\n1,row\r\n") && csv.body.ends_with("\r\n200000,row\r\n")
    );
    served.running.shut_down().await.expect("nothing is in flight");
}

#[tokio::test]
async fn what_fails_midway_says_so_and_is_not_taken_for_whole() {
    let served = serve(&[]).await;
    let sql = format!(
        "{COUNT} SELECT abs(CASE i WHEN 199999 THEN -9223372036854775807 - 1 ELSE i END) AS i FROM n"
    );
    let body = json!({ "sql": sql }).to_string();
    for accept in ["application/json", "application/x-ndjson", "text/csv"] {
        let answer = served.post("/db/shop/query", &format!("Accept: {accept}\r\n"), &body).await;
        assert_eq!(answer.status, 200);
        assert!(!answer.is_whole, "{accept}: it came to an end");
        let says = answer.body.contains(r#""error":{"code":"sql_error","message":"integer overflow""#);
        assert_eq!(says, accept != "text/csv", "{accept}: …{}", &answer.body[answer.body.len() - 200..]);
    }
    served.running.shut_down().await.expect("nothing is in flight");
}

#[tokio::test]
async fn who_leaves_ends_the_statement() {
    // One connection: whoever is next waits for it.
    let served = serve(&[("pool_size", "1"), ("statement_timeout", "1day")]).await;
    served.query("CREATE TABLE t (a)").await;
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
    let body = json!({ "sql": endless }).to_string();
    let request = format!(
        "POST /db/shop/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let address = served.address;
    let leaves = tokio::task::spawn_blocking(move || {
        let mut socket = TcpStream::connect(address).expect("it listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket.write_all(request.as_bytes()).expect("it reads");
        // Its rows come, so it runs.
        socket.read_exact(&mut [0; 100_000]).expect("rows");
    });
    leaves.await.expect("it does not panic");
    assert_eq!(served.query("SELECT 1").await["rows"], json!([[1]]));
    served.running.shut_down().await.expect("nothing is in flight");
}
