//! Databases come into being, once each, and go.
use crate::support::{Cluster, needs_postgres};
use rowhouse_engine::conformance::{Harness, integer, query};
use rowhouse_engine::{Course, Engine, EngineError, Over, Pace, Presence, Restoration};
use rowhouse_engine_postgres::Secret;
use std::sync::Arc;

#[tokio::test]
async fn fifty_who_make_one_database_at_once_make_one() {
    needs_postgres!();
    let cluster = Cluster::open();
    // As two processes that share the server and nothing else.
    let other = Cluster::beside(&cluster.prefix, |_| {});
    let at = cluster.at("tenant");
    let creations = (0..50).map(|n| {
        let engine = if n % 2 == 0 { cluster.engine.clone() } else { other.clone() };
        let at = at.clone();
        async move { engine.create(&at).await }
    });
    let made = futures::future::join_all(creations).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1);
    for refused in made.into_iter().filter_map(Result::err) {
        assert!(matches!(refused, EngineError::AlreadyExists), "{refused:?}");
    }
    let expected = ["database tenant", "database ~template", "role tenant", "role ~tenants"];
    assert_eq!(cluster.names(), expected);
    let database = other.open(&at).await.expect("opens");
    let mut one = database.connect().await.expect("connects");
    assert_eq!(integer(&mut *one, "SELECT 1").await, 1);
    drop(one);
    other.shut_down().await;
    cluster.done().await;
}

#[tokio::test]
async fn long_names_are_different_databases() {
    needs_postgres!();
    let cluster = Cluster::open();
    let names = ["a", "b"].map(|end| format!("{}{end}", "x".repeat(63)));
    for name in &names {
        let mut one = cluster.connect_new(name).await;
        query(&mut *one, &format!("CREATE TABLE only_{} (n int)", &name[63..])).await;
    }
    assert_eq!(cluster.physical(&names[0]).len(), 63);
    for name in &names {
        let database = cluster.engine.open(&cluster.at(name)).await.expect("opens");
        let mut one = database.connect().await.expect("connects");
        let own = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
        assert_eq!(integer(&mut *one, own).await, 1);
        query(&mut *one, &format!("SELECT n FROM only_{}", &name[63..])).await;
    }
    cluster.done().await;
}

#[tokio::test]
async fn a_spare_becomes_the_database_and_is_replaced() {
    needs_postgres!();
    let cluster = Cluster::with(|config| config.spares = 2);
    cluster.engine.prepare().await.expect("prepares");
    let spares = || cluster.names().iter().filter(|name| name.starts_with("database ~spare~")).count();
    assert_eq!(spares(), 2);
    let oids = format!("SELECT oid FROM pg_database WHERE starts_with(datname, '{}~spare')", cluster.prefix);
    let before = cluster.psql(&oids);
    let mut one = cluster.connect_new("tenant").await;
    let oid = "SELECT oid::bigint FROM pg_database WHERE datname = current_database()";
    let oid = integer(&mut *one, oid).await;
    assert!(before.lines().any(|spare| spare == oid.to_string()), "it was a spare: {oid} of {before}");
    query(&mut *one, "CREATE TABLE t (n int)").await;
    drop(one);
    cluster.engine.shut_down().await;
    assert_eq!(spares(), 2, "they are filled up again");
    cluster.done().await;
}

#[tokio::test]
async fn many_take_few_spares_and_each_has_its_own() {
    needs_postgres!();
    let cluster = Cluster::with(|config| config.spares = 3);
    cluster.engine.prepare().await.expect("prepares");
    let names: Vec<_> = (0..8).map(|n| format!("tenant{n}")).collect();
    let creations = names.iter().map(|name| async { cluster.engine.create(&cluster.at(name)).await });
    for made in futures::future::join_all(creations).await {
        made.expect("creates");
    }
    let listed: Vec<_> =
        cluster.engine.list().await.expect("lists").iter().map(ToString::to_string).collect();
    assert_eq!(listed, names);
    cluster.done().await;
}

