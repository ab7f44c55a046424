//! Databases that are kept open without a connection.
use rowhouse_gateway::{
    Catalog, Cause, Dynamic, Gateway, Interface, Journal, Limits, Parts, Removal, Silent,
};
use rowhouse_testing::Fake;
use rowhouse_types::{DatabaseName, ErrorCode, Reportable, Target};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

fn name(name: &str) -> DatabaseName {
    name.parse().expect("valid")
}

fn named(text: &str) -> Target {
    Target::Named(name(text))
}

fn cause() -> Cause {
    Cause::new(Interface::Http, "test")
}

async fn gateway(fake: &Fake) -> Gateway {
    let parts = Parts {
        catalog: Catalog::new([], Dynamic::Create).expect("valid"),
        engine: Arc::new(fake.clone()),
        observer: Arc::new(Silent),
        limits: Limits {
            max_connections: NonZeroU32::MIN,
            room_timeout: Duration::from_millis(50),
            ..Limits::default()
        },
        journal: Journal::in_memory(),
        metadata: None,
        migrator: None,
    };
    Gateway::start(parts).await.expect("starts")
}

async fn visit(gateway: &Gateway, target: &str) -> Result<(), ErrorCode> {
    gateway.connect(&named(target), None).await.map(drop).map_err(|error| error.code())
}

#[tokio::test(start_paused = true)]
async fn a_database_that_is_held_is_not_evicted_until_it_is_let_go() {
    let gateway = gateway(&Fake::default()).await;
    let client = gateway.client();
    let session = client.connect(&named("a"), None).await.expect("room");
    let hold = client.hold(&session);
    drop(session);
    assert_eq!(visit(&gateway, "b").await, Err(ErrorCode::DatabaseLimitReached));
    assert!(hold.is_held());
    drop(hold);
    assert_eq!(visit(&gateway, "b").await, Ok(()));
    gateway.shut_down().await;
}

#[tokio::test(start_paused = true)]
async fn no_operator_waits_for_a_hold() {
    let gateway = gateway(&Fake::default()).await;
    let client = gateway.client();
    let session = client.connect(&named("a"), None).await.expect("room");
    let hold = client.hold(&session);
    drop(session);
    gateway.pause(&named("a"), Duration::ZERO, &cause()).await.expect("nobody has a session");
    assert!(!hold.is_held());
    gateway.resume(&named("a"), &cause());
    let session = client.connect(&named("a"), None).await.expect("it is resumed");
    let again = client.hold(&session);
    drop(session);
    assert!(again.is_held());
    let how = Removal { patience: Duration::ZERO, force: false };
    gateway.drop_database(&name("a"), how, &cause()).await.expect("nobody has a session");
    assert!(!again.is_held());
    assert_eq!(visit(&gateway, "b").await, Ok(()), "its place is free");
    gateway.shut_down().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_holds_what_is_paused() {
    let gateway = gateway(&Fake::default()).await;
    let client = gateway.client();
    let session = client.connect(&named("a"), None).await.expect("room");
    let target = named("a");
    let pausing = gateway.pause(&target, Duration::from_secs(60), &cause()).await;
    assert!(pausing.is_err(), "a session is not let go");
    let cause = cause();
    let mut pausing = Box::pin(gateway.pause(&target, Duration::from_secs(60), &cause));
    assert!(futures::poll!(&mut pausing).is_pending());
    let hold = client.hold(&session);
    assert!(!hold.is_held());
    drop(session);
    pausing.await.expect("nobody uses it");
    gateway.shut_down().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_replaced_is_held_by_nobody_and_opened_anew_at_once() {
    let fake = Fake::default();
    let gateway = gateway(&fake).await;
    let client = gateway.client();
    let session = client.connect(&named("a"), None).await.expect("room");
    let hold = client.hold(&session);
    fake.replace("a");
    let session = client.reconnect(session, None).await.expect("it is opened anew");
    assert!(!hold.is_held());
    assert!(client.hold(&session).is_held());
    drop((hold, session));
    gateway.shut_down().await;
    assert_eq!(fake.tally().open, 0);
}
