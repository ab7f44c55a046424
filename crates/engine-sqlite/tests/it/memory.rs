//! Databases in memory.
use crate::support::Files;
use rowhouse_engine::conformance::{failure, integer, query, unlimited, within};
use rowhouse_engine::{Connection, Database, Engine, EngineError, Location};
use std::sync::Arc;

async fn memory(files: &Files) -> Arc<dyn Database> {
    files.engine.open(&Location(":memory:".to_owned())).await.expect("opens")
}

#[tokio::test]
async fn connections_share_one_memory() {
    let files = Files::open();
    let database = memory(&files).await;
    let mut one = database.connect().await.unwrap();
    query(&mut *one, "CREATE TABLE t (n)").await;
    query(&mut *one, "INSERT INTO t VALUES (1)").await;
    let mut two = database.connect().await.unwrap();
    assert_eq!(integer(&mut *two, "SELECT n FROM t").await, 1);
    query(&mut *two, "CREATE TEMP TABLE own (n)").await;
    failure(&mut *one, "SELECT * FROM own", unlimited()).await;
    one.close().await;
    two.close().await;
    let mut three = database.connect().await.unwrap();
    assert_eq!(integer(&mut *three, "SELECT n FROM t").await, 1);
    three.close().await;
    database.close().await.unwrap();
    assert!(files.names().is_empty());
}

#[tokio::test]
async fn each_opening_is_a_memory_of_its_own() {
    let (files, others) = (Files::open(), Files::open());
    let mut one = memory(&files).await.connect().await.unwrap();
    query(&mut *one, "CREATE TABLE t (n)").await;
    for database in [memory(&files).await, memory(&others).await] {
        let mut other = database.connect().await.unwrap();
        assert_eq!(integer(&mut *other, "SELECT count(*) FROM sqlite_schema").await, 0);
    }
}

#[tokio::test]
async fn readers_and_writers_take_turns() {
    let files = Files::open();
    let database = memory(&files).await;
    let mut one = database.connect().await.unwrap();
    let mut two = database.connect().await.unwrap();
    query(&mut *one, "CREATE TABLE t (n)").await;
    query(&mut *one, "BEGIN").await;
    query(&mut *one, "INSERT INTO t VALUES (1)").await;
    let error = failure(&mut *two, "SELECT * FROM t", within(30)).await;
    assert!(matches!(error, EngineError::TimedOut), "{error:?}");
    let read = integer(&mut *two, "SELECT count(*) FROM t");
    let commit = query(&mut *one, "COMMIT");
    assert_eq!(futures::join!(read, commit).0, 1);
    query(&mut *one, "BEGIN").await;
    query(&mut *one, "DELETE FROM t").await;
    one.reset().await.unwrap();
    assert_eq!(integer(&mut *two, "SELECT count(*) FROM t").await, 1);
    let many = async |connection: &mut dyn Connection| {
        for _ in 0..50 {
            query(connection, "INSERT INTO t VALUES (2)").await;
            query(connection, "SELECT count(*) FROM t").await;
        }
    };
    futures::join!(many(&mut *one), many(&mut *two));
    assert_eq!(integer(&mut *one, "SELECT count(*) FROM t").await, 101);
}

#[tokio::test]
async fn a_connection_opened_during_a_transaction_waits_for_its_turn() {
    let files = Files::open();
    let database = memory(&files).await;
    let mut one = database.connect().await.unwrap();
    query(&mut *one, "CREATE TABLE t (n)").await;
    query(&mut *one, "BEGIN").await;
    query(&mut *one, "INSERT INTO t VALUES (1)").await;
    let two = async {
        let mut two = database.connect().await.unwrap();
        integer(&mut *two, "SELECT count(*) FROM t").await
    };
    let commit = async {
        tokio::task::yield_now().await;
        query(&mut *one, "COMMIT").await;
    };
    assert_eq!(futures::join!(two, commit).0, 1);
}
