//! What a session leaves behind, and what becomes of what it runs.
use crate::support::{Cluster, needs_postgres};
use futures::{FutureExt, StreamExt};
use rowhouse_engine::conformance::{Harness, failure, integer, query, unlimited, within};
use rowhouse_engine::{Connection, EngineError, SessionState};
use rowhouse_types::{Request, Value};

const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 10) a, LATERAL (SELECT pg_sleep(1000)) b";

async fn text(connection: &mut dyn Connection, sql: &str) -> String {
    match query(connection, sql).await.as_slice() {
        [row] => match row.as_slice() {
            [Value::Text(text)] => text.clone(),
            other => panic!("{sql}: {other:?}"),
        },
        other => panic!("{sql}: {other:?}"),
    }
}

#[tokio::test]
async fn nothing_of_a_session_reaches_the_next() {
    needs_postgres!();
    let cluster = Cluster::open();
    let database = cluster.open_new("tenant").await;
    let mut one = database.connect().await.expect("connects");
    let path = text(&mut *one, "SHOW search_path").await;
    for left in [
        "SET search_path TO nowhere",
        "SET SESSION statement_timeout TO '1h'",
        "CREATE TEMP TABLE secret AS SELECT 1 AS n",
        "SELECT 1 AS n INTO TEMP secret",
        "PREPARE secret AS SELECT 1",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_catalog.set_config('search_path', 'nowhere', false)",
        "LISTEN secret",
    ] {
        query(&mut *one, left).await;
        assert_eq!(one.state(), SessionState::Stateful, "{left}");
        one.reset().await.expect("resets");
        assert_eq!(one.state(), SessionState::Clean, "{left}");
        assert_eq!(text(&mut *one, "SHOW search_path").await, path);
        assert_eq!(text(&mut *one, "SHOW statement_timeout").await, "0");
        assert_eq!(
            integer(&mut *one, "SELECT count(*) FROM pg_prepared_statements WHERE name <> ''").await,
            0
        );
        assert_eq!(
            integer(
                &mut *one,
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
            )
            .await,
            0
        );
        assert_eq!(integer(&mut *one, "SELECT count(*) FROM pg_listening_channels()").await, 0);
        failure(&mut *one, "SELECT n FROM secret", unlimited()).await;
    }
    drop(one);
    cluster.done().await;
}

/// What nobody can see by looking at the statement: the connection is given back as it is, and whoever
/// uses it next finds nothing.
#[tokio::test]
async fn what_functions_leave_is_gone_before_the_next_request() {
    needs_postgres!();
    let cluster = Cluster::open();
    let mut one = cluster.connect_new("tenant").await;
    let path = text(&mut *one, "SHOW search_path").await;
    let body = "PERFORM set_config(''search_path'', ''nowhere'', false); PERFORM pg_advisory_lock(7); \
                CREATE TEMP TABLE secret (n int); RETURN 1;";
    let make = format!("CREATE FUNCTION sly() RETURNS int LANGUAGE plpgsql AS 'BEGIN {body} END'");
    query(&mut *one, &make).await;
    for sly in ["SELECT sly()", "SELECT public . \"sly\" ()", "DO 'BEGIN PERFORM sly(); END'"] {
        query(&mut *one, sly).await;
        assert_eq!(one.state(), SessionState::Clean, "{sly}");
        assert_eq!(text(&mut *one, "SHOW search_path").await, path, "{sly}");
        assert_eq!(
            integer(
                &mut *one,
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
            )
            .await,
            0
        );
        failure(&mut *one, "SELECT n FROM secret", unlimited()).await;
    }
    // A transaction is one borrower's: within it everything stays.
    query(&mut *one, "BEGIN").await;
    query(&mut *one, "SELECT sly()").await;
    assert_eq!(text(&mut *one, "SHOW search_path").await, "nowhere");
    query(&mut *one, "ROLLBACK").await;
    drop(one);
    cluster.done().await;
}

/// Waits until the server runs as many statements in this database.
async fn until_active(cluster: &Cluster, name: &str, count: u32) {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND state = 'active'",
        cluster.physical(name)
    );
    for _ in 0..2_000 {
        let (sql, found) = (sql.clone(), tokio::task::spawn_blocking);
        if found(move || crate::support::psql(&sql)).await.expect("runs").expect("tells") == count.to_string()
        {
            return;
        }
    }
    panic!("there are never {count} statements");
}

