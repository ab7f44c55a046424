//! What is told of statements, and who may only read.
use super::*;

/// Places, columns and kind, and that nothing was done.
pub async fn a_statement_is_described_without_being_run(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    query(&mut *connection, "CREATE TABLE t (n INTEGER, s TEXT)").await;
    let select = describe(&mut *connection, "SELECT n, s, 1 AS one FROM t WHERE n = :n AND s = :s").await;
    let columns: Vec<_> =
        select.columns.iter().map(|column| (&*column.name, column.decl_type.as_deref())).collect();
    assert_eq!(columns, [("n", Some("INTEGER")), ("s", Some("TEXT")), ("one", None)]);
    assert_eq!(select.params, [Some(":n".to_owned()), Some(":s".to_owned())]);
    assert!(select.is_readonly && !select.is_explain);
    let insert = describe(&mut *connection, "INSERT INTO t (n, s) VALUES (1, 'x')").await;
    assert!(insert.columns.is_empty() && insert.params.is_empty() && !insert.is_readonly);
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM t").await, 0);
    let drop = describe(&mut *connection, "DROP TABLE t").await;
    assert!(!drop.is_readonly);
    assert!(describe(&mut *connection, "EXPLAIN SELECT 1").await.is_explain);
    assert_eq!(describe(&mut *connection, " -- nothing").await.columns, []);
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM t").await, 0);
    assert_eq!(connection.state(), SessionState::Clean);
}