#[tokio::test]
async fn what_the_template_holds_every_new_database_has() {
    needs_postgres!();
    let cluster = Cluster::with(|config| config.spares = 1);
    cluster.engine.prepare().await.expect("prepares");
    let mut before = cluster.connect_new("before").await;
    let scripts =
        ["CREATE TABLE jobs (id bigserial PRIMARY KEY, s text)", "INSERT INTO jobs (s) VALUES ('seed')"];
    cluster.engine.rebuild_template(&scripts).await.expect("rebuilds");
    for name in ["after", "later"] {
        let mut after = cluster.connect_new(name).await;
        query(&mut *after, "INSERT INTO jobs (s) VALUES ('mine')").await;
        assert_eq!(integer(&mut *after, "SELECT count(*) FROM jobs").await, 2, "{name}");
    }
    assert_eq!(integer(&mut *before, "SELECT count(*) FROM pg_tables WHERE tablename = 'jobs'").await, 0);
    let failed = cluster.engine.rebuild_template(&["CREATE TABLE x (n int)", "nonsense"]).await;
    assert!(matches!(failed, Err(EngineError::Statement { .. })), "{failed:?}");
    let mut kept = cluster.connect_new("kept").await;
    assert_eq!(integer(&mut *kept, "SELECT count(*) FROM jobs").await, 1);
    drop((before, kept));
    cluster.done().await;
}

#[tokio::test]
async fn few_administrative_connections_stay_and_none_in_the_end() {
    needs_postgres!();
    let application = format!("admin of {}", std::process::id());
    let cluster = Cluster::with(|config| {
        config.servers[0].admin.application_name = application.clone();
        config.spares = 1;
    });
    cluster.engine.prepare().await.expect("prepares");
    for n in 0..5 {
        cluster.engine.create(&cluster.at(&format!("t{n}"))).await.expect("creates");
        let again = cluster.engine.create(&cluster.at(&format!("t{n}"))).await;
        assert!(matches!(again, Err(EngineError::AlreadyExists)), "{again:?}");
    }
    let all = format!("FROM pg_stat_activity WHERE application_name = '{application}'");
    let few = cluster.psql(&format!("SELECT count(*) <= 4 {all}"));
    assert_eq!(few, "t", "no more than may be lent");
    // Who is ended by the server meanwhile is not lent again.
    cluster.psql(&format!("SELECT pg_terminate_backend(pid, 5000) {all}"));
    cluster.engine.create(&cluster.at("later")).await.expect("creates");
    cluster.engine.shut_down().await;
    // They end by themselves; the server needs a moment to notice.
    let count = format!("SELECT count(*) {all}");
    let mut left = cluster.psql(&count);
    for _ in 0..200 {
        if left == "0" {
            break;
        }
        tokio::task::yield_now().await;
        left = cluster.psql(&count);
    }
    assert_eq!(left, "0");
    cluster.done().await;
}

/// Whoever chooses a name chooses a role, and there are others on the server.
#[tokio::test]
async fn no_name_leads_to_a_role_that_is_no_tenants() {
    needs_postgres!();
    for (spares, attributes) in [(0, "SUPERUSER"), (1, "CREATEDB"), (1, "NOLOGIN")] {
        let cluster = Cluster::with(|config| config.spares = spares);
        cluster.engine.prepare().await.expect("prepares");
        let role = cluster.physical("boss");
        cluster.psql(&format!("CREATE ROLE \"{role}\" {attributes} PASSWORD NULL"));
        let told =
            "SELECT rolsuper, rolcreatedb, rolcanlogin, rolpassword IS NULL FROM pg_authid WHERE rolname";
        let told = format!("{told} = '{role}'");
        let before = cluster.psql(&told);
        let refused = cluster.engine.create(&cluster.at("boss")).await;
        assert!(matches!(refused, Err(EngineError::NotADatabase)), "{attributes}: {refused:?}");
        assert_eq!(cluster.engine.probe(&cluster.at("boss")).await.expect("probes"), Presence::Absent);
        // A database that somebody else has made of this name is not served as that role either.
        cluster.psql(&format!("CREATE DATABASE \"{role}\""));
        let database = cluster.engine.open(&cluster.at("boss")).await.expect("it is there");
        let refused = database.connect().await.expect_err("its role is another's");
        assert!(matches!(refused, EngineError::NotADatabase), "{attributes}: {refused:?}");
        cluster.engine.destroy(&cluster.at("boss")).await.expect("destroys");
        assert_eq!(cluster.psql(&told), before, "{attributes}");
        cluster.done().await;
    }
}

