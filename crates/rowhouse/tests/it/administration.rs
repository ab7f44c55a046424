//! Databases administered while real clients use them.
use crate::support::{Client, Python};
use futures::StreamExt;
use rowhouse::{Running, Server};
use rowhouse_engine::{EngineError, Options, SqlPolicy};
use rowhouse_gateway::{Cause, Gateway, Interface, LimitsPatch, Patch, Removal};
use rowhouse_types::{DatabaseName, Request, Target};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::time::Duration;
use tempfile::TempDir;

fn cause() -> Cause {
    Cause::new(Interface::Library, "a test")
}

fn name() -> DatabaseName {
    "tenant".parse().expect("valid")
}

async fn start(home: &TempDir) -> Running {
    start_with(home, "full").await
}

async fn start_with(home: &TempDir, synchronous: &str) -> Running {
    let server = Server::builder()
        .bind_address("tcp://127.0.0.1:0")
        .data_directory(home.path())
        .auto_connect(true)
        .auto_create(true)
        .option("sql_policy", "standard")
        .option("synchronous", synchronous)
        .option("management", "false");
    server.build().expect("valid").start().await.expect("starts")
}

fn client(python: &Python, running: &Running) -> Client {
    Client::run(python, "ask.py", &[&format!("tcp://{}", running.listeners()[0].address)])
}

async fn set(gateway: &Gateway, patch: LimitsPatch) {
    gateway.set_limits(&Target::Named(name()), &patch, false, &cause()).await.expect("changes");
}

