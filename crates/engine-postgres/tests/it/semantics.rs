//! What is PostgreSQL's own: types, places, errors, bounds.
use crate::support::{Cluster, needs_postgres};
use rowhouse_engine::conformance::{Harness, failure, integer, query, run, unlimited, within};
use rowhouse_engine::{Condition, Connection, EngineError, Listener, News, Options, SessionState, SqlPolicy};
use rowhouse_types::{Arguments, ErrorCode, Reportable, Request, Value};
use std::sync::Arc;

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn code(error: &EngineError) -> String {
    error.sqlstate().unwrap_or_else(|| panic!("{error:?}"))
}

async fn with(connection: &mut dyn Connection, sql: &str, arguments: &[Value]) -> Vec<Vec<Value>> {
    let request = Request::execute_with(sql, arguments);
    run(connection, request, unlimited()).await.unwrap_or_else(|error| panic!("{sql}: {error}")).0
}

#[tokio::test]
async fn what_has_no_exact_counterpart_is_the_text_that_is_printed() {
    needs_postgres!();
    let cluster = Cluster::open();
    let mut connection = cluster.connect_new("tenant").await;
    query(&mut *connection, "CREATE TYPE mood AS ENUM ('sad', 'happy')").await;
    query(&mut *connection, "SET TimeZone TO 'UTC'").await;
    for (sql, expected) in [
        ("1::int2", Value::Integer(1)),
        ("(-2147483648)::int4", Value::Integer(-2_147_483_648)),
        ("9223372036854775807::int8", Value::Integer(i64::MAX)),
        ("0.5::float4", Value::Real(0.5)),
        ("1e300::float8", Value::Real(1e300)),
        ("true", Value::Integer(1)),
        ("false", Value::Integer(0)),
        ("'\\x00ff'::bytea", Value::Blob(vec![0, 255].into())),
        ("123456789012345678901234567890.10::numeric", text("123456789012345678901234567890.10")),
        ("'2026-02-03'::date", text("2026-02-03")),
        ("'12:34:56.789'::time", text("12:34:56.789")),
        ("'2026-02-03 04:05:06.7'::timestamp", text("2026-02-03 04:05:06.7")),
        ("'2026-02-03 04:05:06+00'::timestamptz", text("2026-02-03 04:05:06+00")),
        ("'1 day 2 hours'::interval", text("1 day 02:00:00")),
        ("'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid", text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
        ("'{\"a\": 1.50}'::json", text("{\"a\": 1.50}")),
        ("'{\"a\":1}'::jsonb", text("{\"a\": 1}")),
        ("ARRAY[1,NULL,3]", text("{1,NULL,3}")),
        ("'happy'::mood", text("happy")),
        ("ROW(1,'x')", text("(1,x)")),
        ("'192.168.0.1'::inet", text("192.168.0.1")),
        ("NULL::int", Value::Null),
    ] {
        let rows = query(&mut *connection, &format!("SELECT {sql}")).await;
        assert_eq!(rows, [[expected]], "{sql}");
    }
    drop(connection);
    cluster.done().await;
}

#[tokio::test]
async fn an_argument_has_the_type_of_its_place() {
    needs_postgres!();
    let cluster = Cluster::open();
    let mut connection = cluster.connect_new("tenant").await;
    let table = "CREATE TABLE t (n int, b boolean, x numeric, d date, j jsonb, s text, a int[], r real)";
    query(&mut *connection, table).await;
    // What has one kind of numbers only writes whole ones as floats.
    let row = [
        Value::Real(1.0),
        Value::Integer(1),
        text("0.10"),
        text("2026-02-03"),
        text("{\"k\": 1}"),
        Value::Integer(5),
        text("{1,2}"),
        Value::Real(0.25),
    ];
    with(&mut *connection, "INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?)", &row).await;
    let rows = with(
        &mut *connection,
        "SELECT n, b, x::text, s, r FROM t WHERE j ? ? AND a[?] = 2 AND d > ? AND x < ? LIMIT ?",
        &[text("k"), Value::Integer(2), text("2026-01-01"), Value::Real(0.5), Value::Real(10.0)],
    )
    .await;
    let expected = [Value::Integer(1), Value::Integer(1), text("0.10"), text("5"), Value::Real(0.25)];
    assert_eq!(rows, [expected]);
    let nul = Request::execute_with("SELECT CAST(? AS text)", [text("a\0b")]);
    let error = run(&mut *connection, nul, unlimited()).await.expect_err("text has no NUL");
    assert_eq!(code(&error), "22021");
    assert_eq!(integer(&mut *connection, "SELECT 1").await, 1);
    drop(connection);
    cluster.done().await;
}

#[tokio::test]
async fn errors_keep_their_code_and_tell_nothing_of_the_server() {
    needs_postgres!();
    let cluster = Cluster::open();
    let mut connection = cluster.connect_new("tenant").await;
    query(&mut *connection, "CREATE TABLE t (n int PRIMARY KEY, m int NOT NULL CHECK (m > 0))").await;
    query(&mut *connection, "INSERT INTO t VALUES (1, 1)").await;
    for (sql, expected, public) in [
        ("INSERT INTO t VALUES (1, 1)", "23505", ErrorCode::ConstraintViolation),
        ("INSERT INTO t VALUES (2, NULL)", "23502", ErrorCode::ConstraintViolation),
        ("INSERT INTO t VALUES (2, 0)", "23514", ErrorCode::ConstraintViolation),
        ("SELEKT 1", "42601", ErrorCode::SqlError),
        ("SELECT * FROM missing", "42P01", ErrorCode::SqlError),
        ("SELECT 1/0", "22012", ErrorCode::SqlError),
        ("SELECT 'x'::int", "22P02", ErrorCode::ConstraintViolation),
        ("SELECT pg_read_file('/etc/passwd')", "42501", ErrorCode::NotAuthorized),
    ] {
        let error = failure(&mut *connection, sql, unlimited()).await;
        assert_eq!((code(&error).as_str(), error.code()), (expected, public), "{sql}: {error}");
    }
    // A constraint that is looked at when the statement is committed fails the statement.
    query(&mut *connection, "CREATE TABLE c (n int REFERENCES t DEFERRABLE INITIALLY DEFERRED)").await;
    let error = failure(&mut *connection, "INSERT INTO c VALUES (9)", unlimited()).await;
    assert_eq!(code(&error), "23503");
    let error = failure(&mut *connection, "INSERT INTO c VALUES (9) RETURNING n", within(10_000)).await;
    assert_eq!(code(&error), "23503");
    drop(connection);
    cluster.done().await;
}

#[tokio::test]
async fn foreign_keys_hold_for_everybody() {
    needs_postgres!();
    let cluster = Cluster::open();
    let mut connection = cluster.connect_new("tenant").await;
    query(&mut *connection, "CREATE TABLE p (n int PRIMARY KEY)").await;
    query(&mut *connection, "CREATE TABLE c (n int REFERENCES p)").await;
    for foreign_keys in [false, true] {
        let options = Options { foreign_keys, ..unlimited() };
        let error = failure(&mut *connection, "INSERT INTO c VALUES (1)", options).await;
        assert!(
            matches!(error, EngineError::Statement { condition: Condition::Constraint, .. }),
            "{error:?}"
        );
    }
    drop(connection);
    cluster.done().await;
}

#[tokio::test]
async fn nothing_is_copied_to_or_from_clients() {
    needs_postgres!();
    let cluster = Cluster::open();
    let mut connection = cluster.connect_new("tenant").await;
    query(&mut *connection, "CREATE TABLE t (n int)").await;
    for sql in ["COPY t FROM STDIN", "COPY t TO STDOUT", "COPY (SELECT generate_series(1, 100000)) TO STDOUT"]
    {
        for request in [Request::execute(sql), Request::script(sql)] {
            run(&mut *connection, request, unlimited()).await.expect_err(sql);
            assert_eq!(connection.state(), SessionState::Clean);
            assert_eq!(integer(&mut *connection, "SELECT count(*) FROM t").await, 0);
        }
    }
    drop(connection);
    cluster.done().await;
}

#[tokio::test]
async fn who_may_only_read_cannot_talk_the_server_out_of_it() {
    needs_postgres!();
    let cluster = Cluster::open();
    let mut connection = cluster.connect_new("tenant").await;
    query(&mut *connection, "CREATE TABLE t (n int)").await;
    let setting = "SET transaction_read_only = off";
    query(
        &mut *connection,
        &format!("CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql {setting} AS 'BEGIN INSERT INTO t VALUES (1); RETURN 1; END'"),
    )
    .await;
    query(
        &mut *connection,
        "CREATE PROCEDURE p() LANGUAGE plpgsql AS 'BEGIN COMMIT; INSERT INTO t VALUES (1); END'",
    )
    .await;
    query(&mut *connection, "CREATE SEQUENCE s").await;
    let reading = Options { policy: SqlPolicy::ReadOnly, ..within(10_000) };
    let tricks = [
        "SET TRANSACTION READ WRITE",
        "SET transaction_read_only = off",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "SET default_transaction_read_only = off",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SELECT f()",
        "CALL p()",
        "DO 'BEGIN COMMIT; INSERT INTO t VALUES (1); END'",
        "DO 'BEGIN SET TRANSACTION READ WRITE; INSERT INTO t VALUES (1); END'",
        "COMMIT",
        "COMMIT AND CHAIN",
        "ROLLBACK",
        "BEGIN READ WRITE",
        "SET TRANSACTION READ WRITE",
        "INSERT INTO t VALUES (1)",
        "SELECT nextval('s')",
        "SELECT lo_create(0)",
        "SELECT lo_from_bytea(0, 'x')",
        "WITH w AS (INSERT INTO t VALUES (1) RETURNING n) SELECT * FROM w",
        "EXPLAIN ANALYZE INSERT INTO t VALUES (1)",
        "SAVEPOINT a",
        "SET TRANSACTION READ WRITE",
        "ROLLBACK TO a",
        "INSERT INTO t VALUES (1)",
        "COMMIT",
        "VACUUM t",
        "TRUNCATE t",
    ];
    let all = tricks.join(";");
    for sql in tricks.into_iter().chain([all.as_str()]) {
        for request in [Request::execute(sql), Request::script(sql), Request::sequence(sql)] {
            let _most_fail = run(&mut *connection, request, reading).await;
        }
    }
    connection.reset().await.expect("resets");
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM t").await, 0);
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM pg_largeobject_metadata").await, 0);
    // The same connection writes for who may.
    query(&mut *connection, "INSERT INTO t VALUES (1)").await;
    drop(connection);
    cluster.done().await;
}

#[tokio::test]
async fn the_guarded_policy_removes_nothing() {
    needs_postgres!();
    let cluster = Cluster::open();
    let mut connection = cluster.connect_new("tenant").await;
    query(&mut *connection, "CREATE TABLE t (n int)").await;
    query(&mut *connection, "INSERT INTO t VALUES (1)").await;
    let guarded = Options { policy: SqlPolicy::Guarded, ..unlimited() };
    for sql in [
        "DELETE FROM t",
        "WITH d AS (DELETE FROM t RETURNING n) SELECT n FROM d",
        "DROP TABLE t",
        "TRUNCATE t",
        "ALTER TABLE t DROP COLUMN n",
        "DO 'BEGIN DELETE FROM t; END'",
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'DELETE FROM t'",
    ] {
        let error = failure(&mut *connection, sql, guarded).await;
        assert_eq!((code(&error).as_str(), error.code()), ("42501", ErrorCode::NotAuthorized), "{sql}");
    }
    run(&mut *connection, Request::execute("UPDATE t SET n = 2"), guarded).await.expect("changes");
    assert_eq!(integer(&mut *connection, "SELECT n FROM t").await, 2);
    drop(connection);
    cluster.done().await;
}

#[tokio::test]
async fn at_its_bound_a_database_is_read_and_emptied_and_not_written() {
    needs_postgres!();
    let cluster = Cluster::open();
    let database = cluster.open_new("tenant").await;
    let mut connection = database.connect().await.expect("connects");
    query(&mut *connection, "CREATE TABLE t (s text)").await;
    let size = database.size().await.expect("told");
    database.bound(Some(size + (1 << 20)));
    assert!(!database.is_frozen().await.expect("tells"));
    query(&mut *connection, "INSERT INTO t SELECT repeat('x', 1000) FROM generate_series(1, 2000)").await;
    assert!(database.is_frozen().await.expect("tells"));
    let limit = size + (1 << 20);
    for sql in ["INSERT INTO t VALUES ('x')", "UPDATE t SET s = 'y'", "CREATE TABLE u (n int)"] {
        let error = failure(&mut *connection, sql, unlimited()).await;
        assert!(matches!(error, EngineError::QuotaReached { limit: at } if at == limit), "{sql}: {error:?}");
    }
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM t").await, 2000);
    query(&mut *connection, "TRUNCATE t").await;
    // Well below the bound, or it stays as it is.
    database.bound(Some(2 * limit));
    query(&mut *connection, "INSERT INTO t VALUES ('x')").await;
    drop(connection);
    cluster.done().await;
}

#[derive(Debug)]
struct Nobody;

impl Listener for Nobody {
    fn hear(&self, _news: News) {}
}

#[tokio::test]
async fn what_cannot_be_done_is_said() {
    needs_postgres!();
    let cluster = Cluster::open();
    let database = cluster.open_new("tenant").await;
    let error = database.listen(Arc::new(Nobody)).await.expect_err("it cannot");
    assert!(matches!(error, EngineError::Unsupported { .. }));
    assert_eq!(error.to_string(), "a feed of changes is not possible with this kind of database");
    cluster.done().await;
}

#[tokio::test]
async fn a_repeated_statement_of_many_sets_is_all_or_none() {
    needs_postgres!();
    let cluster = Cluster::open();
    let mut connection = cluster.connect_new("tenant").await;
    query(&mut *connection, "CREATE TABLE t (n int PRIMARY KEY, s text)").await;
    let sets = |last: i64| -> Vec<_> {
        let set = |n: i64| Arguments::Positional(vec![Value::Integer(n), Value::Text("x".repeat(500))]);
        (0..3_000).map(set).chain([set(last)]).collect()
    };
    let sql: Arc<str> = "INSERT INTO t VALUES (?, ?) RETURNING n".into();
    let duplicate = Request::Repeat { sql: sql.clone(), sets: sets(7) };
    let error = run(&mut *connection, duplicate, within(60_000)).await.expect_err("a duplicate");
    assert_eq!(code(&error), "23505");
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM t").await, 0);
    let fine = Request::Repeat { sql, sets: sets(3_000) };
    assert_eq!(run(&mut *connection, fine, within(60_000)).await.expect("inserts").1.affected, Some(3_001));
    drop(connection);
    cluster.done().await;
}
