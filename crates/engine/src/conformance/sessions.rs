//! Connections beside each other, interrupted and lent again.
use super::*;

/// An endless query ends at its deadline.
pub async fn a_deadline_interrupts_and_the_connection_stays_usable(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    let sql = format!("SELECT count(*) FROM ({}) AS endless", harness.endless());
    let begun = Instant::now();
    let error = failure(&mut *connection, &sql, within(50)).await;
    assert!(matches!(error, EngineError::TimedOut), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(integer(&mut *connection, "SELECT 1").await, 1);
    // A deadline that has passed lets nothing run.
    let error = failure(&mut *connection, "CREATE TABLE t (n INTEGER)", within(0)).await;
    assert!(matches!(error, EngineError::TimedOut), "{error:?}");
    query(&mut *connection, "CREATE TABLE t (n INTEGER)").await;
}

/// Dropping the stream ends the statement; the next one runs at once.
pub async fn dropping_the_rows_interrupts_the_statement(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    let mut chunks = connection.run(Request::execute(harness.endless()), unlimited());
    chunks.next().await.expect("a chunk").expect("of rows");
    drop(chunks);
    assert_eq!(integer(&mut *connection, "SELECT 1").await, 1);
    let silent = format!("SELECT count(*) FROM ({}) AS endless", harness.endless());
    assert!(connection.run(Request::execute(silent), unlimited()).next().now_or_never().is_none());
    assert_eq!(integer(&mut *connection, "SELECT 2").await, 2);
    assert_eq!(connection.state(), SessionState::Clean);
}

/// A request that was left midway may still take effect on the connection: until reset has
/// waited for it, the connection is not fit for others.
pub async fn a_connection_left_midway_is_not_clean(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    query(&mut *connection, "CREATE TABLE t (n INTEGER)").await;
    for _ in 0..20 {
        drop(connection.run(Request::execute("BEGIN"), unlimited()));
        assert_ne!(connection.state(), SessionState::Clean);
        connection.reset().await.expect("resets");
        assert_eq!(connection.state(), SessionState::Clean);
        query(&mut *connection, "INSERT INTO t VALUES (1)").await;
        assert_eq!(connection.state(), SessionState::Clean, "the insertion is no part of a transaction");
    }
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM t").await, 20);
}

/// What a borrower left uncommitted is gone.
pub async fn reset_rolls_back(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    query(&mut *connection, "CREATE TABLE t (n INTEGER)").await;
    query(&mut *connection, "BEGIN").await;
    query(&mut *connection, "INSERT INTO t VALUES (1)").await;
    assert_eq!(connection.state(), SessionState::Transaction);
    connection.reset().await.expect("resets");
    assert_eq!(connection.state(), SessionState::Clean);
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM t").await, 0);
}

/// So is what belonged to the session.
pub async fn reset_drops_temporary_objects(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    query(&mut *connection, "CREATE TEMPORARY TABLE secret (n INTEGER)").await;
    assert_eq!(connection.state(), SessionState::Stateful);
    query(&mut *connection, "INSERT INTO secret VALUES (1)").await;
    connection.reset().await.expect("resets");
    assert_eq!(connection.state(), SessionState::Clean);
    failure(&mut *connection, "SELECT n FROM secret", unlimited()).await;
}

/// Others see a transaction whole or not at all.
pub async fn a_transaction_is_seen_by_others_once_committed(harness: &impl Harness) {
    let Opened { database, .. } = opened(harness, "tenant").await;
    let mut one = database.connect().await.expect("connects");
    let mut two = database.connect().await.expect("connects");
    query(&mut *one, "CREATE TABLE t (n INTEGER)").await;
    query(&mut *one, "BEGIN").await;
    query(&mut *one, "INSERT INTO t VALUES (1)").await;
    assert_eq!(integer(&mut *two, "SELECT count(*) FROM t").await, 0);
    query(&mut *one, "COMMIT").await;
    assert_eq!(integer(&mut *two, "SELECT count(*) FROM t").await, 1);
    assert_eq!(two.state(), SessionState::Clean);
}

/// A write begun during another's transaction succeeds once that has ended.
pub async fn writers_wait_for_each_other(harness: &impl Harness) {
    let Opened { database, .. } = opened(harness, "tenant").await;
    let mut one = database.connect().await.expect("connects");
    let mut two = database.connect().await.expect("connects");
    query(&mut *one, "CREATE TABLE t (n INTEGER)").await;
    query(&mut *one, "BEGIN").await;
    query(&mut *one, "INSERT INTO t VALUES (1)").await;
    // The second is polled first, so it waits before the first commits.
    let write = query(&mut *two, "UPDATE t SET n = n + 10");
    let commit = async {
        tokio::task::yield_now().await;
        query(&mut *one, "INSERT INTO t VALUES (2)").await;
        query(&mut *one, "COMMIT").await;
    };
    futures::join!(write, commit);
    let rows = query(&mut *two, "SELECT count(*) FROM t").await;
    assert_eq!(rows, [[Value::Integer(2)]]);
    // A hundred autocommit writes from two sides: none fails, none is lost.
    let many = async |connection: &mut dyn Connection| {
        for _ in 0..50 {
            query(connection, "INSERT INTO t VALUES (3)").await;
        }
    };
    futures::join!(many(&mut *one), many(&mut *two));
    assert_eq!(integer(&mut *one, "SELECT count(*) FROM t").await, 102);
}

/// The wait for the other's transaction is bounded by the deadline.
pub async fn a_waiting_writer_gives_up_at_its_deadline(harness: &impl Harness) {
    let Opened { database, .. } = opened(harness, "tenant").await;
    let mut one = database.connect().await.expect("connects");
    let mut two = database.connect().await.expect("connects");
    query(&mut *one, "CREATE TABLE t (n INTEGER)").await;
    query(&mut *one, "INSERT INTO t VALUES (1)").await;
    query(&mut *one, "BEGIN").await;
    query(&mut *one, "UPDATE t SET n = 2").await;
    let error = failure(&mut *two, "UPDATE t SET n = 3", within(50)).await;
    assert!(matches!(error, EngineError::TimedOut), "{error:?}");
    one.reset().await.expect("resets");
    query(&mut *two, "UPDATE t SET n = 3").await;
    assert_eq!(integer(&mut *one, "SELECT n FROM t").await, 3);
}

/// Work on one database does not hold up another.
pub async fn one_endless_query_delays_no_other_database(harness: &impl Harness) {
    let mut busy = connected(harness, "busy").await;
    let mut idle = connected(harness, "idle").await;
    let silent = format!("SELECT count(*) FROM ({}) AS endless", harness.endless());
    let mut endless = busy.run(Request::execute(silent), unlimited());
    assert!(endless.next().now_or_never().is_none());
    assert_eq!(integer(&mut *idle, "SELECT 1").await, 1);
    assert!(endless.next().now_or_never().is_none(), "it still runs");
}
