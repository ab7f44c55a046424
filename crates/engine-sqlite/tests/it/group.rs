//! Changes that wait for the turn together are committed together.
use crate::support::Files;
use futures::future::join_all;
use futures::{FutureExt, StreamExt};
use rowhouse_engine::conformance::{failure, integer, opened, query, run, unlimited, within};
use rowhouse_engine::{Connection, Database, EngineError, Outcome, SessionState, SqlPolicy};
use rowhouse_types::{Arguments, Request, Value};
use std::sync::Arc;
use std::time::{Duration, Instant};

type Ran = Result<(Vec<Vec<Value>>, Outcome), EngineError>;

/// A database with a table, and somebody who is writing to it.
struct Crowd {
    files: Files,
    database: Arc<dyn Database>,
    holder: Box<dyn Connection>,
}

impl Crowd {
    async fn new(schema: &str) -> Self {
        let files = Files::open();
        let database = opened(&files, "tenant").await.database;
        let mut holder = database.connect().await.expect("connects");
        run(&mut *holder, Request::script(schema), unlimited()).await.expect("a schema");
        Self { files, database, holder }
    }

    /// Runs each request on a session of its own, all waiting before the first may begin.
    async fn together(&mut self, requests: Vec<Request>) -> Vec<Ran> {
        query(&mut *self.holder, "BEGIN IMMEDIATE").await;
        let mut sessions = Vec::new();
        for _ in &requests {
            sessions.push(self.database.connect().await.expect("connects"));
        }
        let mut waiting: Vec<_> = sessions
            .iter_mut()
            .zip(requests)
            .map(|(session, request)| run(&mut **session, request, unlimited()).boxed())
            .collect();
        for each in &mut waiting {
            assert!(each.now_or_never().is_none(), "it waits");
        }
        query(&mut *self.holder, "COMMIT").await;
        join_all(waiting).await
    }

    fn log_bytes(&self) -> u64 {
        std::fs::metadata(self.files.path("tenant.db-wal")).map_or(0, |log| log.len())
    }

    async fn integer(&mut self, sql: &str) -> i64 {
        integer(&mut *self.holder, sql).await
    }
}

fn insert(values: &str) -> Request {
    Request::execute(format!("INSERT INTO t VALUES {values}"))
}

#[tokio::test]
async fn those_who_wait_together_are_committed_together() {
    let mut crowd = Crowd::new("CREATE TABLE t (n INTEGER PRIMARY KEY)").await;
    let before = crowd.log_bytes();
    let ran = crowd.together((1..=50).map(|n| insert(&format!("({n})"))).collect()).await;
    for (n, ran) in (1..).zip(ran) {
        let outcome = ran.unwrap().1;
        let expected =
            Outcome { affected: Some(1), changed: 1, last_insert_id: n, rows_read: 0, rows_written: 1 };
        assert_eq!(outcome, expected);
    }
    let page = 4096 + 24;
    let written = (crowd.log_bytes() - before) / page;
    assert!(written < 10, "{written} pages were logged for what fits one");
    assert_eq!(crowd.integer("SELECT count(*) FROM t").await, 50);
}

#[tokio::test]
async fn an_error_in_one_leaves_the_others() {
    let mut crowd = Crowd::new(
        "CREATE TABLE t (n INTEGER PRIMARY KEY ON CONFLICT ABORT, m);
         CREATE TRIGGER refuse AFTER INSERT ON t WHEN new.m = 'refuse' BEGIN SELECT RAISE(ABORT, 'refused'); END;
         CREATE TRIGGER undo AFTER INSERT ON t WHEN new.m = 'undo' BEGIN SELECT RAISE(ROLLBACK, 'undone'); END;",
    )
    .await;
    let sets = [7, 8, 7].map(|n| Arguments::Positional(vec![Value::Integer(n)])).to_vec();
    let ran = crowd
        .together(vec![
            insert("(1, 'a')"),
            insert("(1, 'b')"),
            insert("(2, 'c'), (1, 'd')"),
            insert("(3, 'e'), (4, 'refuse')"),
            Request::execute("INSERT OR FAIL INTO t VALUES (5, 'kept'), (1, 'f')"),
            insert("(6, 'g')"),
            Request::Repeat { sql: "INSERT INTO t VALUES (?, 'h')".into(), sets },
            Request::execute("INSERT INTO nowhere VALUES (1)"),
            Request::execute("INSERT INTO t VALUES (9, 'i') RETURNING n"),
            Request::execute("INSERT OR ROLLBACK INTO t VALUES (1, 'j')"),
            insert("(10, 'undo')"),
            insert("(11, 'k')"),
        ])
        .await;
    let well: Vec<bool> = ran.iter().map(Result::is_ok).collect();
    let (y, n) = (true, false);
    assert_eq!(well, [y, n, n, n, n, y, n, n, y, n, n, y]);
    assert_eq!(ran[8].as_ref().unwrap().0, [[Value::Integer(9)]]);
    assert_eq!(ran[10].as_ref().unwrap_err().to_string(), "undone");
    let rows = query(&mut *crowd.holder, "SELECT group_concat(n) FROM (SELECT n FROM t ORDER BY n)").await;
    // As each would by itself: FAIL keeps what went before it.
    assert_eq!(rows, [[Value::Text("1,5,6,9,11".into())]]);
}

