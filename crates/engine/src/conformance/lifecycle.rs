//! Databases come and go.
use super::*;

/// Create, probe, open and destroy, in this order.
pub async fn a_database_is_made_found_opened_and_destroyed(harness: &impl Harness) {
    let engine = harness.engine();
    let at = engine.locate(&"tenant".parse().expect("valid"));
    assert_eq!(engine.probe(&at).await.expect("probes"), Presence::Absent);
    engine.create(&at).await.expect("creates");
    assert_eq!(engine.probe(&at).await.expect("probes"), Presence::Present);
    let size = engine.size(&at).await;
    let database = engine.open(&at).await.expect("opens");
    let mut connection = database.connect().await.expect("connects");
    connection.ping().await.expect("answers");
    assert_eq!(integer(&mut *connection, "SELECT 41 + 1").await, 42);
    connection.close().await;
    database.close().await.expect("closes");
    assert_eq!(size.is_some(), engine.size(&at).await.is_some(), "told open or not");
    engine.destroy(&at).await.expect("destroys");
    assert_eq!(engine.size(&at).await, None);
    assert_eq!(engine.probe(&at).await.expect("probes"), Presence::Absent);
    assert!(matches!(engine.destroy(&at).await, Err(EngineError::NoSuchDatabase)));
}

/// The second create fails, whichever it is.
pub async fn a_database_is_made_once(harness: &impl Harness) {
    let engine = harness.engine();
    let at = engine.locate(&"tenant".parse().expect("valid"));
    let (one, two) = futures::join!(engine.create(&at), engine.create(&at));
    let refused = one.err().xor(two.err());
    assert!(matches!(refused, Some(EngineError::AlreadyExists)), "{refused:?}");
}

/// Opening makes nothing.
pub async fn what_is_not_there_cannot_be_opened(harness: &impl Harness) {
    let engine = harness.engine();
    let at = engine.locate(&"nobody".parse().expect("valid"));
    assert!(matches!(engine.open(&at).await, Err(EngineError::NoSuchDatabase)));
    assert_eq!(engine.probe(&at).await.expect("probes"), Presence::Absent);
}

/// Close, open, read.
pub async fn what_was_committed_is_there_after_reopening(harness: &impl Harness) {
    let Opened { at, database } = opened(harness, "tenant").await;
    let mut connection = database.connect().await.expect("connects");
    query(&mut *connection, "CREATE TABLE t (n INTEGER)").await;
    query(&mut *connection, "INSERT INTO t VALUES (7)").await;
    connection.close().await;
    database.close().await.expect("closes");

    let database = harness.engine().open(&at).await.expect("opens again");
    let mut connection = database.connect().await.expect("connects");
    assert_eq!(integer(&mut *connection, "SELECT n FROM t").await, 7);
}

/// A closed database stays closed.
pub async fn nothing_opens_after_close(harness: &impl Harness) {
    let Opened { database, .. } = opened(harness, "tenant").await;
    database.close().await.expect("closes");
    assert!(matches!(database.connect().await, Err(EngineError::Closed)));
}
