//! The metadata database, by the library: the catalog's rows, organizations, users, identities, settings,
//! and databases that are suspended.
use crate::support::{Cluster, serve};
use rowhouse::Server;
use rowhouse_engine::{Engine, Location, Whereabouts};
use rowhouse_engine_postgres::{Dsn, PostgresEngine};
use rowhouse_engine_sqlite::{Config, Executor, ExecutorConfig, SqliteEngine};
use rowhouse_gateway::Limits;
use rowhouse_gateway::metadata::{Metadata, MetadataError, MetadataParts, Schema, State, UserState};
use rowhouse_gateway::{Action, Cause, Gateway, Interface, Removal};
use rowhouse_types::{DatabaseName, ErrorCode, Reportable as _, Request, Target};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn cause() -> Cause {
    Cause::new(Interface::Library, "a test").because("it has to be")
}

fn name(text: &str) -> DatabaseName {
    text.parse().expect("a valid name")
}

fn sqlite(location: &str) -> Metadata {
    let engine = SqliteEngine::new(Config::default(), Executor::new(ExecutorConfig::default()));
    let engine: Arc<dyn Engine> = Arc::new(engine.expect("works anywhere"));
    of((engine, Location(location.to_owned())), true)
}

fn of((engine, location): (Arc<dyn Engine>, Location), is_exclusive: bool) -> Metadata {
    let pool = Limits::default().metadata;
    Metadata::new(MetadataParts { engine, location, pool, is_exclusive })
}

fn at(physical: &str) -> Whereabouts {
    Whereabouts { engine: "postgres".to_owned(), server: "main".to_owned(), physical: physical.to_owned() }
}

/// Runs a test with SQLite's and, where there is a server, with PostgreSQL's.
async fn with_each<F: Future<Output = ()>>(test: impl Fn(Metadata) -> F) {
    test(sqlite(":memory:")).await;
    if let Some(cluster) = Cluster::find() {
        let dsn = Dsn::parse(&cluster.metadata()).expect("a DSN");
        let (engine, location) = PostgresEngine::of_own(&dsn, "main").expect("an engine");
        test(of((Arc::new(engine), location), false)).await;
        cluster.done();
    }
}