#[tokio::test]
async fn nobody_waits_long_for_the_slow_one_among_them() {
    let mut crowd = Crowd::new("CREATE TABLE t (n)").await;
    let sum = "INSERT INTO t SELECT max(x) FROM (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 3000000) SELECT x FROM c)";
    query(&mut *crowd.holder, "BEGIN IMMEDIATE").await;
    let mut sessions = Vec::new();
    for _ in 0..4 {
        sessions.push(crowd.database.connect().await.unwrap());
    }
    let begun = Instant::now();
    let mut requests = [insert("(1)"), insert("(2)"), Request::execute(sum), insert("(4)")].into_iter();
    let mut ended: Vec<_> = sessions
        .iter_mut()
        .map(|session| {
            let request = requests.next().unwrap();
            run(&mut **session, request, unlimited()).map(|ran| ran.map(|_| Instant::now())).boxed()
        })
        .collect();
    for each in &mut ended {
        assert!(each.now_or_never().is_none(), "it waits");
    }
    query(&mut *crowd.holder, "COMMIT").await;
    let ended: Vec<Instant> = join_all(ended).await.into_iter().map(Result::unwrap).collect();
    let slow = ended[2] - ended[1];
    assert!(ended[0] < ended[2] && ended[1] < ended[2] && ended[2] <= ended[3], "{ended:?} since {begun:?}");
    assert!(Duration::from_millis(20) < slow, "the slow one was not slow: {slow:?}");
    assert_eq!(crowd.integer("SELECT count(*) FROM t").await, 4);
    assert_eq!(crowd.integer("SELECT max(n) FROM t").await, 3_000_000);
}

#[tokio::test]
async fn a_deadline_met_among_others_undoes_only_its_own() {
    let mut crowd = Crowd::new("CREATE TABLE t (n)").await;
    let endless = format!("INSERT INTO t SELECT max(x) FROM ({ENDLESS})");
    query(&mut *crowd.holder, "BEGIN IMMEDIATE").await;
    let (mut one, mut two, mut three) = (
        crowd.database.connect().await.unwrap(),
        crowd.database.connect().await.unwrap(),
        crowd.database.connect().await.unwrap(),
    );
    let mut first = run(&mut *one, insert("(1)"), unlimited()).boxed();
    let mut late = failure(&mut *two, &endless, within(300)).boxed();
    let mut last = run(&mut *three, insert("(3)"), unlimited()).boxed();
    assert!((&mut first).now_or_never().is_none());
    assert!((&mut late).now_or_never().is_none());
    assert!((&mut last).now_or_never().is_none());
    query(&mut *crowd.holder, "COMMIT").await;
    let (first, late, last) = futures::join!(first, late, last);
    assert!(matches!(late, EngineError::TimedOut), "{late:?}");
    assert!(first.is_ok() && last.is_ok());
    assert_eq!(crowd.integer("SELECT sum(n) FROM t").await, 4);
}

