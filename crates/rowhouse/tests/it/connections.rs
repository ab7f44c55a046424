//! Databases of organizations within a program, without a server.
use crate::support::Cluster;
use futures::future::join_all;
use rowhouse::ConnectionManager;
use rowhouse_gateway::DatabaseError;
use rowhouse_types::{DatabaseName, ErrorCode, Reportable as _, Value};
use std::collections::BTreeMap;
use std::error::Error;

fn name(text: &str) -> DatabaseName {
    text.parse().expect("a name")
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn chain(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        told = format!("{told}: {error}");
        source = error.source();
    }
    told
}

/// Runs a test with files and, where there is a server, with PostgreSQL.
async fn with_each<F: Future<Output = ()>>(test: impl Fn(ConnectionManager) -> F) {
    let home = tempfile::tempdir().expect("a directory");
    let manager = ConnectionManager::builder().data_directory(home.path()).open().await.expect("opens");
    test(manager.clone()).await;
    manager.shut_down().await;
    if let Some(cluster) = Cluster::find() {
        let manager = in_postgres(&cluster, home.path().join("postgres")).await;
        test(manager.clone()).await;
        manager.shut_down().await;
        cluster.done();
    }
}

async fn in_postgres(cluster: &Cluster, home: std::path::PathBuf) -> ConnectionManager {
    ConnectionManager::builder()
        .metadata_dsn(&cluster.metadata())
        .results_dsn_template(&cluster.template())
        .data_directory(home)
        .option("postgres_spares", "0")
        .open()
        .await
        .expect("opens")
}

#[tokio::test]
async fn provisioning_makes_a_database_and_the_second_call_uses_it() {
    with_each(|manager| async move {
        let (acme, globex) = (name("acme"), name("globex"));
        let first = manager.org_engine(&acme).await.expect("is made");
        let mut session = manager.org_session(&acme).await.expect("is lent");
        session.execute("CREATE TABLE t (a TEXT)", []).await.expect("runs");
        session.execute("INSERT INTO t VALUES (?1)", [text("x")]).await.expect("runs");
        drop(session);
        let second = manager.org_engine(&acme).await.expect("is there");
        assert!(first.is_same(&second));
        let rows = second.session().await.expect("is lent").query("SELECT a FROM t", []).await.expect("runs");
        assert_eq!((rows.columns, rows.rows), (vec!["a".to_owned()], vec![vec![text("x")]]));
        let other = manager.org_session(&globex).await.expect("is made").query("SELECT a FROM t", []).await;
        assert_eq!(other.expect_err("another database").code(), ErrorCode::SqlError);
    })
    .await;
}

#[tokio::test]
async fn health_says_that_the_metadata_database_answers_and_each_that_is_open() {
    with_each(|manager| async move {
        assert_eq!(manager.health_check().await, BTreeMap::from([("metadata".to_owned(), true)]));
        manager.org_engine(&name("acme")).await.expect("is made");
        let mut session = manager.metadata_session().await.expect("is lent, without any organization");
        assert_eq!(session.query("SELECT 1", []).await.expect("runs").rows, [[Value::Integer(1)]]);
    })
    .await;
}

#[tokio::test]
async fn what_is_not_committed_is_gone_when_a_session_is_given_back() {
    with_each(|manager| async move {
        let acme = name("acme");
        let mut session = manager.org_session(&acme).await.expect("is made");
        session.script("CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('kept')").await.expect("runs");
        session.execute("BEGIN", []).await.expect("runs");
        session.execute("DELETE FROM t", []).await.expect("runs");
        drop(session);
        let mut session = manager.org_session(&acme).await.expect("is lent");
        assert_eq!(session.query("SELECT a FROM t", []).await.expect("runs").rows, [[text("kept")]]);
    })
    .await;
}