/// What a request that must fail is told: its code and its hint.
fn refusal(reply: &Value) -> (&str, &str) {
    let error = &reply["error"];
    (error["code"].as_str().expect("it failed"), error["hint"].as_str().expect("a hint"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_limit_holds_for_the_next_request_of_a_client_that_is_there() {
    let Some(python) = Python::find() else { return };
    let home = TempDir::new().expect("a directory");
    let running = start(&home).await;
    let gateway = running.gateway();
    let mut client = client(&python, &running);
    const ROWS: &str =
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 20) SELECT x FROM c";
    client.rows("tenant", ROWS);

    set(gateway, LimitsPatch { max_result_rows: Patch::Set(Some(10)), ..LimitsPatch::default() }).await;
    let reply = client.ask("tenant", ROWS);
    assert_eq!(reply["error"]["message"], "sqlite3.DataError: result has more than 10 rows");
    client.rows("", ROWS);
    let rows = LimitsPatch { max_result_rows: Patch::Default, ..LimitsPatch::default() };
    set(gateway, LimitsPatch { max_result_bytes: Patch::Set(Some(64)), ..rows }).await;
    let reply = client.ask("tenant", ROWS);
    assert_eq!(reply["error"]["message"], "sqlite3.DataError: result has more than 64 bytes");

    let bytes = LimitsPatch { max_result_bytes: Patch::Default, ..LimitsPatch::default() };
    let patience = Patch::Set(Duration::from_millis(50));
    set(gateway, LimitsPatch { statement_timeout: patience, ..bytes }).await;
    let reply =
        client.ask("tenant", &ROWS.replace("20", "-1").replace("SELECT x FROM c", "SELECT max(x) FROM c"));
    let (code, hint) = refusal(&reply);
    assert_eq!(code, "statement_timeout");
    assert!(hint.ends_with("ask the operator to raise statement_timeout (now 0.05 s)"), "{hint}");

    set(gateway, LimitsPatch { statement_timeout: Patch::Default, ..LimitsPatch::default() }).await;
    client.rows("tenant", "CREATE TABLE t (x)");
    client.rows("tenant", "BEGIN");
    client.rows("tenant", "INSERT INTO t VALUES (1)");
    // It is idle already, and the limit is lowered: it is rolled back without being asked.
    set(gateway, LimitsPatch { idle_transaction_timeout: patience, ..LimitsPatch::default() }).await;
    gateway.pause(&Target::Named(name()), Duration::from_secs(20), &cause()).await.expect("it has ended");
    gateway.resume(&Target::Named(name()), &cause());
    let reply = client.ask("tenant", "SELECT 1");
    let (code, hint) = refusal(&reply);
    assert_eq!(code, "transaction_timeout");
    assert_eq!(hint, "begin again; the operator may raise idle_transaction_timeout (now 0.05 s)");
    assert_eq!(client.rows("tenant", "SELECT count(*) FROM t"), json!([[0]]));

    let rate = Patch::Set(NonZeroU32::new(1));
    let patch =
        LimitsPatch { requests_per_second: rate, statement_timeout: patience, ..LimitsPatch::default() };
    set(gateway, patch).await;
    client.rows("tenant", "SELECT 1");
    let reply = client.ask("tenant", "SELECT 1");
    let (code, hint) = refusal(&reply);
    assert_eq!(code, "rate_limited");
    assert!(hint.ends_with("ask the operator to raise requests_per_second (now 1)"), "{hint}");
    drop(client);
    running.shut_down().await.expect("nothing is in flight");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_its_quota_a_database_is_read_and_emptied_until_it_is_raised() {
    let Some(python) = Python::find() else { return };
    let home = TempDir::new().expect("a directory");
    let running = start(&home).await;
    let mut client = client(&python, &running);
    client.rows("tenant", "CREATE TABLE t (x)");
    let quota = |bytes| LimitsPatch { max_database_bytes: Patch::Set(Some(bytes)), ..LimitsPatch::default() };
    set(running.gateway(), quota(256 << 10)).await;
    let fill = "INSERT INTO t VALUES (zeroblob(10000))";
    let refused =
        std::iter::repeat_with(|| client.ask("tenant", fill)).find(|reply| reply["error"] != Value::Null);
    let refused = refused.expect("it ends");
    assert_eq!(refused["error"]["message"], "sqlite3.OperationalError: database or disk is full");
    let (code, hint) = refusal(&refused);
    assert_eq!(code, "disk_full");
    assert!(hint.starts_with("max_database_bytes is 262144: delete rows"), "{hint}");
    let report = running.gateway().inspect(&Target::Named(name())).await.expect("there");
    assert!(report.open.expect("open").frozen);
    assert_ne!(client.rows("tenant", "SELECT count(*) FROM t"), json!([[0]]));
    assert_eq!(client.ask("tenant", "UPDATE t SET x = 1")["error"]["code"], "disk_full");
    client.rows("", "CREATE TABLE t (x)");
    client.rows("tenant", "DELETE FROM t");
    client.rows("tenant", fill);
    set(running.gateway(), quota(64 << 10)).await;
    assert!(std::iter::repeat_with(|| client.ask("tenant", fill)).any(|reply| reply["error"] != Value::Null));
    set(running.gateway(), quota(1 << 20)).await;
    client.rows("tenant", fill);
    drop(client);
    running.shut_down().await.expect("nothing is in flight");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_drop_ends_what_a_client_runs_and_what_it_holds() {
    let Some(python) = Python::find() else { return };
    let home = TempDir::new().expect("a directory");
    let running = start(&home).await;
    let (mut idle, mut busy) = (client(&python, &running), client(&python, &running));
    idle.rows("tenant", "CREATE TABLE t (x)");
    idle.rows("tenant", "BEGIN");
    idle.rows("tenant", "INSERT INTO t VALUES (1)");
    let endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c";
    busy.send(&json!({ "query": endless, "database_name": "tenant" }));
    let gateway = running.gateway();
    let target = Target::Named(name());
    let sessions = async || {
        let report = gateway.inspect(&target).await.expect("there");
        report.open.map_or(0, |open| open.status.active)
    };
    while sessions().await < 2 {
        tokio::task::yield_now().await;
    }
    let removal = Removal { patience: Duration::from_millis(10), force: true };
    gateway.drop_database(&name(), removal, &cause()).await.expect("drops");
    assert_eq!(busy.receive()["error"]["code"], "session_ended");
    assert_eq!(idle.ask("tenant", "COMMIT")["error"]["code"], "session_ended");
    assert_eq!(idle.rows("tenant", "SELECT count(*) FROM sqlite_master"), json!([[0]]), "a new one");
    drop((idle, busy));
    running.shut_down().await.expect("nothing is in flight");
}

/// Runs a statement; whether it succeeded.
async fn run(gateway: &Gateway, sql: &str) -> Result<(), EngineError> {
    let mut session = gateway.connect(&Target::Named(name()), None).await.expect("connects");
    let options = Options {
        deadline: None,
        policy: SqlPolicy::Standard,
        foreign_keys: false,
        max_rows: None,
        max_bytes: None,
    };
    let mut chunks = session.run(Request::execute(sql), options);
    while let Some(chunk) = chunks.next().await {
        chunk?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn s24_a_name_dropped_and_made_again_a_thousand_times_never_shows_an_old_row() {
    let home = TempDir::new().expect("a directory");
    // What is safe on the disk is not what is asked here.
    let running = start_with(&home, "off").await;
    let gateway = running.gateway();
    for n in 0..1_000 {
        // It fails if there is a table left.
        run(gateway, "CREATE TABLE t AS SELECT 1 AS x").await.expect("it is a new one");
        gateway.drop_database(&name(), Removal::default(), &cause()).await.expect("drops");
        if n % 2 == 0 {
            gateway.create(&name(), &cause()).await.expect("nothing is left");
        }
    }
    running.shut_down().await.expect("nothing is in flight");
}
