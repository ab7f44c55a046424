//! What one database may take of the threads all share.
use crate::support::Files;
use futures::{FutureExt, StreamExt};
use rowhouse_engine::EngineError;
use rowhouse_engine::conformance::{Harness, failure, integer, opened, query, unlimited, within};
use rowhouse_engine_sqlite::{Config, ExecutorConfig};
use rowhouse_types::Request;
use std::num::{NonZeroU32, NonZeroUsize};

fn narrow(lanes: u32, threads: usize) -> Files {
    let config = Config { lanes: NonZeroU32::new(lanes).expect("not zero"), ..Config::default() };
    let max_threads = NonZeroUsize::new(threads).expect("not zero");
    Files::on(&config, ExecutorConfig { max_threads, ..ExecutorConfig::default() })
}

#[tokio::test]
async fn a_database_takes_no_more_threads_than_it_has_lanes() {
    let files = narrow(3, 4);
    let database = opened(&files, "greedy").await.database;
    let mut other = files.connect("modest").await;
    let endless = format!("SELECT count(*) FROM ({})", files.endless());
    let mut sessions = Vec::new();
    for _ in 0..10 {
        sessions.push(database.connect().await.unwrap());
    }
    let mut queries: Vec<_> = sessions
        .iter_mut()
        .map(|session| session.run(Request::execute(endless.as_str()), unlimited()))
        .collect();
    for query in &mut queries {
        assert!(query.next().now_or_never().is_none());
    }
    // Four threads in all: the last one is never theirs.
    assert_eq!(integer(&mut *other, "SELECT 1").await, 1);
    query(&mut *other, "CREATE TABLE t (n)").await;
}

#[tokio::test]
async fn readers_that_take_nothing_keep_no_thread_from_others() {
    let files = narrow(8, 2);
    let database = opened(&files, "slow").await.database;
    let mut other = files.connect("modest").await;
    let mut sessions = Vec::new();
    for _ in 0..6 {
        sessions.push(database.connect().await.unwrap());
    }
    let mut queries: Vec<_> = sessions
        .iter_mut()
        .map(|session| session.run(Request::execute(files.endless()), unlimited()))
        .collect();
    for query in &mut queries {
        query.next().await.expect("rows").expect("they are read");
    }
    query(&mut *other, "CREATE TABLE t (n)").await;
    query(&mut *other, "INSERT INTO t VALUES (1)").await;
    // They have lost nothing by it.
    for query in &mut queries {
        for _ in 0..9 {
            assert!(!query.next().await.expect("rows").expect("they are read").rows.is_empty());
        }
    }
}

#[tokio::test]
async fn who_writes_needs_no_lane_and_idle_transactions_take_none() {
    let files = narrow(1, 64);
    let database = opened(&files, "tenant").await.database;
    let (mut one, mut two, mut three) = (
        database.connect().await.unwrap(),
        database.connect().await.unwrap(),
        database.connect().await.unwrap(),
    );
    query(&mut *one, "CREATE TABLE t (n)").await;
    query(&mut *one, "BEGIN").await;
    query(&mut *one, "SELECT * FROM t").await;
    query(&mut *two, "BEGIN").await;
    assert_eq!(integer(&mut *two, "SELECT count(*) FROM t").await, 0);
    let endless = format!("SELECT count(*) FROM ({})", files.endless());
    let mut taken = two.run(Request::execute(endless), unlimited());
    assert!(taken.next().now_or_never().is_none());
    let late = failure(&mut *one, "SELECT 1", within(50)).await;
    assert!(matches!(late, EngineError::TimedOut), "{late:?}");
    query(&mut *three, "INSERT INTO t VALUES (1)").await;
    drop(taken);
    assert_eq!(integer(&mut *three, "SELECT count(*) FROM t").await, 1);
}

#[tokio::test]
async fn one_waits_for_a_round_of_the_others_and_not_for_all_that_they_have_sent() {
    const OTHERS: usize = 20;
    const QUERIES: usize = 8;
    let files = narrow(8, 1);
    let (mut blocker, mut modest) = (files.connect("blocker").await, files.connect("modest").await);
    let (endless, some) = (format!("SELECT count(*) FROM ({})", files.endless()), files.count_to(200_000));
    let mut sessions = Vec::new();
    for other in 0..OTHERS {
        let database = opened(&files, &format!("bully-{other}")).await.database;
        for _ in 0..QUERIES {
            sessions.push(database.connect().await.unwrap());
        }
    }
    let mut blocking = blocker.run(Request::execute(endless), unlimited());
    assert!(blocking.next().now_or_never().is_none());
    let counting = format!("SELECT count(*) FROM ({some})");
    let mut queries: Vec<_> = sessions
        .iter_mut()
        .map(|session| session.run(Request::execute(counting.as_str()), unlimited()))
        .collect();
    for query in &mut queries {
        assert!(query.next().now_or_never().is_none());
    }
    let mut asking = modest.run(Request::execute("SELECT 1"), unlimited());
    assert!(asking.next().now_or_never().is_none());
    drop(blocking);
    asking.next().await.expect("a row").expect("it succeeds");
    let done = queries.iter_mut().filter_map(|query| query.next().now_or_never()).count();
    assert!(done <= 2 * OTHERS, "{done} of {} queries went before", OTHERS * QUERIES);
}
