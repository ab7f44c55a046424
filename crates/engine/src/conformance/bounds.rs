//! How much a database may take, changed while it is open.
use super::*;

const BOUND: u64 = 256 << 10;

/// A table of texts of 1,000 bytes each, in a database bounded to [`BOUND`].
async fn bounded(harness: &impl Harness) -> (Arc<dyn Database>, Box<dyn Connection>) {
    let Opened { database, .. } = opened(harness, "tenant").await;
    database.bound(Some(BOUND));
    let mut connection = database.connect().await.expect("connects");
    query(&mut *connection, "CREATE TABLE t (n INTEGER, b TEXT)").await;
    (database, connection)
}

async fn insert(connection: &mut dyn Connection, n: i64) -> Result<(), EngineError> {
    let arguments = Arguments::Positional(vec![Value::Integer(n), Value::Text("x".repeat(1_000))]);
    let sql = "INSERT INTO t VALUES (?, ?)".into();
    run(connection, Request::Execute { sql, arguments }, unlimited()).await.map(drop)
}

/// Inserts until it is full; how many rows there are then.
async fn fill(connection: &mut dyn Connection) -> i64 {
    for n in 0..1_000 {
        match insert(connection, n).await {
            Ok(()) => {}
            Err(EngineError::QuotaReached { limit: BOUND }) => return n,
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("the bound was never met");
}

/// All rows are still there, for sessions that went on meanwhile too.
pub async fn a_checkpoint_takes_nothing_away_and_stops_nobody(harness: &impl Harness) {
    let Opened { database, .. } = opened(harness, "tenant").await;
    let mut connection = database.connect().await.expect("connects");
    query(&mut *connection, "CREATE TABLE t (n INTEGER)").await;
    for _ in 0..3 {
        query(&mut *connection, "INSERT INTO t VALUES (1)").await;
        database.checkpoint().await.expect("checkpoints");
    }
    assert_eq!(integer(&mut *connection, "SELECT sum(n) FROM t").await, 3);
}

/// Reads and deletions go on; writing does when enough was deleted, and not before.
pub async fn a_bound_freezes_what_writes_and_nothing_else(harness: &impl Harness) {
    let (database, mut connection) = bounded(harness).await;
    assert!(!database.is_frozen().await.expect("tells"));
    let rows = fill(&mut *connection).await;
    assert!(database.is_frozen().await.expect("tells"));
    assert!(100 < rows && rows < 256, "{rows} rows of 1,000 bytes");
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM t").await, rows);
    let refused = ["UPDATE t SET n = n + 1", "CREATE TABLE u (n INTEGER)", "INSERT INTO t (n) VALUES (1)"];
    for sql in refused {
        let error = failure(&mut *connection, sql, unlimited()).await;
        assert!(matches!(error, EngineError::QuotaReached { limit: BOUND }), "{sql}: {error:?}");
    }
    let mut other = database.connect().await.expect("connects");
    query(&mut *other, "DELETE FROM t WHERE n < 4").await;
    assert!(insert(&mut *other, 1).await.is_err(), "more than nine tenths are in use");
    query(&mut *other, &format!("DELETE FROM t WHERE n < {}", rows / 4)).await;
    assert!(!database.is_frozen().await.expect("tells"));
    insert(&mut *connection, 1).await.expect("writes again");
}

/// Without anybody connecting anew.
pub async fn a_bound_is_raised_and_taken_away_while_it_is_open(harness: &impl Harness) {
    let (database, mut connection) = bounded(harness).await;
    let rows = fill(&mut *connection).await;
    database.bound(Some(2 * BOUND));
    for n in 0..rows / 2 {
        insert(&mut *connection, n).await.expect("there is room again");
    }
    database.bound(None);
    for n in 0..2 * rows {
        insert(&mut *connection, n).await.expect("there is no bound");
    }
}

/// Nothing is lost by it.
pub async fn a_bound_below_what_is_there_freezes_at_once(harness: &impl Harness) {
    let (database, mut connection) = bounded(harness).await;
    let rows = fill(&mut *connection).await;
    database.bound(Some(2 * BOUND));
    insert(&mut *connection, rows).await.expect("there is room again");
    database.bound(Some(BOUND / 2));
    let error = insert(&mut *connection, 1).await.expect_err("frozen");
    assert!(matches!(error, EngineError::QuotaReached { limit } if limit == BOUND / 2), "{error:?}");
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM t").await, rows + 1);
    query(&mut *connection, &format!("DELETE FROM t WHERE n < {}", rows - 20)).await;
    insert(&mut *connection, 1).await.expect("writes again");
}