#[tokio::test]
async fn all_is_closed_and_the_next_use_opens_it_again() {
    let Some(cluster) = Cluster::find() else { return };
    let home = tempfile::tempdir().expect("a directory");
    let manager = in_postgres(&cluster, home.path().to_owned()).await;
    for name in ["acme", "globex"].map(name) {
        manager.org_session(&name).await.expect("is made");
    }
    assert_eq!(manager.close_all().await, 0);
    assert!(manager.engines().is_empty());
    // The server takes a moment to notice that a connection was closed.
    let backends = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname IN ('{}', '{}')",
        cluster.physical("acme"),
        cluster.physical("globex")
    );
    while cluster.psql(&backends) != "0" {
        tokio::task::yield_now().await;
    }
    manager.org_session(&name("acme")).await.expect("is there");
    manager.metadata_session().await.expect("is there");
    manager.shut_down().await;
    cluster.done();
}

#[tokio::test]
async fn a_database_that_may_not_be_made_is_told_with_its_cause_and_without_secrets() {
    let Some(cluster) = Cluster::find() else { return };
    let home = tempfile::tempdir().expect("a directory");
    let role = format!("{}_poor", cluster.physical("x").replace("mad_results_x", ""));
    cluster.psql(&format!("CREATE ROLE \"{role}\" LOGIN PASSWORD 'very-secret-word'"));
    cluster.psql(&format!("GRANT CONNECT ON DATABASE postgres TO \"{role}\""));
    let user =
        cluster.metadata().split("://").nth(1).expect("a DSN").split('@').next().expect("a user").to_owned();
    let poor = |dsn: String| dsn.replacen(&user, &format!("{role}:very-secret-word"), 1);
    let manager = ConnectionManager::builder()
        .results_dsn_template(&poor(cluster.template()))
        .data_directory(home.path())
        .option("postgres_spares", "0")
        .open()
        .await
        .expect("opens");
    let error = manager.org_session(&name("acme")).await.expect_err("may not");
    let told = chain(&error);
    assert!(matches!(error, DatabaseError::Provisioning(_)), "{told}");
    assert!(told.starts_with("Cannot create database for org acme: "), "{told}");
    for secret in ["very-secret-word", "postgres://", "postgresql://"] {
        assert!(!told.contains(secret) && !format!("{error:?}").contains(secret), "{told}");
    }
    manager.shut_down().await;
    cluster.done();
}

#[test]
fn a_hundred_threads_have_one_manager() {
    let home = tempfile::tempdir().expect("a directory");
    let shared = ConnectionManager::builder().data_directory(home.path()).shared();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let managers: Vec<ConnectionManager> = std::thread::scope(|scope| {
        let ask = || runtime.block_on(shared.get()).expect("opens");
        let threads: Vec<_> = (0..100).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().expect("it ended well")).collect()
    });
    assert!(managers.iter().all(|manager| manager.is_same(&managers[0])));
    runtime.block_on(managers[0].shut_down());
}

#[tokio::test]
async fn fifty_that_ask_at_once_for_a_new_organization_have_one_database() {
    with_each(|manager| async move {
        let acme = name("acme");
        let sessions = join_all((0..50).map(|_| async {
            let mut session = manager.org_session(&acme).await?;
            session.query("SELECT 1", []).await.expect("runs");
            Ok::<_, DatabaseError>(())
        }));
        assert!(sessions.await.into_iter().all(|session| session.is_ok()));
        assert_eq!(manager.gateway().counts().created, 1);
    })
    .await;
}

#[tokio::test]
async fn a_data_directory_is_one_manager_s_until_it_is_shut_down() {
    let home = tempfile::tempdir().expect("a directory");
    let open = || ConnectionManager::builder().data_directory(home.path()).open();
    let first = open().await.expect("opens");
    assert!(open().await.expect_err("it is in use").to_string().contains("another rowhouse process"));
    first.shut_down().await;
    first.shut_down().await;
    assert!(first.org_session(&name("acme")).await.is_err(), "nothing can be asked afterwards");
    open().await.expect("it is free").shut_down().await;
}

#[tokio::test]
async fn none_is_made_where_that_is_switched_off() {
    let home = tempfile::tempdir().expect("a directory");
    let builder = ConnectionManager::builder().data_directory(home.path()).option("auto_create", "false");
    let manager = builder.open().await.expect("opens");
    let error = manager.org_session(&name("acme")).await.expect_err("there is none");
    assert!(matches!(&error, DatabaseError::OrganizationNotFound(_)), "{error}");
    assert!(!home.path().join("acme.db").exists());
    manager.shut_down().await;
}
