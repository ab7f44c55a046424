//! Files: what counts as a database, and what is left behind.
use crate::support::Files;
use futures::StreamExt;
use rowhouse_engine::conformance::{connected, failure, integer, opened, query, unlimited, within};
use rowhouse_engine::{Condition, Engine, EngineError, Options, Presence, SqlPolicy};
use rowhouse_engine_sqlite::{Config, ExecutorConfig};
use rowhouse_types::{Request, Value};
use std::num::NonZeroUsize;
use std::os::unix::fs::{PermissionsExt, symlink};

#[tokio::test]
async fn s20_links_and_other_things_are_no_databases() {
    let files = Files::open();
    let mut victim = files.connect("victim").await;
    query(&mut *victim, "CREATE TABLE secret (n)").await;
    std::fs::write(files.directory.path().join("outside.db"), "").unwrap();
    symlink(files.path("victim.db"), files.path("soft.db")).unwrap();
    symlink("/nowhere", files.path("dangling.db")).unwrap();
    std::fs::hard_link(files.directory.path().join("outside.db"), files.path("hard.db")).unwrap();
    std::fs::create_dir(files.path("dir.db")).unwrap();
    let fifo = files.path("fifo.db");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    for name in ["soft", "dangling", "hard", "dir", "fifo"] {
        let at = files.at(name);
        assert!(matches!(files.engine.probe(&at).await, Err(EngineError::NotADatabase)), "{name}");
        assert!(matches!(files.engine.open(&at).await, Err(EngineError::NotADatabase)), "{name}");
        assert!(matches!(files.engine.create(&at).await, Err(EngineError::AlreadyExists)), "{name}");
        assert!(matches!(files.engine.destroy(&at).await, Err(EngineError::NotADatabase)), "{name}");
    }
    assert_eq!(integer(&mut *victim, "SELECT count(*) FROM secret").await, 0);
}

#[tokio::test]
async fn s21_names_that_differ_by_case_only_are_taken() {
    let files = Files::open();
    files.engine.create(&files.at("Acme")).await.unwrap();
    assert!(matches!(files.engine.create(&files.at("acme")).await, Err(EngineError::NameTaken)));
    assert!(matches!(files.engine.create(&files.at("Acme")).await, Err(EngineError::AlreadyExists)));
    assert!(matches!(files.engine.open(&files.at("ACME")).await, Err(EngineError::NoSuchDatabase)));
    files.engine.destroy(&files.at("Acme")).await.unwrap();
    files.engine.create(&files.at("acme")).await.unwrap();
    // Two at once: one wins.
    let (one, two) = (files.at("Twin"), files.at("tWIN"));
    let (one, two) = futures::join!(files.engine.create(&one), files.engine.create(&two));
    assert!(matches!(one.err().xor(two.err()), Some(EngineError::NameTaken)));
}

#[tokio::test]
async fn s24_nothing_of_a_destroyed_database_comes_back() {
    let files = Files::open();
    let at = files.at("tenant");
    files.engine.create(&at).await.unwrap();
    for suffix in ["-wal", "-shm", "-journal"] {
        std::fs::write(files.path(&format!("tenant.db{suffix}")), "stale").unwrap();
    }
    files.engine.destroy(&at).await.unwrap();
    assert!(files.names().is_empty());
    std::fs::write(files.path("tenant.db-wal"), "stale").unwrap();
    for _ in 0..20 {
        let mut connection = connected(&files, "tenant").await;
        query(&mut *connection, "CREATE TABLE t (n)").await;
        query(&mut *connection, "INSERT INTO t VALUES (1)").await;
        connection.close().await;
        files.engine.destroy(&at).await.unwrap();
    }
    assert!(files.names().is_empty());
}