/// As running it would be before its first step.
pub async fn what_cannot_be_run_is_not_described(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    for (sql, several) in
        [("SELECT FROM", false), ("SELECT n FROM missing", false), ("SELECT 1; SELECT 2", true)]
    {
        let error = connection.describe(sql, unlimited()).await.expect_err(sql);
        match error {
            EngineError::Misuse(Misuse::MultipleStatements) => assert!(several, "{sql}"),
            EngineError::Statement { .. } => assert!(!several, "{sql}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
    let late = connection.describe("SELECT 1", within(0)).await;
    assert!(matches!(late, Err(EngineError::TimedOut)), "{late:?}");
}

/// A session's own tables and transaction are seen, and stay.
pub async fn a_description_sees_what_the_session_holds(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    query(&mut *connection, "BEGIN").await;
    query(&mut *connection, "CREATE TABLE t (n INTEGER)").await;
    assert_eq!(describe(&mut *connection, "SELECT n FROM t").await.columns.len(), 1);
    assert_eq!(connection.state(), SessionState::Transaction);
    query(&mut *connection, "COMMIT").await;
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM t").await, 0);
}

/// Columns come with the types they were declared with.
pub async fn columns_have_the_types_they_were_declared_with(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    query(&mut *connection, "CREATE TABLE t (n INTEGER, s TEXT)").await;
    let mut chunks = connection.run(Request::execute("SELECT s, n, n + 1 AS more FROM t"), unlimited());
    let chunk = chunks.next().await.expect("a chunk").expect("no rows");
    let columns = chunk.columns.expect("in the first chunk");
    let told: Vec<_> = columns.iter().map(|column| (&*column.name, column.decl_type.as_deref())).collect();
    assert_eq!(told, [("s", Some("TEXT")), ("n", Some("INTEGER")), ("more", None)]);
}

/// Under a policy that only reads nothing is changed, by whatever request.
pub async fn who_may_only_read_changes_nothing(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    query(&mut *connection, "CREATE TABLE t (n INTEGER)").await;
    query(&mut *connection, "INSERT INTO t VALUES (1)").await;
    for sql in [
        "INSERT INTO t VALUES (2)",
        "INSERT INTO t VALUES (2) RETURNING n",
        "WITH w AS (SELECT 3 AS n) INSERT INTO t SELECT n FROM w",
        "UPDATE t SET n = 2",
        "DELETE FROM t",
        "DROP TABLE t",
        "CREATE TABLE u (n INTEGER)",
        "ALTER TABLE t ADD COLUMN m INTEGER",
        "CREATE INDEX i ON t (n)",
    ] {
        let requests =
            [Request::execute(sql), Request::script(sql), Request::script(format!("SELECT 1; {sql}"))];
        for request in requests {
            let error = run(&mut *connection, request, reading()).await.expect_err(sql);
            assert!(matches!(error, EngineError::MayNotWrite), "{sql}: {error:?}");
        }
    }
    let error = run(&mut *connection, insert_each(&[2, 3]), reading()).await.expect_err("it would write");
    assert!(matches!(error, EngineError::MayNotWrite), "{error:?}");
    assert_eq!(connection.state(), SessionState::Clean);
    let error = failure(&mut *connection, "CREATE TEMPORARY TABLE u (n INTEGER)", reading()).await;
    assert!(matches!(error, EngineError::MayNotWrite), "{error:?}");
    let (rows, _) =
        run(&mut *connection, Request::execute("SELECT n FROM t"), reading()).await.expect("reads");
    assert_eq!(rows, [[Value::Integer(1)]]);
    // The same connection writes for whoever may.
    query(&mut *connection, "UPDATE t SET n = 2").await;
    run(&mut *connection, insert_each(&[2, 3]), unlimited()).await.expect("writes");
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM t").await, 3);
}

/// Who may only read reads in a transaction too, which keeps nobody from writing.
pub async fn who_may_only_read_keeps_nobody_from_writing(harness: &impl Harness) {
    let Opened { database, .. } = opened(harness, "tenant").await;
    let mut one = database.connect().await.expect("connects");
    let mut two = database.connect().await.expect("connects");
    query(&mut *one, "CREATE TABLE t (n INTEGER)").await;
    run(&mut *one, Request::execute("BEGIN"), reading()).await.expect("begins");
    let (rows, _) =
        run(&mut *one, Request::execute("SELECT count(*) FROM t"), reading()).await.expect("reads");
    assert_eq!(rows, [[Value::Integer(0)]]);
    query(&mut *two, "INSERT INTO t VALUES (1)").await;
    let error = run(&mut *one, Request::execute("INSERT INTO t VALUES (2)"), reading()).await;
    assert!(matches!(error, Err(EngineError::MayNotWrite)), "{error:?}");
    assert_eq!(one.state(), SessionState::Transaction, "a refusal ends no transaction");
    run(&mut *one, Request::execute("COMMIT"), reading()).await.expect("ends");
    assert_eq!(integer(&mut *one, "SELECT count(*) FROM t").await, 1);
}

/// What was read and written is counted.
pub async fn rows_read_and_written_are_counted(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    let mut outcome =
        async |sql: &str| run(&mut *connection, Request::execute(sql), unlimited()).await.expect(sql).1;
    assert_eq!(outcome("CREATE TABLE t (n INTEGER PRIMARY KEY, m INTEGER)").await.changed, 0);
    let inserted = outcome("INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)").await;
    assert_eq!((inserted.changed, inserted.rows_written), (3, 3));
    let with = outcome("WITH w AS (SELECT 4 AS n) INSERT INTO t SELECT n, n FROM w").await;
    assert_eq!((with.affected, with.changed, with.rows_written), (None, 1, 1));
    let scan = outcome("SELECT m FROM t").await;
    assert_eq!((scan.changed, scan.rows_written), (0, 0));
    assert!(4 <= scan.rows_read, "{scan:?}");
    let found = outcome("SELECT m FROM t WHERE n = 2").await;
    assert!(1 <= found.rows_read && found.rows_read < 4, "{found:?}");
    assert_eq!(outcome("CREATE TABLE u (n INTEGER)").await.changed, 0);
}

/// Unless the session says otherwise, and for nobody else.
pub async fn foreign_keys_are_enforced_for_who_wants_them(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    query(&mut *connection, "CREATE TABLE parent (n INTEGER PRIMARY KEY)").await;
    let deferred = "REFERENCES parent DEFERRABLE INITIALLY DEFERRED";
    query(&mut *connection, &format!("CREATE TABLE child (n REFERENCES parent, m {deferred})")).await;
    let wanting = || Options { foreign_keys: true, ..unlimited() };
    let orphans = ["INSERT INTO child (n) VALUES (1)", "INSERT INTO child (m) VALUES (1)"];
    for orphan in orphans {
        let error = failure(&mut *connection, orphan, wanting()).await;
        assert!(matches!(error, EngineError::Statement { .. }), "{orphan}: {error:?}");
        query(&mut *connection, orphan).await;
        failure(&mut *connection, orphan, wanting()).await;
    }
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM child").await, 2);
    let mut own = async |sql: &str| run(&mut *connection, Request::execute(sql), wanting()).await.map(drop);
    own("PRAGMA foreign_keys=OFF").await.expect("a setting of its own");
    own(orphans[0]).await.expect("it wants none now");
    own("BEGIN").await.expect("begun");
    own(orphans[1]).await.expect("it wants none now");
    own("COMMIT").await.expect("committed");
    connection.reset().await.expect("given back");
    failure(&mut *connection, orphans[0], wanting()).await;
    query(&mut *connection, "INSERT INTO parent VALUES (1)").await;
    run(&mut *connection, Request::execute(orphans[0]), wanting()).await.expect("no orphan");
}

fn reading() -> Options {
    Options { policy: SqlPolicy::ReadOnly, ..unlimited() }
}

async fn describe(connection: &mut dyn Connection, sql: &str) -> Description {
    connection.describe(sql, unlimited()).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}