#[tokio::test]
async fn a_statement_that_nobody_waits_for_ends_on_the_server() {
    needs_postgres!();
    let cluster = Cluster::open();
    let mut one = cluster.connect_new("tenant").await;
    let mut rows = one.run(Request::execute(ENDLESS), unlimited());
    assert!(rows.next().now_or_never().is_none());
    until_active(&cluster, "tenant", 1).await;
    drop(rows);
    until_active(&cluster, "tenant", 0).await;
    assert_eq!(integer(&mut *one, "SELECT 1").await, 1);
    // So it does when the connection goes with it.
    let mut rows = one.run(Request::execute(ENDLESS), unlimited());
    assert!(rows.next().now_or_never().is_none());
    until_active(&cluster, "tenant", 1).await;
    drop(rows);
    drop(one);
    until_active(&cluster, "tenant", 0).await;
    cluster.done().await;
}

/// A cancellation that comes late must not hit what follows.
#[tokio::test]
async fn a_cancellation_reaches_the_statement_it_was_meant_for() {
    needs_postgres!();
    let cluster = Cluster::open();
    let mut one = cluster.connect_new("tenant").await;
    for n in 0..50 {
        drop(one.run(Request::execute("SELECT pg_sleep(0.001)"), unlimited()));
        assert_eq!(integer(&mut *one, &format!("SELECT {n} FROM pg_sleep(0.002)")).await, n);
    }
    drop(one);
    cluster.done().await;
}

/// Has the server end the session.
async fn end(cluster: &Cluster, connection: &mut dyn Connection) {
    let process = integer(connection, "SELECT pg_backend_pid()").await;
    cluster.psql(&format!("SELECT pg_terminate_backend({process}, 5000)"));
}

/// Nothing of it can be missed, so nobody is told.
#[tokio::test]
async fn a_session_that_held_nothing_is_begun_again() {
    needs_postgres!();
    for encrypted in [false, true] {
        let cluster = Cluster::with(|config| {
            if encrypted {
                config.servers[0].admin = crate::transport::encrypted();
            }
        });
        let mut one = cluster.connect_new("tenant").await;
        query(&mut *one, "CREATE TABLE t (n int)").await;
        for n in 1..5 {
            end(&cluster, &mut *one).await;
            query(&mut *one, "INSERT INTO t VALUES (1)").await;
            assert_eq!(one.state(), SessionState::Clean);
            end(&cluster, &mut *one).await;
            assert_eq!(
                one.describe("SELECT n FROM t", unlimited()).await.expect("described").columns.len(),
                1
            );
            assert_eq!(integer(&mut *one, "SELECT count(*) FROM t").await, n);
        }
        query(&mut *one, "CREATE TEMP TABLE held (n int)").await;
        end(&cluster, &mut *one).await;
        let error = failure(&mut *one, "SELECT 1", within(10_000)).await;
        assert!(matches!(error, EngineError::Lost), "what it held is missed: {error:?}");
        drop(one);
        cluster.done().await;
    }
}

#[tokio::test]
async fn a_session_that_the_server_ends_is_lost_and_another_is_not() {
    needs_postgres!();
    let cluster = Cluster::open();
    let database = cluster.open_new("tenant").await;
    let mut one = database.connect().await.expect("connects");
    let mut two = database.connect().await.expect("connects");
    query(&mut *one, "BEGIN").await;
    end(&cluster, &mut *one).await;
    let error = failure(&mut *one, "SELECT 1", within(10_000)).await;
    assert!(matches!(error, EngineError::Lost), "{error:?}");
    assert_ne!(one.state(), SessionState::Clean);
    assert!(matches!(one.ping().await, Err(EngineError::Lost)));
    assert!(matches!(one.reset().await, Err(EngineError::Lost)));
    assert_eq!(integer(&mut *two, "SELECT 1").await, 1);
    drop((one, two));
    cluster.done().await;
}

#[tokio::test]
async fn a_failed_transaction_is_one_until_it_is_ended() {
    needs_postgres!();
    let cluster = Cluster::open();
    let mut one = cluster.connect_new("tenant").await;
    query(&mut *one, "CREATE TABLE t (n int)").await;
    query(&mut *one, "BEGIN").await;
    query(&mut *one, "INSERT INTO t VALUES (1)").await;
    one.describe("SELECT missing", unlimited()).await.expect_err("cannot be described");
    query(&mut *one, "INSERT INTO t VALUES (2)").await;
    failure(&mut *one, "SELECT 1/0", unlimited()).await;
    assert_eq!(one.state(), SessionState::Transaction);
    failure(&mut *one, "SELECT 1", unlimited()).await;
    query(&mut *one, "COMMIT").await;
    assert_eq!(one.state(), SessionState::Clean);
    assert_eq!(integer(&mut *one, "SELECT count(*) FROM t").await, 0);
    drop(one);
    cluster.done().await;
}
