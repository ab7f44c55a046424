//! Backups and restores.
use super::*;
use crate::{Course, Over, Pace, Restoration, Stamp};
use std::path::Path;

fn course() -> Course {
    Course::new(Pace::Full)
}

async fn restored(
    harness: &impl Harness,
    from: &Path,
    name: &str,
    over: Over,
) -> Result<Location, EngineError> {
    let engine = harness.engine();
    let at = engine.locate(&name.parse().expect("a valid name"));
    engine.restore(&at, Restoration { from, over }, &course()).await.map(|()| at)
}

/// A database with one table `t` of one row, and a connection to it.
async fn with_a_row(harness: &impl Harness, name: &str) -> (Opened, Box<dyn Connection>) {
    let open = opened(harness, name).await;
    let mut connection = open.database.connect().await.expect("connects");
    query(&mut *connection, "CREATE TABLE t (n INTEGER)").await;
    query(&mut *connection, "INSERT INTO t VALUES (1)").await;
    (open, connection)
}

/// While it is open and in a transaction, and when it is closed.
pub async fn a_backup_holds_what_was_committed(harness: &impl Harness) {
    let engine = harness.engine();
    let (Opened { at, database }, mut connection) = with_a_row(harness, "tenant").await;
    query(&mut *connection, "BEGIN").await;
    query(&mut *connection, "INSERT INTO t VALUES (2)").await;
    let (open, own) = (harness.scratch("open"), harness.scratch("own"));
    engine.backup(&at, &open, &course()).await.expect("while it is open");
    database.backup(&own, &course()).await.expect("by itself");
    query(&mut *connection, "COMMIT").await;
    connection.close().await;
    database.close().await.expect("closes");
    let closed = harness.scratch("closed");
    engine.backup(&at, &closed, &course()).await.expect("while it is closed");
    for (name, from, sum) in [("one", open, 1), ("two", own, 1), ("three", closed, 3)] {
        let at = restored(harness, &from, name, Over::Nothing).await.expect("restores");
        let database = engine.open(&at).await.expect("opens");
        let mut connection = database.connect().await.expect("connects");
        assert_eq!(integer(&mut *connection, "SELECT sum(n) FROM t").await, sum, "{name}");
    }
}

/// What is there already stays as it is.
pub async fn a_backup_overwrites_nothing(harness: &impl Harness) {
    let engine = harness.engine();
    let (Opened { at, .. }, _connection) = with_a_row(harness, "tenant").await;
    let to = harness.scratch("backup");
    std::fs::write(&to, "precious").expect("writable");
    assert!(matches!(engine.backup(&at, &to, &course()).await, Err(EngineError::AlreadyExists)));
    assert_eq!(std::fs::read(&to).expect("readable"), b"precious");
}

/// Neither when it is stopped, nor when there is nothing to copy.
pub async fn a_backup_that_fails_leaves_nothing(harness: &impl Harness) {
    let engine = harness.engine();
    let (Opened { at, database }, mut connection) = with_a_row(harness, "tenant").await;
    let to = harness.scratch("backup");
    let stopped = course();
    stopped.stop();
    assert!(matches!(engine.backup(&at, &to, &stopped).await, Err(EngineError::Cancelled)));
    assert!(matches!(database.backup(&to, &stopped).await, Err(EngineError::Cancelled)));
    let nowhere = engine.locate(&"nobody".parse().expect("valid"));
    assert!(matches!(engine.backup(&nowhere, &to, &course()).await, Err(EngineError::NoSuchDatabase)));
    assert!(!to.exists());
    assert_eq!(integer(&mut *connection, "SELECT n FROM t").await, 1);
}