#[tokio::test]
async fn a_name_is_claimed_once_and_goes_through_its_states() {
    with_each(|metadata| async move {
        let acme = name("acme");
        assert_eq!(metadata.find(&acme).await.unwrap(), None);
        let entry = metadata.claim(&acme, &at("mad_results_acme")).await.unwrap();
        assert_eq!((entry.state, &entry.at), (State::Creating, &at("mad_results_acme")));
        // Who comes second is told where the first one makes it.
        let second = metadata.claim(&acme, &at("elsewhere")).await.unwrap();
        assert_eq!(second, entry);
        // And nobody makes another one there.
        let taken = metadata.claim(&name("other"), &at("mad_results_acme")).await;
        assert!(matches!(taken, Err(MetadataError::PlaceTaken)), "{taken:?}");

        let schema = Schema { version: 12, sum: "abc".to_owned() };
        metadata.settle(&acme, Some(&schema), &cause()).await.unwrap();
        let found = metadata.find(&acme).await.unwrap().unwrap();
        assert_eq!((found.state, found.schema), (State::Active, Some(schema)));
        let again = metadata.settle(&acme, None, &cause()).await;
        assert!(matches!(again, Err(MetadataError::State { state: State::Active })), "{again:?}");

        metadata.quarantine(&acme, "step 13 failed", &cause()).await.unwrap();
        let found = metadata.find(&acme).await.unwrap().unwrap();
        assert_eq!((found.state, found.why.as_deref()), (State::Quarantined, Some("step 13 failed")));
        let next = Schema { version: 13, sum: "abd".to_owned() };
        metadata.release(&acme, Some(&next), &cause()).await.unwrap();
        let found = metadata.find(&acme).await.unwrap().unwrap();
        assert_eq!((found.state, found.why, found.schema), (State::Active, None, Some(next)));

        let told = metadata.audit(Some(&acme), 10).await.unwrap();
        let actions: Vec<_> = told.iter().map(|row| row.action).collect();
        assert_eq!(actions, [Action::Resume, Action::Quarantine, Action::CreateDatabase]);
        assert_eq!((told[1].detail.as_deref(), &told[1].cause), (Some("step 13 failed"), &cause()));
        assert!(told[2].at <= told[0].at);
        metadata.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn fifty_claims_at_once_make_one_row() {
    with_each(|metadata| async move {
        let claims = (0..50).map(|n| {
            let metadata = metadata.clone();
            async move { metadata.claim(&name("acme"), &at(&format!("place_{n}"))).await }
        });
        let claims = futures::future::join_all(claims).await;
        let mut places: Vec<_> = claims.into_iter().map(|claim| claim.unwrap().at.physical).collect();
        places.dedup();
        assert_eq!(places.len(), 1);
        assert_eq!(metadata.entries(None, None, 100).await.unwrap().len(), 1);
        metadata.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn rows_are_told_in_order_and_by_state() {
    with_each(|metadata| async move {
        for n in 0..5 {
            metadata.claim(&name(&format!("org{n}")), &at(&format!("p{n}"))).await.unwrap();
        }
        metadata.settle(&name("org3"), None, &cause()).await.unwrap();
        let names = |entries: Vec<rowhouse_gateway::metadata::Entry>| {
            entries.into_iter().map(|entry| entry.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(metadata.entries(None, None, 2).await.unwrap()), ["org0", "org1"]);
        assert_eq!(names(metadata.entries(Some(&name("org2")), None, 9).await.unwrap()), ["org3", "org4"]);
        assert_eq!(names(metadata.entries(None, Some(State::Active), 9).await.unwrap()), ["org3"]);
        metadata.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn users_belong_to_organizations_and_are_known_by_identities() {
    with_each(|metadata| async move {
        let acme = name("acme");
        let nowhere = metadata.add_user(("a@example.com", "Ada"), Some(&acme), &cause()).await;
        assert!(matches!(nowhere, Err(MetadataError::NotFound { what: "organization" })), "{nowhere:?}");
        metadata.set_organization(&acme, "Acme, Inc.", &cause()).await.unwrap();
        assert_eq!(metadata.organization(&acme).await.unwrap().title, "Acme, Inc.");
        let ada = metadata.add_user(("a@example.com", "Ada"), Some(&acme), &cause()).await.unwrap();
        assert_eq!((ada.organization.as_ref(), ada.state), (Some(&acme), UserState::Active));
        let twice = metadata.add_user(("a@example.com", "Other"), None, &cause()).await;
        assert!(matches!(twice, Err(MetadataError::Exists { what: "user" })), "{twice:?}");
        let bob = metadata
            .add_user(("b@example.com", "Bob'); DROP TABLE users; --"), None, &cause())
            .await
            .unwrap();
        assert_eq!(metadata.users(None, None, 10).await.unwrap(), [ada.clone(), bob.clone()]);
        assert_eq!(metadata.users(Some(&acme), None, 10).await.unwrap(), std::slice::from_ref(&ada));

        metadata.link_identity(("https://id.example.com", "42"), "a@example.com", &cause()).await.unwrap();
        let other = metadata.link_identity(("https://id.example.com", "42"), &bob.id, &cause()).await;
        assert!(matches!(other, Err(MetadataError::Exists { what: "identity" })), "{other:?}");
        assert_eq!(metadata.identified("https://id.example.com", "42").await.unwrap(), ada);
        assert_eq!(metadata.identities(&ada.id).await.unwrap().len(), 1);
        let suspended = metadata.set_user_state(&ada.id, UserState::Suspended, &cause()).await.unwrap();
        assert_eq!(suspended.state, UserState::Suspended);
        metadata.remove_user(&ada.id, &cause()).await.unwrap();
        let gone = metadata.identified("https://id.example.com", "42").await;
        assert!(matches!(gone, Err(MetadataError::NotFound { .. })), "{gone:?}");
        let told: Vec<_> = metadata.audit(None, 3).await.unwrap().iter().map(|row| row.action).collect();
        assert_eq!(told, [Action::RemoveMember, Action::SetMember, Action::LinkIdentity]);
        metadata.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_setting_of_an_organization_is_over_that_of_all() {
    with_each(|metadata| async move {
        let acme = name("acme");
        metadata.set_organization(&acme, "Acme", &cause()).await.unwrap();
        let value = async |of: Option<&DatabaseName>| {
            metadata.setting(of, "theme").await.unwrap().map(|setting| setting.value)
        };
        metadata.set(None, ("theme", Some("light")), &cause()).await.unwrap();
        assert_eq!(value(Some(&acme)).await.as_deref(), Some("light"));
        metadata.set(Some(&acme), ("theme", Some("dark")), &cause()).await.unwrap();
        assert_eq!(value(Some(&acme)).await.as_deref(), Some("dark"));
        assert_eq!(value(None).await.as_deref(), Some("light"));
        assert_eq!(metadata.settings(Some(&acme)).await.unwrap().len(), 1);
        metadata.set(Some(&acme), ("theme", None), &cause()).await.unwrap();
        assert_eq!(value(Some(&acme)).await.as_deref(), Some("light"));
        let none = metadata.set(Some(&acme), ("theme", None), &cause()).await;
        assert!(matches!(none, Err(MetadataError::NotFound { what: "setting" })), "{none:?}");
        // What is set may be a secret: it is not told.
        let told = metadata.audit(Some(&acme), 10).await.unwrap();
        assert!(told.iter().all(|row| row.detail.as_deref() != Some("dark")), "{told:?}");
        metadata.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_was_kept_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("metadata.db");
    let file = file.to_str().unwrap();
    let metadata = sqlite(file);
    metadata.set_organization(&name("acme"), "Acme", &cause()).await.unwrap();
    metadata.close().await.unwrap();
    let metadata = sqlite(file);
    assert_eq!(metadata.organizations(None, 10).await.unwrap()[0].title, "Acme");
    metadata.close().await.unwrap();
}

async fn start(directory: &Path) -> rowhouse::Running {
    let server = Server::builder()
        .bind_address("tcp://127.0.0.1:0")
        .data_directory(directory)
        .auto_connect(true)
        .auto_create(true)
        .option("http", "false")
        .option("management", "false");
    server.build().expect("valid").start().await.expect("starts")
}

async fn code_of(gateway: &Gateway, target: &Target) -> Option<ErrorCode> {
    gateway.connect(target, None).await.err().map(|error| error.code())
}

#[tokio::test]
async fn a_suspended_database_is_served_to_nobody_until_it_is_reinstated() {
    let directory = tempfile::tempdir().unwrap();
    let running = start(directory.path()).await;
    let (acme, target) = (name("acme"), Target::Named(name("acme")));
    let gateway = running.gateway().clone();
    let unknown = gateway.suspend(&acme, Removal::default(), &cause()).await;
    assert_eq!(unknown.unwrap_err().code(), ErrorCode::DatabaseNotFound);
    let mut session = gateway.connect(&target, None).await.unwrap();
    // In use, and not to be ended: it is suspended, and who is there may go on.
    let how = Removal { patience: Duration::from_millis(1), force: false };
    let in_use = gateway.suspend(&acme, how, &cause()).await;
    assert_eq!(in_use.unwrap_err().code(), ErrorCode::DatabaseBusy);
    let sql = "CREATE TABLE t (x)";
    let made = futures::StreamExt::collect::<Vec<_>>(session.run(Request::execute(sql), options())).await;
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    drop(session);
    gateway.suspend(&acme, Removal { force: true, ..Removal::default() }, &cause()).await.unwrap();
    assert_eq!(code_of(&gateway, &target).await, Some(ErrorCode::DatabaseSuspended));
    running.shut_down().await.unwrap();

    let running = start(directory.path()).await;
    let gateway = running.gateway().clone();
    assert_eq!(code_of(&gateway, &target).await, Some(ErrorCode::DatabaseSuspended));
    gateway.reinstate(&acme, &cause()).await.unwrap();
    assert_eq!(code_of(&gateway, &target).await, None);
    let again = gateway.reinstate(&acme, &cause()).await;
    assert_eq!(again.unwrap_err().code(), ErrorCode::DatabaseUnavailable);
    // Dropped, its row goes too: the next of its name is served.
    gateway.drop_database(&acme, Removal::default(), &cause()).await.unwrap();
    assert_eq!(gateway.metadata().unwrap().find(&acme).await.unwrap(), None);
    assert_eq!(code_of(&gateway, &target).await, None);
    running.shut_down().await.unwrap();
}

/// What two servers have that share databases: the metadata database, and what passwords are derived from.
fn shared<'a>(metadata: &'a str, template: &'a str, secret: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("database_url", metadata),
        ("results_db_template", template),
        ("postgres_spares", "0"),
        ("postgres_secret_file", secret),
    ]
}

#[tokio::test]
async fn two_servers_share_organizations_by_the_metadata_database() {
    let Some(cluster) = Cluster::find() else { return };
    let home = tempfile::tempdir().unwrap();
    let secret = home.path().join("secret");
    std::fs::write(&secret, "0123456789abcdef0123456789abcdef").unwrap();
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let (metadata, template) = (cluster.metadata(), cluster.template());
    let options = shared(&metadata, &template, secret.to_str().unwrap());
    let servers = [serve(&options).await, serve(&options).await];
    let gateways: Vec<_> = servers.iter().map(|server| server.running.gateway().clone()).collect();
    let (acme, target) = (name("acme"), Target::Named(name("acme")));
    // Fifty ask for what is not there yet, half of them here and half there: there is one.
    let asking = (0..50).map(|n| {
        let (gateway, target) = (gateways[n % 2].clone(), target.clone());
        async move { gateway.connect(&target, None).await.map(drop) }
    });
    for answer in futures::future::join_all(asking).await {
        answer.unwrap();
    }
    assert_eq!(cluster.databases(), ["acme"]);
    let entry = gateways[1].metadata().unwrap().find(&acme).await.unwrap().unwrap();
    assert_eq!((entry.state, entry.at.server.as_str()), (State::Active, "main"));
    assert_eq!(entry.at.physical, cluster.physical("acme"));
    // Suspended by one, it is opened by neither.
    gateways[0].suspend(&acme, Removal { force: true, ..Removal::default() }, &cause()).await.unwrap();
    assert_eq!(code_of(&gateways[0], &target).await, Some(ErrorCode::DatabaseSuspended));
    let cause = cause();
    gateways[1].evict(&target, &cause).await.unwrap();
    assert_eq!(code_of(&gateways[1], &target).await, Some(ErrorCode::DatabaseSuspended));
    gateways[1].reinstate(&acme, &cause).await.unwrap();
    assert_eq!(code_of(&gateways[0], &target).await, None);
    // What is gone from the server is not replaced by emptiness.
    gateways[0].evict(&target, &cause).await.unwrap();
    gateways[1].evict(&target, &cause).await.unwrap();
    cluster.psql(&format!("DROP DATABASE \"{}\" WITH (FORCE)", cluster.physical("acme")));
    assert_eq!(code_of(&gateways[0], &target).await, Some(ErrorCode::DatabaseUnavailable));
    assert_eq!(cluster.databases(), [""; 0]);
    gateways[0].drop_database(&acme, Removal::default(), &cause).await.unwrap();
    assert_eq!(gateways[1].metadata().unwrap().find(&acme).await.unwrap(), None);
    assert_eq!(code_of(&gateways[1], &target).await, None);
    assert_eq!(cluster.databases(), ["acme"]);
    for server in servers {
        server.running.shut_down().await.unwrap();
    }
    cluster.done();
}

/// What a process that was killed has left: a row, with or without what it was made for.
#[tokio::test]
async fn what_a_killed_process_has_begun_is_finished_by_who_asks_next() {
    let Some(cluster) = Cluster::find() else { return };
    let (metadata, template) = (cluster.metadata(), cluster.template());
    let options =
        [("database_url", &*metadata), ("results_db_template", &*template), ("postgres_spares", "0")];
    let server = serve(&options).await;
    let gateway = server.running.gateway().clone();
    let catalog = gateway.metadata().unwrap().clone();
    let (acme, target) = (name("acme"), Target::Named(name("acme")));
    let place = Whereabouts {
        engine: "postgres".to_owned(),
        server: "main".to_owned(),
        physical: cluster.physical("acme"),
    };
    // Killed after it had claimed the name.
    catalog.claim(&acme, &place).await.unwrap();
    assert_eq!(code_of(&gateway, &target).await, None);
    assert_eq!(catalog.find(&acme).await.unwrap().unwrap().state, State::Active);
    // Killed after the database was made.
    gateway.evict(&target, &cause()).await.unwrap();
    set_state(&cluster, &metadata, "creating");
    assert_eq!(code_of(&gateway, &target).await, None);
    assert_eq!(catalog.find(&acme).await.unwrap().unwrap().state, State::Active);
    // Killed while it was dropped: nobody is served, and dropping it again goes on.
    gateway.evict(&target, &cause()).await.unwrap();
    set_state(&cluster, &metadata, "dropping");
    assert_eq!(code_of(&gateway, &target).await, Some(ErrorCode::DatabaseUnavailable));
    gateway.drop_database(&acme, Removal::default(), &cause()).await.unwrap();
    assert_eq!((catalog.find(&acme).await.unwrap(), cluster.databases()), (None, Vec::new()));
    server.running.shut_down().await.unwrap();
    cluster.done();
}

/// Writes a state into the row of `acme`, as another process leaves it.
fn set_state(cluster: &Cluster, metadata: &str, state: &str) {
    let sql = format!("UPDATE rowhouse.databases SET state = '{state}' WHERE name = 'acme'");
    cluster.psql_in(metadata, &sql);
}

fn options() -> rowhouse_engine::Options {
    rowhouse_engine::Options {
        deadline: None,
        policy: rowhouse_engine::SqlPolicy::Standard,
        foreign_keys: false,
        max_rows: None,
        max_bytes: None,
    }
}
