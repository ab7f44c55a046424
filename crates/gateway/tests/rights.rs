//! Who may create a database by naming it, and who may not.
use futures::future::{join, join_all};
use rowhouse_engine::Location;
use rowhouse_gateway::{Catalog, Client, Dynamic, Gateway, Journal, Limits, Parts, Rights, Silent, Spec};
use rowhouse_testing::Fake;
use rowhouse_types::{ErrorCode, Reportable, Target};
use std::num::NonZeroU32;
use std::sync::Arc;

const NOTHING_NEW: Rights = Rights { create: false };

fn named(name: &str) -> Target {
    Target::Named(name.parse().expect("valid"))
}

async fn gateway(fake: &Fake, most: u32) -> Gateway {
    let default = Spec { target: Target::Default, location: Location("default".into()) };
    let parts = Parts {
        catalog: Catalog::new([default], Dynamic::Create).expect("valid"),
        engine: Arc::new(fake.clone()),
        observer: Arc::new(Silent),
        limits: Limits { max_connections: NonZeroU32::new(most).expect("positive"), ..Limits::default() },
        journal: Journal::in_memory(),
        metadata: None,
        migrator: None,
    };
    Gateway::start(parts).await.expect("starts")
}

async fn visit(client: &Client, name: &str, rights: Rights) -> Result<(), ErrorCode> {
    let session = client.connect_as(&named(name), rights, None).await;
    session.map(drop).map_err(|error| error.code())
}

#[tokio::test]
async fn who_may_not_create_opens_what_is_there_and_evicts_nobody_for_what_is_not() {
    let fake = Fake::default();
    fake.put("a");
    let gateway = gateway(&fake, 1).await;
    let client = gateway.client();
    assert_eq!(visit(&client, "a", NOTHING_NEW).await, Ok(()));
    for n in 0..100 {
        let visited = visit(&client, &format!("x{n}"), NOTHING_NEW).await;
        assert_eq!(visited, Err(ErrorCode::CreationNotAllowed));
    }
    let counts = gateway.counts();
    assert_eq!((counts.open, counts.evicted, counts.created), (1, 0, 0));
    assert_eq!(visit(&client, "x1", Rights::default()).await, Ok(()), "the same client, with the right to");
    assert_eq!(visit(&client, "x1", NOTHING_NEW).await, Ok(()), "it is there now");
}

#[tokio::test]
async fn who_may_create_does_not_fail_by_those_who_ask_at_the_same_time_and_may_not() {
    let fake = Fake::default();
    let gateway = gateway(&fake, 5).await;
    let (guest, owner) = (gateway.client(), gateway.client());
    for n in 0..20 {
        let name = format!("new{n}");
        let guests = join_all((0..10).map(|_| visit(&guest, &name, NOTHING_NEW)));
        let (_guests, created) = join(guests, visit(&owner, &name, Rights::default())).await;
        assert_eq!(created, Ok(()), "{name}");
    }
    assert_eq!(gateway.counts().created, 20);
}

#[tokio::test]
async fn a_session_is_not_reconnected_to_a_new_database_by_who_may_create_none() {
    let fake = Fake::default();
    fake.put("a");
    let gateway = gateway(&fake, 2).await;
    let client = gateway.client();
    let session = client.connect_as(&named("a"), NOTHING_NEW, None).await.expect("it is there");
    fake.remove("a");
    let again = client.reconnect_as(session, NOTHING_NEW, None).await.map(drop);
    assert_eq!(again.map_err(|error| error.code()), Err(ErrorCode::CreationNotAllowed));
    assert_eq!(gateway.counts().created, 0);
}