/// Not a database that is there, and not one that appears under another case of letters.
pub async fn a_restore_over_nothing_overwrites_nothing(harness: &impl Harness) {
    let engine = harness.engine();
    let (Opened { at, .. }, mut connection) = with_a_row(harness, "tenant").await;
    let from = harness.scratch("backup");
    engine.backup(&at, &from, &course()).await.expect("backs up");
    query(&mut *connection, "INSERT INTO t VALUES (2)").await;
    let refused = restored(harness, &from, "tenant", Over::Nothing).await;
    assert!(matches!(refused, Err(EngineError::AlreadyExists)), "{refused:?}");
    let refused = restored(harness, &from, "nobody", Over::Existing).await;
    assert!(matches!(refused, Err(EngineError::NoSuchDatabase)), "{refused:?}");
    assert_eq!(integer(&mut *connection, "SELECT sum(n) FROM t").await, 3);
}

/// It is refused while anybody has the database open, and takes effect when nobody has.
pub async fn a_restore_needs_the_database_alone(harness: &impl Harness) {
    let engine = harness.engine();
    let (Opened { at, database }, mut connection) = with_a_row(harness, "tenant").await;
    let from = harness.scratch("backup");
    engine.backup(&at, &from, &course()).await.expect("backs up");
    query(&mut *connection, "INSERT INTO t VALUES (2)").await;
    let refused = restored(harness, &from, "tenant", Over::Existing).await;
    assert!(matches!(refused, Err(EngineError::InUse)), "{refused:?}");
    assert_eq!(integer(&mut *connection, "SELECT sum(n) FROM t").await, 3);
    connection.close().await;
    database.close().await.expect("closes");
    restored(harness, &from, "tenant", Over::Existing).await.expect("restores");
    let database = engine.open(&at).await.expect("opens again");
    let mut connection = database.connect().await.expect("connects");
    assert_eq!(integer(&mut *connection, "SELECT sum(n) FROM t").await, 1);
}

/// And the database stays as it was.
pub async fn what_is_no_backup_is_not_restored(harness: &impl Harness) {
    let engine = harness.engine();
    let (Opened { at, database }, connection) = with_a_row(harness, "tenant").await;
    connection.close().await;
    database.close().await.expect("closes");
    let from = harness.scratch("text");
    std::fs::write(&from, "no backup at all. ".repeat(1000)).expect("writable");
    for (name, over) in [("tenant", Over::Existing), ("new", Over::Nothing)] {
        let refused = restored(harness, &from, name, over).await;
        assert!(matches!(refused, Err(EngineError::BadBackup { .. })), "{refused:?}");
    }
    let new = engine.locate(&"new".parse().expect("valid"));
    assert_eq!(engine.probe(&new).await.expect("probes"), Presence::Absent);
    let database = engine.open(&at).await.expect("opens again");
    let mut connection = database.connect().await.expect("connects");
    assert_eq!(integer(&mut *connection, "SELECT n FROM t").await, 1);
}

/// Databases made by name, and only those.
pub async fn databases_are_listed_by_name(harness: &impl Harness) {
    let engine = harness.engine();
    assert!(engine.list().await.expect("lists").is_empty());
    for name in ["b", "a", "c"] {
        opened(harness, name).await;
    }
    engine.destroy(&engine.locate(&"c".parse().expect("valid"))).await.expect("destroys");
    let names: Vec<_> = engine.list().await.expect("lists").iter().map(ToString::to_string).collect();
    assert_eq!(names, ["a", "b"]);
}

/// A stamp taken before a change is not that of what comes after.
pub async fn a_change_is_a_change_of_the_stamp(harness: &impl Harness) {
    let engine = harness.engine();
    let (Opened { at, database }, mut connection) = with_a_row(harness, "tenant").await;
    for n in 0..20 {
        let before = engine.stamp(&at).await.expect("a stamp");
        let own = database.stamp().await.expect("a stamp").unwrap_or(Stamp::UNKNOWN);
        query(&mut *connection, &format!("INSERT INTO t VALUES ({n})")).await;
        assert!(!engine.stamp(&at).await.expect("a stamp").is_unchanged_since(before));
        let after = database.stamp().await.expect("a stamp").expect("there is content");
        assert!(!after.is_unchanged_since(own));
    }
    let nowhere = engine.locate(&"nobody".parse().expect("valid"));
    assert!(matches!(engine.stamp(&nowhere).await, Err(EngineError::NoSuchDatabase)));
}