#[tokio::test]
async fn who_leaves_while_waiting_changes_nothing() {
    let mut crowd = Crowd::new("CREATE TABLE t (n)").await;
    query(&mut *crowd.holder, "BEGIN IMMEDIATE").await;
    let (mut gone, mut stays) =
        (crowd.database.connect().await.unwrap(), crowd.database.connect().await.unwrap());
    let mut left = gone.run(insert("(1)"), unlimited());
    assert!(left.next().now_or_never().is_none());
    let mut stayed = run(&mut *stays, insert("(2)"), unlimited()).boxed();
    assert!((&mut stayed).now_or_never().is_none());
    drop(left);
    assert_ne!(gone.state(), SessionState::Clean, "known only when it has ended");
    query(&mut *crowd.holder, "COMMIT").await;
    stayed.await.unwrap();
    gone.reset().await.unwrap();
    assert_eq!(gone.state(), SessionState::Clean);
    assert_eq!(integer(&mut *gone, "SELECT sum(n) FROM t").await, 2);
}

#[tokio::test]
async fn a_result_that_fills_more_than_a_chunk_comes_whole() {
    let mut crowd = Crowd::new("CREATE TABLE t (n)").await;
    let many = "INSERT INTO t WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 2000) SELECT x FROM c RETURNING n";
    let ran = crowd.together(vec![insert("(0)"), insert("(0)"), Request::execute(many), insert("(0)")]).await;
    let rows: Vec<usize> = ran.iter().map(|ran| ran.as_ref().unwrap().0.len()).collect();
    assert_eq!(rows, [0, 0, 2000, 0]);
    assert_eq!(crowd.integer("SELECT count(*) FROM t").await, 2003);
}

