//! Workers come and go.
use crate::support::Files;
use futures::StreamExt;
use rowhouse_engine::conformance::{Harness, Opened, connected, integer, opened, query, unlimited};
use rowhouse_engine::{Connection, Database, Engine, EngineError, Processes, SessionState};
use rowhouse_engine_sqlite::{Config, Executor, ExecutorConfig, SqliteEngine};
use rowhouse_engine_worker::{Launch, WorkerEngine};
use rowhouse_types::Request;
use rustix::process::{Pid, Signal, kill_process};
use std::sync::Arc;

fn kill(database: &Arc<dyn Database>) {
    let process = database.process().expect("it runs in one");
    kill_process(Pid::from_raw(process.id.cast_signed()).expect("not zero"), Signal::KILL).expect("it runs");
}

async fn gone(database: &Arc<dyn Database>) {
    while database.process().expect("it ran in one").running {
        tokio::task::yield_now().await;
    }
}

/// An engine whose workers are another program.
fn engine_of(program: &str, files: &Files) -> WorkerEngine {
    let config = Config { data_directory: Some(files.path("")), ..Config::default() };
    let inner = SqliteEngine::new(config, Executor::new(ExecutorConfig::default())).expect("an engine");
    let launch = Launch {
        program: program.into(),
        arguments: Vec::new(),
        environment: Vec::new(),
        engine: Vec::new(),
        memory: None,
    };
    WorkerEngine::new(Arc::new(inner), launch)
}

#[tokio::test]
async fn a_program_that_is_no_worker_opens_nothing_and_says_why() {
    let files = Files::open();
    let Opened { at, database } = opened(&files, "tenant").await;
    database.close().await.expect("closes");
    for (program, why) in [("/nowhere/rowhouse", "No such file"), ("/bin/false", "ended with code 1")] {
        let engine = engine_of(program, &files);
        let error = engine.open(&at).await.expect_err("no worker");
        let EngineError::NoProcess(source) = &error else { panic!("{program}: {error:?}") };
        assert!(source.to_string().contains(why), "{program}: {source}");
        engine.shut_down().await;
        assert_eq!(engine.processes().expect("counts").running, 0);
    }
}

#[tokio::test]
async fn a_request_that_was_never_begun_is_given_back_when_the_process_has_ended() {
    let files = Files::open();
    let Opened { database, .. } = opened(&files, "tenant").await;
    let mut connection = database.connect().await.expect("connects");
    query(&mut *connection, "CREATE TABLE t (n INTEGER)").await;
    kill(&database);
    gone(&database).await;
    assert!(matches!(database.verify(), Err(EngineError::ProcessEnded)));
    let request = Request::execute("INSERT INTO t VALUES (1)");
    let ran = connection.run(request.clone(), unlimited()).next().await.expect("an end");
    assert!(matches!(ran, Err(EngineError::ProcessEnded)), "{ran:?}");
    assert_eq!(connection.take_back(), Some(request));
    assert_eq!(connection.take_back(), None, "once");
    assert!(matches!(connection.reset().await, Err(EngineError::ProcessEnded)));
    assert!(matches!(database.connect().await, Err(EngineError::ProcessEnded)));
    // Why is told to who closes it.
    let Err(EngineError::NoProcess(why)) = database.close().await else { panic!("it did not close cleanly") };
    assert!(why.to_string().contains("signal 9"), "{why}");
}

#[tokio::test]
async fn a_request_that_may_have_begun_is_not_given_back() {
    let files = Files::open();
    let Opened { at, database } = opened(&files, "tenant").await;
    let mut connection = database.connect().await.expect("connects");
    let mut chunks = connection.run(Request::execute(files.endless()), unlimited());
    chunks.next().await.expect("a chunk").expect("of rows");
    kill(&database);
    let error = loop {
        match chunks.next().await.expect("ends with an error") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(error, EngineError::ProcessEnded), "{error:?}");
    assert!(chunks.next().await.is_none());
    drop(chunks);
    assert_eq!((connection.take_back(), connection.state()), (None, SessionState::Stateful));
    drop((connection, database));
    let database = files.engine.open(&at).await.expect("opens again");
    assert_eq!(database.process().map(|process| process.ended_before), Some(1));
    assert_eq!(integer(&mut *database.connect().await.expect("connects"), "SELECT 1").await, 1);
}

#[tokio::test]
async fn no_process_is_left_when_nobody_uses_its_database() {
    let files = Files::open();
    let mut forgotten = connected(&files, "forgotten").await;
    query(&mut *forgotten, "BEGIN").await;
    drop(forgotten);
    let Opened { database, .. } = opened(&files, "closed").await;
    database.close().await.expect("closes");
    assert!(matches!(database.connect().await, Err(EngineError::Closed)));
    files.engine.shut_down().await;
    let counts = files.engine.processes().expect("counts");
    assert_eq!(counts, Processes { running: 0, started: 2, ended: 0 });
}

#[tokio::test]
async fn a_chunk_longer_than_the_socket_has_room_for_arrives_whole() {
    let files = Files::open();
    let mut connection: Box<dyn Connection> = connected(&files, "tenant").await;
    let sql = "SELECT length(b) FROM (SELECT zeroblob(30000000) AS b)";
    assert_eq!(integer(&mut *connection, sql).await, 30_000_000);
    let rows = query(&mut *connection, "SELECT randomblob(30000000), hex(zeroblob(2000000))").await;
    let [rowhouse_types::Value::Blob(blob), rowhouse_types::Value::Text(text)] = &rows[0][..] else {
        panic!("a blob and a text")
    };
    assert_eq!((blob.len(), text.len()), (30_000_000, 4_000_000));
}
