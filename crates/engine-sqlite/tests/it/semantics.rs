//! What Python's driver does, and so must we.
use crate::support::Files;
use rowhouse_engine::conformance::{failure, integer, query, run, unlimited, within};
use rowhouse_engine::{Column, Condition, Connection, EngineError, Misuse, SessionState};
use rowhouse_types::{Arguments, Request, Value};

async fn affected(connection: &mut dyn Connection, sql: &str) -> Option<u64> {
    run(connection, Request::execute(sql), unlimited())
        .await
        .unwrap_or_else(|e| panic!("{sql}: {e}"))
        .1
        .affected
}

#[tokio::test]
async fn changes_are_counted_by_the_first_word() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    for (sql, expected) in [
        ("CREATE TABLE t (n INTEGER PRIMARY KEY, s)", None),
        (" -- c\n insert INTO t (s) VALUES ('a'), ('b')", Some(2)),
        ("INSERT INTO t (s) VALUES ('c') RETURNING n", Some(1)),
        ("WITH x AS (SELECT 'd' AS s) INSERT INTO t (s) SELECT s FROM x", None),
        ("UPDATE t SET s = 'e' WHERE n < 3", Some(2)),
        ("UPDATE t SET s = 'e' WHERE n < 0", Some(0)),
        ("REPLACE INTO t VALUES (1, 'f')", Some(1)),
        ("DELETE FROM t WHERE n = 1", Some(1)),
        ("SELECT * FROM t", None),
        ("PRAGMA table_info(t)", None),
        ("BEGIN", None),
        ("COMMIT", None),
    ] {
        assert_eq!(affected(&mut *connection, sql).await, expected, "{sql}");
    }
    let outcome = run(&mut *connection, Request::execute("SELECT 1"), unlimited()).await.unwrap().1;
    assert_eq!(outcome.last_insert_id, 1);
}

#[tokio::test]
async fn errors_have_sqlites_words() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    query(&mut *connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, a CHECK (a > 0), u UNIQUE)").await;
    query(&mut *connection, "INSERT INTO t VALUES (1, 1, 1)").await;
    for (sql, condition, message) in [
        ("SELEC 1", Condition::Sql, "near \"SELEC\": syntax error"),
        ("SELECT * FROM nope", Condition::Sql, "no such table: nope"),
        ("INSERT INTO t VALUES (1, 1, 2)", Condition::Constraint, "UNIQUE constraint failed: t.id"),
        ("INSERT INTO t VALUES (2, 0, 2)", Condition::Constraint, "CHECK constraint failed: a > 0"),
        ("INSERT INTO t VALUES ('x', 1, 2)", Condition::Mismatch, "datatype mismatch"),
        ("COMMIT", Condition::Sql, "cannot commit - no transaction is active"),
        ("PRAGMA writable_schema=1", Condition::Denied, "not authorized"),
    ] {
        match failure(&mut *connection, sql, unlimited()).await {
            EngineError::Statement { condition: is, message: says, .. } => {
                assert_eq!((is, says.as_str()), (condition, message), "{sql}");
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
    let error = failure(&mut *connection, "SELECT '\0'", unlimited()).await;
    assert!(matches!(error, EngineError::Misuse(Misuse::NullCharacter)), "{error:?}");
    let error = failure(&mut *connection, "SELECT CAST(x'ff' AS TEXT)", unlimited()).await;
    assert_eq!(
        error.to_string(),
        "Could not decode to UTF-8 column 'CAST(x'ff' AS TEXT)' with text '\u{fffd}'"
    );
    query(&mut *connection, "BEGIN").await;
    let error = failure(&mut *connection, "BEGIN", unlimited()).await;
    assert_eq!(error.to_string(), "cannot start a transaction within a transaction");
}

#[tokio::test]
async fn all_sigils_name_a_place_and_places_without_a_name_are_told() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    let named = |sql: &str| Request::Execute {
        sql: sql.into(),
        arguments: Arguments::Named(vec![("a".to_owned(), Value::Integer(7))]),
    };
    let (rows, _) = run(&mut *connection, named("SELECT :a, @a, $a"), unlimited()).await.unwrap();
    assert_eq!(rows, [vec![Value::Integer(7); 3]]);
    let error = run(&mut *connection, named("SELECT ?"), unlimited()).await.unwrap_err();
    assert!(matches!(error, EngineError::Misuse(Misuse::UnnamedPlace { position: 1 })), "{error:?}");
    let nan = Request::execute_with("SELECT ?1", vec![Value::Real(f64::NAN)]);
    assert_eq!(run(&mut *connection, nan, unlimited()).await.unwrap().0, [[Value::Null]]);
}

#[tokio::test]
async fn a_script_commits_what_was_open() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    query(&mut *connection, "CREATE TABLE t (n)").await;
    query(&mut *connection, "BEGIN").await;
    query(&mut *connection, "INSERT INTO t VALUES (1)").await;
    run(&mut *connection, Request::script("INSERT INTO t VALUES (2)"), unlimited()).await.unwrap();
    connection.reset().await.unwrap();
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM t").await, 2);
}

