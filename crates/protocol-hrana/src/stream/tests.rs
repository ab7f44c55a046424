use super::*;
use rowhouse_access::Identity;
use rowhouse_engine::SqlPolicy;
use rowhouse_gateway::{
    Catalog, Cause, Dynamic, Expired, Gateway, Interface, Journal, Limits, Parts, Removal, Rights, Silent,
};
use rowhouse_testing::Fake;
use rowhouse_types::{DatabaseName, Target};
use rowhouse_wire::hrana::{Encoding, SingleWriter, Sql, Statement, Work};
use std::sync::Arc;
use std::time::Duration;

fn name() -> DatabaseName {
    "a".parse().expect("a name")
}

async fn asker(fake: &Fake) -> Arc<Asker> {
    let parts = Parts {
        catalog: Catalog::new([], Dynamic::Create).expect("valid"),
        engine: Arc::new(fake.clone()),
        observer: Arc::new(Silent),
        limits: Limits::default(),
        journal: Journal::in_memory(),
        metadata: None,
        migrator: None,
    };
    let gateway = Gateway::start(parts).await.expect("it starts");
    Arc::new(Asker {
        client: Arc::new(gateway.client()),
        gateway,
        identity: Arc::new(Identity::anybody()),
        target: Target::Named(name()),
        policy: SqlPolicy::Standard,
        rights: Rights::default(),
    })
}

/// Runs a statement in a turn of its own; the code of its failure.
async fn run(stream: &mut Stream, asker: &Arc<Asker>, sql: &str) -> Result<(), String> {
    let statement =
        Statement { sql: Sql::Text(sql.into()), args: Vec::new(), named_args: Vec::new(), want_rows: true };
    let mut turn = std::mem::take(stream).turn(asker.clone());
    let mut writer = SingleWriter::message(Encoding::Json, 1);
    let ran = perform(&mut turn, &Texts::default(), Work::Execute(statement), writer.answer()).await;
    *stream = turn.end(Keep::Nothing);
    ran.map_err(|fail| fail.error().code.to_owned())
}

#[tokio::test]
async fn what_was_replaced_is_asked_again_unless_a_transaction_was_lost_with_it() {
    let fake = Fake::default();
    let (asker, mut stream) = (asker(&fake).await, Stream::default());
    assert_eq!(run(&mut stream, &asker, "SELECT").await, Ok(()));
    fake.replace("a");
    assert_eq!(run(&mut stream, &asker, "SELECT").await, Ok(()), "nothing of it was done");
    assert_eq!(run(&mut stream, &asker, "BEGIN").await, Ok(()));
    assert!(stream.is_pinned());
    fake.replace("a");
    assert_eq!(run(&mut stream, &asker, "SELECT").await, Err("DATABASE_UNAVAILABLE".to_owned()));
    for _ in 0..2 {
        assert_eq!(run(&mut stream, &asker, "COMMIT").await, Err("STREAM_EXPIRED".to_owned()));
    }
    assert!(stream.is_over() && !stream.holds_any());
    assert_eq!(run(&mut Stream::default(), &asker, "SELECT").await, Ok(()));
    asker.gateway.shut_down().await;
}

#[tokio::test]
async fn what_follows_a_transaction_that_a_limit_rolled_back_is_not_applied() {
    let fake = Fake::default();
    let asker = asker(&fake).await;
    // NOMEM, INTERRUPT, IOERR_WRITE, FULL.
    for (native, name) in [(7, "NOMEM"), (9, "INTERRUPT"), (778, "IOERR"), (13, "FULL")] {
        let mut stream = Stream::default();
        assert_eq!(run(&mut stream, &asker, "BEGIN").await, Ok(()));
        let failed = run(&mut stream, &asker, &format!("FAIL {native}")).await;
        assert_eq!(failed, Err(format!("SQLITE_{name}")));
        for sql in ["INSERT", "COMMIT"] {
            assert_eq!(run(&mut stream, &asker, sql).await, Err("STREAM_EXPIRED".to_owned()), "{name}");
        }
        assert!(stream.is_over() && !stream.holds_any());
    }
    // No transaction was lost.
    let mut stream = Stream::default();
    assert!(run(&mut stream, &asker, "FAIL 13").await.is_err());
    assert_eq!(run(&mut stream, &asker, "INSERT").await, Ok(()));
    // `OR ROLLBACK`: its client has asked for it.
    assert_eq!(run(&mut stream, &asker, "BEGIN").await, Ok(()));
    assert_eq!(run(&mut stream, &asker, "FAIL 1555").await, Err("SQLITE_CONSTRAINT".to_owned()));
    assert_eq!(run(&mut stream, &asker, "INSERT").await, Ok(()));
    asker.gateway.shut_down().await;
}

#[tokio::test]
async fn who_is_not_permitted_any_more_does_nothing_more_on_what_they_have_begun() {
    let fake = Fake::default();
    let asker = asker(&fake).await;
    let mut stream = Stream::default();
    assert_eq!(run(&mut stream, &asker, "BEGIN").await, Ok(()));
    asker.identity.revoke();
    let refused = Asker::once_more(&asker).expect_err("it was taken back");
    for sql in ["INSERT", "COMMIT"] {
        assert_eq!(run(&mut stream, &asker, sql).await, Err(refused.error().code.to_owned()));
    }
    drop(stream);
    asker.gateway.shut_down().await;
}

#[tokio::test]
async fn an_operator_who_ends_sessions_waits_for_no_idle_stream() {
    let fake = Fake::default();
    let (asker, mut stream) = (asker(&fake).await, Stream::default());
    assert_eq!(run(&mut stream, &asker, "BEGIN").await, Ok(()));
    let mut notices = stream.notices().expect("it holds a session");
    let how = Removal { patience: Duration::ZERO, force: true };
    let cause = Cause::new(Interface::Library, "a test");
    let (name, gateway) = (name(), &asker.gateway);
    let ending = async {
        notices.changed().await.expect("it is open");
        let (_, why) = stream.until(&asker).expect("it holds a session");
        assert_eq!(why, Expired::Ended);
        stream.expire(why);
    };
    let (dropped, ()) = tokio::join!(gateway.drop_database(&name, how, &cause), ending);
    dropped.expect("nobody uses it");
    assert_eq!(run(&mut stream, &asker, "COMMIT").await, Err("STREAM_EXPIRED".to_owned()));
    asker.gateway.shut_down().await;
}

#[tokio::test]
async fn a_database_stays_open_for_a_stream_as_long_as_that_says() {
    let fake = Fake::default();
    let asker = asker(&fake).await;
    let mut turn = Stream::default().turn(asker.clone());
    turn.prepare().await.expect("a session");
    let stream = turn.end(Keep::Open);
    assert!(stream.holds_any() && !stream.is_pinned());
    let gateway = &asker.gateway;
    let cause = Cause::new(Interface::Library, "a test");
    assert!(gateway.evict(&asker.target, &cause).await.is_err(), "it is in use");
    drop(stream);
    gateway.evict(&asker.target, &cause).await.expect("nobody uses it");
    asker.gateway.shut_down().await;
}