#[tokio::test]
async fn what_fits_at_first_and_not_when_it_is_run_once_more_is_run_alone() {
    let mut crowd = Crowd::new("CREATE TABLE t (n)").await;
    let slow = "INSERT INTO t SELECT max(x) FROM (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 500000) SELECT x FROM c)";
    // Few rows or many, as chance will have it.
    let uncertain = "INSERT INTO t WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 600) SELECT x FROM c LIMIT 600 * (random() & 1) RETURNING n";
    let mut there = 0;
    for _ in 0..20 {
        let requests = [uncertain, slow, "INSERT INTO t VALUES (0)"].map(Request::execute).to_vec();
        let ran = crowd.together(requests).await;
        there += ran[0].as_ref().unwrap().0.len() + 2;
        assert!(ran.iter().all(Result::is_ok), "{ran:?}");
    }
    assert_eq!(crowd.integer("SELECT count(*) FROM t").await, i64::try_from(there).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_that_went_to_a_file_which_was_replaced() {
    let mut crowd = Crowd::new("CREATE TABLE t (n)").await;
    let path = crowd.files.path("tenant.db");
    query(&mut *crowd.holder, "BEGIN IMMEDIATE").await;
    let (mut one, mut two) =
        (crowd.database.connect().await.unwrap(), crowd.database.connect().await.unwrap());
    {
        // Long enough for the file to be replaced meanwhile.
        let slow = format!("INSERT INTO t SELECT max(x) FROM ({ENDLESS} LIMIT 8000000)");
        let mut first = failure(&mut *one, &slow, unlimited()).boxed();
        let mut second = failure(&mut *two, "INSERT INTO t VALUES (1)", unlimited()).boxed();
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
        query(&mut *crowd.holder, "COMMIT").await;
        assert!((&mut first).now_or_never().is_none());
        let probe = rusqlite::Connection::open(&path).unwrap();
        probe.busy_timeout(Duration::ZERO).unwrap();
        while probe.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok() {
            assert!((&mut first).now_or_never().is_none(), "it was not slow");
        }
        // It is writing now.
        std::fs::rename(&path, crowd.files.path("moved.db")).unwrap();
        std::fs::write(&path, "").unwrap();
        let (first, second) = futures::join!(first, second);
        assert!(matches!(first, EngineError::Replaced), "{first:?}");
        assert!(matches!(second, EngineError::Replaced), "{second:?}");
    }
    assert!(one.take_back().is_some() && two.take_back().is_some(), "to be run on what is there now");
}

#[tokio::test]
async fn each_is_judged_by_its_own_policy() {
    let mut crowd = Crowd::new("CREATE TABLE t (n)").await;
    query(&mut *crowd.holder, "INSERT INTO t VALUES (1)").await;
    query(&mut *crowd.holder, "BEGIN IMMEDIATE").await;
    let guarded = rowhouse_engine::Options { policy: SqlPolicy::Guarded, ..unlimited() };
    let (mut one, mut two) =
        (crowd.database.connect().await.unwrap(), crowd.database.connect().await.unwrap());
    let mut allowed = run(&mut *one, insert("(2)"), unlimited()).boxed();
    let mut denied = failure(&mut *two, "DELETE FROM t", guarded).boxed();
    assert!((&mut allowed).now_or_never().is_none() && (&mut denied).now_or_never().is_none());
    query(&mut *crowd.holder, "COMMIT").await;
    let (allowed, denied) = futures::join!(allowed, denied);
    assert!(allowed.is_ok());
    assert_eq!(denied.to_string(), "not authorized");
    assert_eq!(crowd.integer("SELECT count(*) FROM t").await, 2);
}

/// What is checked at the end only is the failure of who broke it, and of nobody who wrote beside it.
#[tokio::test]
async fn a_foreign_key_broken_at_the_end_fails_its_own_request_only() {
    let mut crowd = Crowd::new(
        "CREATE TABLE p (n INTEGER PRIMARY KEY);
         CREATE TABLE c (n REFERENCES p DEFERRABLE INITIALLY DEFERRED); INSERT INTO p VALUES (1)",
    )
    .await;
    query(&mut *crowd.holder, "BEGIN IMMEDIATE").await;
    let wanting = rowhouse_engine::Options { foreign_keys: true, ..unlimited() };
    let mut sessions = Vec::new();
    for _ in 0..6 {
        sessions.push(crowd.database.connect().await.unwrap());
    }
    // The third breaks it; the sixth does not care.
    let mut running: Vec<_> = sessions
        .iter_mut()
        .zip([(1, true), (1, true), (7, true), (1, true), (1, true), (8, false)])
        .map(|(session, (n, wants))| {
            let sql = format!("INSERT INTO c VALUES ({n})");
            let options = if wants { wanting } else { unlimited() };
            async move { run(&mut **session, Request::execute(sql), options).await.map(drop) }.boxed()
        })
        .collect();
    for waiting in &mut running {
        assert!(waiting.now_or_never().is_none());
    }
    query(&mut *crowd.holder, "COMMIT").await;
    let came_out: Vec<_> = join_all(running).await.iter().map(Result::is_ok).collect();
    assert_eq!(came_out, [true, true, false, true, true, true]);
    assert_eq!(crowd.integer("SELECT sum(n) FROM c").await, 4 + 8);
}

/// Many sessions, all kinds of requests, and some who leave: what was acknowledged is there once,
/// and nothing else is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_is_applied_once_and_refused_not_at_all() {
    let schema = "CREATE TABLE t (id INTEGER PRIMARY KEY, who, n); INSERT INTO t VALUES (0, -1, 0)";
    let crowd = Crowd::new(schema).await;
    let sessions = (0..24_i64).map(async |who| {
        let mut session = crowd.database.connect().await.unwrap();
        let mut acknowledged = 0;
        for n in 0..40_i64 {
            let sql = match (who + n) % 8 {
                0 => {
                    format!("INSERT OR ROLLBACK INTO t VALUES (0, {who}, {n})")
                }
                1 => format!("WITH x AS (SELECT {n}) INSERT INTO t (who, n) SELECT {who}, * FROM x"),
                2 => format!("INSERT INTO t (who, n) VALUES ({who}, {n}) RETURNING id"),
                3 => {
                    query(&mut *session, "BEGIN").await;
                    query(&mut *session, &format!("INSERT INTO t (who, n) VALUES ({who}, {n})")).await;
                    "COMMIT".to_owned()
                }
                4 => {
                    // Leaves at once: it takes effect or not, but holds up nobody.
                    let stray = Request::execute(format!("UPDATE t SET n = n WHERE who = {who}"));
                    drop(session.run(stray, unlimited()));
                    continue;
                }
                _ => format!("INSERT INTO t (who, n) VALUES ({who}, {n})"),
            };
            match run(&mut *session, Request::execute(sql), unlimited()).await {
                Ok(_) => acknowledged += 1,
                Err(error) => assert!(error.to_string().starts_with("UNIQUE"), "{error}"),
            }
        }
        (who, acknowledged)
    });
    let tallies = join_all(sessions).await;
    let mut reader = crowd.database.connect().await.unwrap();
    for (who, acknowledged) in tallies {
        let there = integer(&mut *reader, &format!("SELECT count(*) FROM t WHERE who = {who}")).await;
        assert_eq!(there, acknowledged, "of session {who}");
    }
    assert_eq!(query(&mut *reader, "PRAGMA integrity_check").await, [[Value::Text("ok".into())]]);
}

const ENDLESS: &str = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c";
