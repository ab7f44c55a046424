//! Databases of organizations within a program.
use futures::future::join_all;
use rowhouse_engine::Location;
use rowhouse_gateway::{
    Action, Behalf, Catalog, ConnectionManager, DatabaseError, Dynamic, Gateway, Journal, Limits, Parts,
    Query, Rights, Silent, Spec,
};
use rowhouse_testing::Fake;
use rowhouse_types::{DatabaseName, ErrorCode, Reportable as _, Target, Value};
use std::sync::Arc;

fn name(text: &str) -> DatabaseName {
    text.parse().expect("a name")
}

async fn manager(fake: &Fake, dynamic: Dynamic) -> (ConnectionManager, Journal) {
    let default = Spec { target: Target::Default, location: Location("default".into()) };
    let journal = Journal::in_memory();
    let parts = Parts {
        catalog: Catalog::new([default], dynamic).expect("valid"),
        engine: Arc::new(fake.clone()),
        observer: Arc::new(Silent),
        limits: Limits::default(),
        journal: journal.clone(),
        metadata: None,
        migrator: None,
    };
    (ConnectionManager::new(Gateway::start(parts).await.expect("starts")), journal)
}

#[tokio::test]
async fn an_organization_has_one_pool_and_two_have_two() {
    let fake = Fake::default();
    let (manager, _) = manager(&fake, Dynamic::Create).await;
    assert!(manager.engines().is_empty(), "nothing is opened before it is asked for");
    let (acme, globex) = (name("acme"), name("globex"));
    let first = manager.org_engine(&acme).await.expect("is made");
    assert!(first.is_same(&manager.org_engine(&acme).await.expect("is there")));
    assert!(!first.is_same(&manager.org_engine(&globex).await.expect("is made")));
    assert_eq!(manager.engines().into_keys().collect::<Vec<_>>(), [acme.clone(), globex]);
    assert_eq!(fake.tally().connected, 0, "a pool has no connection before the first session");

    let session = manager.org_session(&acme).await.expect("is lent");
    assert_eq!(first.status().await.expect("it is open").active, 1);
    drop(session);
    let status = first.status().await.expect("it is open");
    assert_eq!((status.active, status.uses), (0, 1));
}

#[tokio::test]
async fn fifty_that_ask_at_once_for_a_new_one_make_one() {
    let fake = Fake::default();
    let (manager, _) = manager(&fake, Dynamic::Create).await;
    let acme = name("acme");
    let engines = join_all((0..50).map(|_| manager.org_engine(&acme))).await;
    let engines: Vec<_> = engines.into_iter().collect::<Result<_, _>>().expect("all of them");
    assert!(engines.iter().all(|engine| engine.is_same(&engines[0])));
    assert_eq!(fake.tally().created, 2, "the default database, and this one");
}

#[tokio::test]
async fn what_was_closed_is_opened_again_by_who_asks_next() {
    let fake = Fake::default();
    let (manager, _) = manager(&fake, Dynamic::Create).await;
    let acme = name("acme");
    let first = manager.org_engine(&acme).await.expect("is made");
    let mut session = manager.org_session(&name("busy")).await.expect("is made");
    assert_eq!(manager.close_all().await, 1, "one is in use");
    session.execute("SELECT 1", []).await.expect("and goes on");
    drop(session);
    assert!(first.status().await.is_none() && !manager.engines().contains_key(&acme));
    let second = manager.org_engine(&acme).await.expect("is there");
    assert!(!second.is_same(&first) && manager.engines()[&acme].is_same(&second));
    first.session().await.expect("it is opened, where it was closed");
    manager.org_session(&name("busy")).await.expect("once its last session has ended");
}

#[tokio::test]
async fn one_that_is_missing_is_told_from_one_that_cannot_be_had() {
    let fake = Fake::default();
    fake.put("broken");
    fake.set_broken("broken", true);
    let (manager, _) = manager(&fake, Dynamic::Open).await;
    let missing = manager.org_session(&name("acme")).await.expect_err("there is none");
    assert!(matches!(&missing, DatabaseError::OrganizationNotFound(error) if error.org_id == name("acme")));
    assert_eq!(missing.code(), ErrorCode::CreationNotAllowed);
    let broken = manager.org_session(&name("broken")).await.expect_err("it is broken");
    assert!(matches!(&broken, DatabaseError::Connection(error) if error.org_id == Some(name("broken"))));
    let metadata = manager.metadata_session().await.expect_err("there is none");
    assert!(matches!(metadata, DatabaseError::Connection(_)));
}

#[tokio::test]
async fn who_may_not_create_has_nothing_made() {
    let fake = Fake::default();
    let (manager, _) = manager(&fake, Dynamic::Create).await;
    let guest = Behalf { rights: Rights { create: false }, ..Behalf::default() };
    let refused = manager.org_session_for(&name("acme"), &guest).await.expect_err("may not");
    assert!(matches!(refused, DatabaseError::OrganizationNotFound(_)));
    assert_eq!((fake.tally().created, manager.engines().len()), (1, 0));
}

#[tokio::test]
async fn who_is_refused_is_recorded() {
    let fake = Fake::default();
    let (manager, journal) = manager(&fake, Dynamic::Create).await;
    manager.refused(Some(&name("acme")), "token:globex", "the token is for another database");
    let query = Query { action: Some(Action::Access), ..Query::default() };
    let entries = journal.entries(query).await.expect("they are kept");
    let entry = &entries[0].entry;
    assert_eq!(entry.cause.who, "token:globex");
    assert_eq!(entry.database, Some(Target::Named(name("acme"))));
    assert_eq!(entry.result, Err("the token is for another database".to_owned()));
}

#[tokio::test]
async fn a_replaced_database_is_met_anew_by_a_statement_that_was_not_begun() {
    let fake = Fake::default();
    let (manager, _) = manager(&fake, Dynamic::Create).await;
    let mut session = manager.org_session(&name("acme")).await.expect("is made");
    fake.replace("acme");
    let rows = session.query("SELECT 1", [Value::Integer(1)]).await.expect("it runs on what is there");
    assert_eq!(rows.rows.len(), 1);
}

#[tokio::test]
async fn health_names_the_metadata_database_and_those_that_are_open() {
    let fake = Fake::default();
    let (manager, _) = manager(&fake, Dynamic::Create).await;
    manager.org_engine(&name("acme")).await.expect("is made");
    let health = manager.health_check().await;
    assert_eq!(
        health.into_iter().collect::<Vec<_>>(),
        [("metadata".into(), true), ("results_acme".into(), true)]
    );
}