#[tokio::test]
async fn nothing_is_left_beside_a_closed_database() {
    let files = Files::open();
    let database = opened(&files, "tenant").await.database;
    let mut one = database.connect().await.unwrap();
    let two = database.connect().await.unwrap();
    query(&mut *one, "CREATE TABLE t (n)").await;
    query(&mut *one, "INSERT INTO t VALUES (1)").await;
    assert!(files.names().contains(&"tenant.db-wal".to_owned()));
    assert!(database.size().await.unwrap() > std::fs::metadata(files.path("tenant.db")).unwrap().len());
    one.close().await;
    two.close().await;
    database.close().await.unwrap();
    assert_eq!(files.names(), ["tenant.db"]);
    let raw = rusqlite::Connection::open(files.path("tenant.db")).unwrap();
    assert_eq!(raw.query_row("SELECT n FROM t", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
}

#[tokio::test]
async fn an_opened_and_unused_database_leaves_nothing_beside_it() {
    let files = Files::open();
    opened(&files, "tenant").await.database.close().await.unwrap();
    assert_eq!(files.names(), ["tenant.db"]);
}

#[tokio::test]
async fn commits_reach_the_disk() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    assert_eq!(query(&mut *connection, "PRAGMA journal_mode").await, [[Value::Text("wal".into())]]);
    assert_eq!(integer(&mut *connection, "PRAGMA synchronous").await, 2);
    let mode = std::fs::metadata(files.path("tenant.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::metadata(files.path("")).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_told_at_opening() {
    let files = Files::open();
    std::fs::write(files.path("text.db"), "no database at all. ".repeat(500)).unwrap();
    let error = files.engine.open(&files.at("text")).await.unwrap_err();
    assert!(matches!(error, EngineError::Statement { condition: Condition::NotADatabase, .. }), "{error:?}");
    assert_eq!(error.to_string(), "file is not a database");
}

#[tokio::test]
async fn an_empty_file_is_a_database() {
    let files = Files::open();
    std::fs::write(files.path("empty.db"), "").unwrap();
    let mut connection = files.engine.open(&files.at("empty")).await.unwrap().connect().await.unwrap();
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM sqlite_schema").await, 0);
}

#[tokio::test]
async fn a_data_directory_that_vanished_and_came_back_is_used_again() {
    let files = Files::open();
    files.engine.create(&files.at("tenant")).await.unwrap();
    std::fs::rename(files.path(""), files.directory.path().join("away")).unwrap();
    assert!(matches!(files.engine.probe(&files.at("tenant")).await, Err(EngineError::Storage(_))));
    assert!(matches!(files.engine.create(&files.at("other")).await, Err(EngineError::Storage(_))));
    std::fs::create_dir(files.path("")).unwrap();
    assert_eq!(files.engine.probe(&files.at("tenant")).await.unwrap(), Presence::Absent);
    files.engine.create(&files.at("other")).await.unwrap();
    std::fs::remove_dir_all(files.path("")).unwrap();
    std::fs::rename(files.directory.path().join("away"), files.path("")).unwrap();
    assert_eq!(files.engine.probe(&files.at("tenant")).await.unwrap(), Presence::Present);
}

#[tokio::test]
async fn a_file_replaced_while_open_is_not_taken_for_the_old_one() {
    let files = Files::open();
    let database = opened(&files, "tenant").await.database;
    let mut connection = database.connect().await.unwrap();
    connection.ping().await.unwrap();
    database.verify().unwrap();
    std::fs::rename(files.path("tenant.db"), files.path("old.db")).unwrap();
    assert!(matches!(connection.ping().await, Err(EngineError::Replaced)));
    std::fs::write(files.path("tenant.db"), "").unwrap();
    assert!(matches!(connection.ping().await, Err(EngineError::Replaced)));
    assert!(matches!(database.verify(), Err(EngineError::Replaced)));
    let mut another = database.connect().await.unwrap();
    let error = failure(&mut *another, "SELECT 1", unlimited()).await;
    assert!(matches!(error, EngineError::Replaced), "{error:?}");
}

#[tokio::test]
async fn nothing_is_begun_on_a_file_that_was_moved_and_the_request_comes_back() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    query(&mut *connection, "CREATE TABLE t (n)").await;
    let insert = Request::execute("INSERT INTO t VALUES (1)");
    for spoil in [
        |files: &Files| std::fs::rename(files.path("tenant.db"), files.path("old.db")).unwrap(),
        |files: &Files| std::fs::write(files.path("tenant.db"), "").unwrap(),
        |files: &Files| std::fs::rename(files.path(""), files.directory.path().join("away")).unwrap(),
    ] {
        spoil(&files);
        let options = Options {
            deadline: None,
            policy: SqlPolicy::Standard,
            foreign_keys: false,
            max_rows: None,
            max_bytes: None,
        };
        let first = connection.run(insert.clone(), options).next().await.unwrap();
        assert!(matches!(first, Err(EngineError::Replaced)), "{first:?}");
        assert_eq!(connection.take_back(), Some(insert.clone()));
        assert_eq!(connection.take_back(), None);
    }
}

#[tokio::test]
async fn what_was_committed_goes_where_the_file_went_and_its_log_meets_no_other_file() {
    let files = Files::open();
    let database = opened(&files, "tenant").await.database;
    let mut one = database.connect().await.unwrap();
    let mut two = database.connect().await.unwrap();
    query(&mut *one, "CREATE TABLE t (n)").await;
    query(&mut *one, "INSERT INTO t VALUES (1)").await;
    // The other one holds something of its borrower's, so it cannot simply be made fresh.
    query(&mut *two, "CREATE TEMP TABLE mine (n)").await;
    std::fs::rename(files.path("tenant.db"), files.path("old.db")).unwrap();
    let fresh = rusqlite::Connection::open(files.directory.path().join("fresh.db")).unwrap();
    fresh.execute_batch("CREATE TABLE other (n); INSERT INTO other VALUES (2)").unwrap();
    fresh.close().unwrap();
    std::fs::rename(files.directory.path().join("fresh.db"), files.path("tenant.db")).unwrap();
    assert!(matches!(two.reset().await, Err(EngineError::Replaced)));
    one.close().await;
    two.close().await;
    database.close().await.unwrap();
    let database = files.engine.open(&files.at("tenant")).await.unwrap();
    let mut connection = database.connect().await.unwrap();
    assert_eq!(integer(&mut *connection, "SELECT n FROM other").await, 2);
    let database = files.engine.open(&files.at("old")).await.unwrap();
    let mut connection = database.connect().await.unwrap();
    assert_eq!(integer(&mut *connection, "SELECT n FROM t").await, 1);
}

#[tokio::test]
async fn a_file_renamed_while_open_is_opened_under_its_new_name_only_when_it_is_closed() {
    let files = Files::open();
    let database = opened(&files, "tenant").await.database;
    let mut connection = database.connect().await.unwrap();
    query(&mut *connection, "CREATE TABLE t (n)").await;
    std::fs::rename(files.path("tenant.db"), files.path("renamed.db")).unwrap();
    let refused = files.engine.open(&files.at("renamed")).await;
    assert!(matches!(refused, Err(EngineError::OpenElsewhere)), "{refused:?}");
    connection.close().await;
    database.close().await.unwrap();
    let database = files.engine.open(&files.at("renamed")).await.unwrap();
    let mut connection = database.connect().await.unwrap();
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM t").await, 0);
}

#[tokio::test]
async fn open_databases_take_no_thread() {
    let one = ExecutorConfig { max_threads: NonZeroUsize::MIN, ..ExecutorConfig::default() };
    let files = Files::on(&Config::default(), one);
    let mut open = Vec::new();
    for n in 0..100 {
        open.push(opened(&files, &format!("t{n}")).await);
    }
    let mut last = open[99].database.connect().await.unwrap();
    assert_eq!(integer(&mut *last, "SELECT 1").await, 1, "the only thread is free");
    assert_eq!(files.executor.threads(), 1);
}

/// How many rounds: more in the soak.
fn rounds(in_ci: usize, in_soak: usize) -> usize {
    if std::env::var_os("ROWHOUSE_SOAK").is_some() { in_soak } else { in_ci }
}

#[tokio::test]
async fn s19_soak_every_name_is_a_file_of_the_data_directory() {
    let files = Files::open();
    let root = files.path("").canonicalize().unwrap();
    let alphabet: Vec<char> = "aAzZ019_-./\\%:?#~ \0\n\tnulcom1\u{e9}\u{ff21}\u{202e}".chars().collect();
    let mut seed: u64 = 0x1234_5678_9abc_def1;
    let mut accepted = 0;
    for _ in 0..rounds(20_000, 1_000_000) {
        let mut next = |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            usize::try_from(seed % below as u64).unwrap()
        };
        let most = if next(4) == 0 { 70 } else { 6 };
        let length = next(most);
        let tame = next(2) == 0;
        let text: String =
            (0..length).map(|_| alphabet[next(if tame { 9 } else { alphabet.len() })]).collect();
        let Ok(name) = text.parse::<rowhouse_types::DatabaseName>() else { continue };
        accepted += 1;
        let path = std::path::PathBuf::from(files.engine.locate(&name).0);
        assert_eq!(path.parent(), Some(&*root), "{text:?}");
        assert_eq!(path.file_name().and_then(|file| file.to_str()), Some(&*format!("{text}.db")));
    }
    assert!(accepted > 1_000, "{accepted}");
    assert_eq!(files.names(), Vec::<String>::new());
}

#[tokio::test]
async fn s24_soak_no_row_of_a_destroyed_database_is_ever_seen_again() {
    let files = Files::open();
    let at = files.at("tenant");
    // Readers of earlier lives, which still hold their files open.
    let mut readers = std::collections::VecDeque::new();
    for round in 0..rounds(150, 1_000) {
        let mut connection = connected(&files, "tenant").await;
        let old = integer(&mut *connection, "SELECT count(*) FROM sqlite_schema").await;
        assert_eq!(old, 0, "round {round}");
        query(&mut *connection, &format!("CREATE TABLE life AS SELECT {round} AS n")).await;
        let raw = rusqlite::Connection::open(files.path("tenant.db")).unwrap();
        raw.execute_batch("BEGIN; SELECT * FROM life;").unwrap();
        assert_eq!(
            raw.query_row("SELECT n FROM life", [], |row| row.get::<_, i64>(0)).unwrap(),
            round as i64
        );
        readers.push_back(raw);
        if readers.len() > 8 {
            // It closes its log only now, under a name that is another database's.
            drop(readers.pop_front());
        }
        connection.close().await;
        files.engine.destroy(&at).await.unwrap();
        assert_eq!(files.engine.probe(&at).await.unwrap(), Presence::Absent);
    }
    drop(readers);
    assert_eq!(files.names(), Vec::<String>::new());
}

#[tokio::test]
async fn who_held_the_turn_to_write_to_a_file_that_was_replaced_passes_it_on() {
    let files = Files::open();
    let database = opened(&files, "tenant").await.database;
    let (mut holder, mut other) = (database.connect().await.unwrap(), database.connect().await.unwrap());
    query(&mut *holder, "CREATE TABLE t (n)").await;
    query(&mut *holder, "CREATE TEMP TABLE mine (n)").await;
    query(&mut *holder, "BEGIN IMMEDIATE").await;
    std::fs::rename(files.path("tenant.db"), files.path("old.db")).unwrap();
    std::fs::write(files.path("tenant.db"), "").unwrap();
    assert!(holder.reset().await.is_err(), "there is no connection to be had any more");
    let error = failure(&mut *other, "INSERT INTO t VALUES (1)", within(5_000)).await;
    assert!(matches!(error, EngineError::Replaced), "{error:?}");
}

#[tokio::test]
async fn what_a_session_left_on_a_file_that_was_moved_and_put_back_is_nobody_elses() {
    let files = Files::open();
    let database = opened(&files, "tenant").await.database;
    let (mut holder, mut other) = (database.connect().await.unwrap(), database.connect().await.unwrap());
    query(&mut *holder, "CREATE TABLE t (n)").await;
    query(&mut *holder, "CREATE TEMP TABLE mine (n)").await;
    query(&mut *holder, "BEGIN IMMEDIATE").await;
    query(&mut *holder, "INSERT INTO t VALUES (1)").await;
    std::fs::rename(files.path("tenant.db"), files.path("old.db")).unwrap();
    holder.close().await;
    std::fs::rename(files.path("old.db"), files.path("tenant.db")).unwrap();
    let error = failure(&mut *other, "SELECT * FROM mine", within(5_000)).await;
    assert_eq!(error.to_string(), "no such table: mine");
    assert_eq!(integer(&mut *other, "SELECT count(*) FROM t").await, 0);
    assert_eq!(other.state(), rowhouse_engine::SessionState::Clean);
    drop(other);
    database.close().await.unwrap();
}