#[tokio::test]
async fn a_new_database_of_an_old_name_holds_nothing_of_the_old() {
    needs_postgres!();
    let cluster = Cluster::open();
    let at = cluster.at("tenant");
    for n in 0..3 {
        let database = cluster.open_new("tenant").await;
        let mut one = database.connect().await.expect("connects");
        query(&mut *one, "CREATE TABLE t (n int)").await;
        query(&mut *one, &format!("INSERT INTO t VALUES ({n})")).await;
        one.close().await;
        database.close().await.expect("closes");
        // Whoever still has it open is told that it is another one.
        let stale = cluster.engine.open(&at).await.expect("opens");
        cluster.engine.destroy(&at).await.expect("destroys");
        assert_eq!(cluster.engine.probe(&at).await.expect("probes"), Presence::Absent);
        let gone = stale.connect().await.expect_err("it is gone");
        assert!(!matches!(gone, EngineError::Lost), "{gone:?}");
        cluster.engine.create(&at).await.expect("creates");
        assert!(matches!(stale.connect().await, Err(EngineError::Replaced)));
        assert!(matches!(stale.verify(), Err(EngineError::Replaced)));
        cluster.engine.destroy(&at).await.expect("destroys");
    }
    cluster.engine.shut_down().await;
    assert_eq!(cluster.names(), ["database ~template", "role ~tenants"], "what was removed is dropped");
    cluster.done().await;
}

#[tokio::test]
async fn databases_that_were_there_before_are_served_and_listed() {
    needs_postgres!();
    let cluster = Cluster::open();
    cluster.engine.prepare().await.expect("prepares");
    let physical = cluster.physical("old");
    cluster.psql(&format!("CREATE DATABASE \"{physical}\""));
    let listed = cluster.engine.list().await.expect("lists");
    assert_eq!(listed.iter().map(ToString::to_string).collect::<Vec<_>>(), ["old"]);
    let database = Arc::clone(&cluster.engine).open(&cluster.at("old")).await.expect("opens");
    let mut one = database.connect().await.expect("gets its role");
    assert_eq!(integer(&mut *one, "SELECT 1").await, 1);
    drop(one);
    cluster.done().await;
}

/// As where a server is rented: who administers may make databases and roles, and is no superuser.
#[tokio::test]
async fn who_administers_need_not_be_a_superuser() {
    needs_postgres!();
    let admin = format!("admin_{}", std::process::id());
    let make = format!("CREATE ROLE {admin} LOGIN CREATEDB CREATEROLE PASSWORD 'known'");
    crate::support::psql(&make).expect("made");
    crate::support::psql(&format!("GRANT CONNECT ON DATABASE postgres TO {admin}")).expect("granted");
    let cluster = Cluster::with(|config| {
        config.servers[0].admin.user = admin.clone();
        config.servers[0].admin.password = Some(Secret::new("known"));
        config.spares = 1;
    });
    cluster.engine.prepare().await.expect("prepares");
    let at = cluster.at("tenant");
    let database = cluster.open_new("tenant").await;
    let mut one = database.connect().await.expect("connects");
    query(&mut *one, "CREATE TABLE t (n int)").await;
    query(&mut *one, "INSERT INTO t VALUES (1)").await;
    assert!(database.size().await.is_some());
    let before = cluster.engine.stamp(&at).await.expect("tells");
    query(&mut *one, "INSERT INTO t VALUES (2)").await;
    assert!(!cluster.engine.stamp(&at).await.expect("tells").is_unchanged_since(before));
    let course = Course::new(Pace::Full);
    let file = cluster.scratch("backup");
    database.backup(&file, &course).await.expect("backs up");
    one.close().await;
    database.close().await.expect("closes");
    let restoration = Restoration { from: &file, over: Over::Existing };
    cluster.engine.restore(&at, restoration, &course).await.expect("restores");
    let database = cluster.engine.open(&at).await.expect("opens");
    let mut one = database.connect().await.expect("connects");
    assert_eq!(integer(&mut *one, "SELECT sum(n) FROM t").await, 3);
    // Somebody is still connected: that one is ended.
    cluster.engine.destroy(&at).await.expect("destroys");
    cluster.engine.shut_down().await;
    assert!(cluster.names().iter().all(|name| !name.ends_with("tenant")), "{:?}", cluster.names());
    cluster.done().await;
    crate::support::psql(&format!("DROP OWNED BY {admin}; DROP ROLE {admin}")).expect("dropped");
}