#[tokio::test]
async fn in_a_transaction_a_failed_repeat_keeps_what_went_before() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    query(&mut *connection, "CREATE TABLE t (n PRIMARY KEY)").await;
    query(&mut *connection, "BEGIN").await;
    let sets = [1, 2, 1].map(|n| Arguments::Positional(vec![Value::Integer(n)])).to_vec();
    let request = Request::Repeat { sql: "INSERT INTO t VALUES (?)".into(), sets };
    run(&mut *connection, request, unlimited()).await.unwrap_err();
    query(&mut *connection, "COMMIT").await;
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM t").await, 2);
}

#[tokio::test]
async fn a_stale_snapshot_is_busy_at_once() {
    let files = Files::open();
    let database = rowhouse_engine::conformance::opened(&files, "tenant").await.database;
    let mut one = database.connect().await.unwrap();
    let mut two = database.connect().await.unwrap();
    query(&mut *one, "CREATE TABLE t (n)").await;
    query(&mut *one, "BEGIN").await;
    query(&mut *one, "SELECT * FROM t").await;
    query(&mut *two, "INSERT INTO t VALUES (1)").await;
    let error = failure(&mut *one, "INSERT INTO t VALUES (2)", unlimited()).await;
    assert!(matches!(error, EngineError::Statement { condition: Condition::Busy, .. }), "{error:?}");
    assert_eq!(error.to_string(), "database is locked");
    // The loser holds nothing up.
    query(&mut *two, "INSERT INTO t VALUES (3)").await;
}

#[tokio::test]
async fn columns_follow_the_schema_also_in_cached_statements() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    query(&mut *connection, "CREATE TABLE t (a)").await;
    query(&mut *connection, "INSERT INTO t VALUES (1)").await;
    assert_eq!(query(&mut *connection, "SELECT * FROM t").await, [[Value::Integer(1)]]);
    query(&mut *connection, "ALTER TABLE t ADD COLUMN b DEFAULT 2").await;
    assert_eq!(query(&mut *connection, "SELECT * FROM t").await, [[Value::Integer(1), Value::Integer(2)]]);
}

#[tokio::test]
async fn a_short_result_is_one_chunk() {
    use futures::StreamExt;
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    let mut chunks = connection.run(Request::execute("SELECT 1 AS a UNION SELECT 2"), unlimited());
    let chunk = chunks.next().await.unwrap().unwrap();
    let column = Column { name: "a".to_owned(), decl_type: None };
    assert_eq!(chunk.columns.as_deref(), Some(&[column][..]));
    assert_eq!((chunk.rows.len(), chunk.outcome.is_some()), (2, true));
    assert!(chunks.next().await.is_none());
}

#[tokio::test]
async fn a_sequence_is_part_of_the_transaction_that_is_open() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    run(&mut *connection, Request::sequence("  \n-- nothing\n"), unlimited()).await.unwrap();
    run(&mut *connection, Request::sequence("CREATE TABLE t (n); BEGIN"), unlimited()).await.unwrap();
    assert_eq!(connection.state(), SessionState::Transaction);
    run(&mut *connection, Request::sequence("INSERT INTO t VALUES (1); SELECT 1;"), unlimited())
        .await
        .unwrap();
    assert_eq!(connection.state(), SessionState::Transaction);
    run(&mut *connection, Request::sequence("ROLLBACK"), unlimited()).await.unwrap();
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM t").await, 0);
}

#[tokio::test]
async fn a_script_that_was_applied_wholly_is_not_said_to_be_late() {
    let files = Files::open();
    let mut session = files.connect("tenant").await;
    query(&mut *session, "CREATE TABLE t (n)").await;
    let mut applied = 0;
    for _ in 0..5 {
        // One long step, within which no deadline is looked at.
        let script = Request::script("INSERT INTO t SELECT length(hex(randomblob(30000000)))");
        applied += i64::from(run(&mut *session, script, within(10)).await.is_ok());
    }
    assert_eq!(integer(&mut *session, "SELECT count(*) FROM t").await, applied);
}
