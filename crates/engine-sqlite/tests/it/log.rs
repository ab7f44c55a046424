//! The write-ahead log stays short.
use crate::support::Files;
use futures::StreamExt;
use futures::future::join_all;
use rowhouse_engine::conformance::{integer, opened, query, run, unlimited};
use rowhouse_engine::{Connection, SessionState};
use rowhouse_engine_sqlite::{Config, Limits};
use rowhouse_types::Request;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// Readers that never leave a gap keep SQLite from beginning its log anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_without_a_gap_do_not_let_the_log_grow() {
    let files = Files::open();
    let database = opened(&files, "tenant").await.database;
    let mut writer = database.connect().await.unwrap();
    query(&mut *writer, "CREATE TABLE t (n, v)").await;
    let fill = "INSERT INTO t WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 4000) SELECT x, randomblob(100) FROM c";
    query(&mut *writer, fill).await;
    let done = AtomicBool::new(false);
    let readers = join_all((0..6).map(async |_| {
        let mut session = database.connect().await.unwrap();
        while !done.load(Ordering::SeqCst) {
            integer(&mut *session, "SELECT count(*) FROM t WHERE v > x'00'").await;
        }
    }));
    let writes = async {
        let mut most = 0;
        for n in 0..300 {
            let request =
                Request::execute(format!("UPDATE t SET v = randomblob(100) WHERE n % 100 = {}", n % 100));
            run(&mut *writer, request, unlimited()).await.unwrap();
            most = most.max(std::fs::metadata(files.path("tenant.db-wal")).unwrap().len());
        }
        done.store(true, Ordering::SeqCst);
        most
    };
    let (_, most) = futures::join!(readers, writes);
    // Without a gap there would be all of them: some forty pages a change.
    assert!(most < 6_000 * 4_120, "the log grew to {} pages", most / 4_120);
}

/// Holds up whoever wakes it: it stands where it has answered and not yet gone on.
struct HoldsUp {
    woken: SyncSender<()>,
    released: Mutex<Receiver<()>>,
}

impl Wake for HoldsUp {
    fn wake(self: Arc<Self>) {
        // The test may be through with it already.
        let _late = self.woken.send(());
        let _late = self.released.lock().expect("nobody panics with it").recv();
    }
}

/// Runs a change, whose thread stands where it has answered until what this returns is dropped.
fn answered_and_held_up(files: &Files, session: &mut dyn Connection) -> SyncSender<()> {
    let (release, released) = sync_channel(1);
    let (woken, wakes) = sync_channel(1);
    let waker = Waker::from(Arc::new(HoldsUp { woken, released: Mutex::new(released) }));
    // It cannot answer before it is listened to.
    let lock = rusqlite::Connection::open(files.path("tenant.db")).expect("opens");
    lock.busy_timeout(Duration::from_secs(5)).expect("a timeout");
    lock.execute_batch("BEGIN IMMEDIATE").expect("nobody writes");
    let mut chunks = session.run(Request::execute("INSERT INTO t VALUES (1)"), unlimited());
    let mut next = pin!(chunks.next());
    assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(lock);
    // It may be woken for the turn first, when the change before is still being followed up.
    let answer = loop {
        wakes.recv().expect("it is woken");
        if let Poll::Ready(answer) = next.as_mut().poll(&mut Context::from_waker(&waker)) {
            break answer;
        }
    };
    assert!(matches!(answer, Some(Ok(_))), "{answer:?}");
    release
}

#[tokio::test]
async fn a_database_is_closed_only_when_nobody_shortens_its_log_any_more() {
    let limits = Limits { wal_pages: 1, ..Limits::default() };
    let files = Files::with(&Config { limits, ..Config::default() });
    let database = opened(&files, "tenant").await.database;
    let (mut writer, mut reader) = (database.connect().await.unwrap(), database.connect().await.unwrap());
    query(&mut *writer, "CREATE TABLE t (n)").await;
    query(&mut *reader, "BEGIN").await;
    query(&mut *reader, "SELECT * FROM t").await;
    // The log is looked at after the sixteenth change.
    for _ in 0..14 {
        query(&mut *writer, "INSERT INTO t VALUES (1)").await;
    }
    let release = answered_and_held_up(&files, &mut *writer);
    reader.close().await;
    writer.close().await;
    let mut closing = database.close();
    let meanwhile = tokio::time::timeout(Duration::from_millis(100), &mut closing).await;
    assert!(meanwhile.is_err(), "its connection is open");
    drop(release);
    closing.await.unwrap();
    assert_eq!(files.names(), ["tenant.db"]);
}

#[tokio::test]
async fn shortening_the_log_after_an_answer_says_nothing_of_what_its_session_does_next() {
    let limits = Limits { wal_pages: 1, ..Limits::default() };
    let files = Files::with(&Config { limits, ..Config::default() });
    let database = opened(&files, "tenant").await.database;
    let (mut writer, mut other, mut reader) = (
        database.connect().await.unwrap(),
        database.connect().await.unwrap(),
        database.connect().await.unwrap(),
    );
    query(&mut *writer, "CREATE TABLE t (n)").await;
    // A snapshot that keeps the log from being emptied.
    query(&mut *reader, "BEGIN").await;
    query(&mut *reader, "SELECT * FROM t").await;
    // The log is looked at after every sixteenth change, be it whose it may.
    for _ in 0..20 {
        let release = answered_and_held_up(&files, &mut *writer);
        query(&mut *writer, "BEGIN").await;
        assert_eq!(writer.state(), SessionState::Transaction);
        drop(release);
        // Whoever writes next comes after the log was shortened.
        for n in 0..2 {
            query(&mut *other, &format!("INSERT INTO t VALUES ({n})")).await;
        }
        assert_eq!(writer.state(), SessionState::Transaction, "it has begun one");
        query(&mut *writer, "ROLLBACK").await;
    }
}
