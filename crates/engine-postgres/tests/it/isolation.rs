//! A tenant's role reaches its database and nothing else.
use crate::support::{Cluster, dsn, needs_postgres};
use rowhouse_engine::conformance::{Harness, failure, query, unlimited};
use rowhouse_engine::{Connection, Engine, EngineError, Location, Presence};
use rowhouse_engine_postgres::Host;
use std::process::Command;

#[tokio::test]
async fn a_role_may_connect_to_its_own_database_only() {
    needs_postgres!();
    let cluster = Cluster::open();
    let mut one = cluster.connect_new("one").await;
    let _other = cluster.open_new("two").await;
    let role = cluster.physical("one");
    let may = format!(
        "SELECT datname FROM pg_database WHERE datallowconn AND has_database_privilege('{role}', datname, 'CONNECT')"
    );
    assert_eq!(cluster.psql(&may), role);
    // And in truth: with a password that it gives itself.
    query(&mut *one, "ALTER ROLE CURRENT_USER PASSWORD 'known'").await;
    let Host::Network { name, port } = dsn().hosts[0].clone() else { panic!("a port") };
    let all = cluster.psql("SELECT datname FROM pg_database WHERE datallowconn");
    assert!(all.lines().count() >= 4, "{all}");
    for database in all.lines() {
        let login = Command::new("psql")
            .args(["--no-psqlrc", "--no-password", "-h", &name, "-p", &port.to_string(), "-U", &role])
            .args(["-d", database, "-c", "SELECT 1"])
            .env("PGPASSWORD", "known")
            .output()
            .expect("psql is installed");
        assert_eq!(login.status.success(), database == role, "{database}: {login:?}");
    }
    // Its tenant is let in again: the password is set as it should be.
    let database = cluster.engine.open(&cluster.at("one")).await.expect("opens");
    let mut again = database.connect().await.expect("connects");
    query(&mut *again, "SELECT 1").await;
    drop((one, again));
    cluster.done().await;
}

#[tokio::test]
async fn no_statement_reaches_beyond_the_database() {
    needs_postgres!();
    let cluster = Cluster::open();
    let mut one = cluster.connect_new("one").await;
    let mut two = cluster.connect_new("two").await;
    query(&mut *two, "CREATE TABLE secret (n int)").await;
    let (own, victim) = (cluster.physical("one"), cluster.physical("two"));
    let prefix = &cluster.prefix;
    for sql in [
        format!("SELECT * FROM \"{victim}\".public.secret"),
        "CREATE EXTENSION dblink".to_owned(),
        "CREATE EXTENSION postgres_fdw".to_owned(),
        "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw".to_owned(),
        "COPY (SELECT 1) TO PROGRAM 'id'".to_owned(),
        "COPY (SELECT 1) TO '/tmp/x'".to_owned(),
        "CREATE TABLE f (s text); COPY f FROM '/etc/passwd'".to_owned(),
        "SELECT pg_read_file('PG_VERSION')".to_owned(),
        "SELECT pg_ls_dir('.')".to_owned(),
        "SELECT lo_import('/etc/passwd')".to_owned(),
        "ALTER SYSTEM SET work_mem = '1GB'".to_owned(),
        "SELECT pg_reload_conf()".to_owned(),
        "CREATE DATABASE mine".to_owned(),
        format!("CREATE DATABASE mine TEMPLATE \"{victim}\""),
        "CREATE ROLE mine".to_owned(),
        "CREATE ROLE mine SUPERUSER".to_owned(),
        "ALTER ROLE CURRENT_USER SUPERUSER".to_owned(),
        "ALTER ROLE CURRENT_USER CREATEDB".to_owned(),
        "ALTER ROLE CURRENT_USER CONNECTION LIMIT -1".to_owned(),
        format!("ALTER ROLE \"{victim}\" PASSWORD 'x'"),
        format!("SET ROLE \"{victim}\""),
        format!("SET SESSION AUTHORIZATION \"{victim}\""),
        "SET ROLE rowhouse_test".to_owned(),
        format!("DROP DATABASE \"{victim}\""),
        format!("ALTER DATABASE \"{victim}\" RENAME TO mine"),
        format!("ALTER DATABASE \"{own}\" OWNER TO CURRENT_USER"),
        format!("ALTER DATABASE \"{own}\" CONNECTION LIMIT 1"),
        format!("DROP DATABASE \"{prefix}~template\""),
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{victim}' LIMIT 1"),
        format!("GRANT \"{prefix}~tenants\" TO \"{victim}\" WITH ADMIN OPTION"),
    ] {
        let request = rowhouse_types::Request::script(sql.as_str());
        let refused = rowhouse_engine::conformance::run(&mut *one, request, unlimited()).await;
        let EngineError::Statement { .. } = refused.expect_err(&sql) else { panic!("{sql}") };
        one.reset().await.expect("resets");
    }
    // What does nothing says so by a warning only.
    query(&mut *one, &format!("GRANT CONNECT ON DATABASE \"{own}\" TO PUBLIC")).await;
    let acl = cluster.psql(&format!("SELECT datacl FROM pg_database WHERE datname = '{own}'"));
    assert!(!acl.contains("{=") && !acl.contains(",="), "{acl}");
    query(&mut *two, "SELECT * FROM secret").await;
    drop((one, two));
    cluster.done().await;
}

/// A location that no name leads to makes and opens nothing.
#[tokio::test]
async fn hostile_names_make_nothing_and_lead_nowhere() {
    needs_postgres!();
    let cluster = Cluster::open();
    let _victim = cluster.open_new("victim").await;
    let before = cluster.names();
    let victim = cluster.physical("victim");
    for name in [
        format!("x\" TEMPLATE \"{victim}"),
        format!("{victim}\0"),
        "x?host=evil".to_owned(),
        "x user=postgres".to_owned(),
        "'; DROP DATABASE postgres; --".to_owned(),
        "x".repeat(64),
        String::new(),
    ] {
        let at = Location(format!("main/{name}"));
        assert!(!matches!(cluster.engine.probe(&at).await, Ok(Presence::Present)), "{name:?}");
        assert!(cluster.engine.open(&at).await.is_err(), "{name:?}");
        assert!(cluster.engine.destroy(&at).await.is_err(), "{name:?}");
    }
    for label in ["", "other", "main/../main"] {
        let at = Location(format!("{label}/{victim}"));
        assert!(cluster.engine.open(&at).await.is_err(), "{label}");
    }
    assert_eq!(cluster.names(), before);
    cluster.done().await;
}

#[tokio::test]
async fn errors_of_a_login_tell_nothing() {
    needs_postgres!();
    let mut wrong = dsn();
    wrong.user = "nobody_of_that_name".to_owned();
    let cluster = Cluster::with(|config| config.servers[0].admin = wrong);
    let error = cluster.engine.open(&cluster.at("tenant")).await.expect_err("refused");
    let told = format!("{error} {}", rowhouse_types::Reportable::public_message(&error));
    assert!(matches!(error, EngineError::Unreachable(_)), "{error:?}");
    for secret in ["nobody", "127.0.0.1", "postgres://", "password"] {
        assert!(!told.contains(secret), "{told}");
    }
    let mut nowhere = dsn();
    nowhere.hosts = vec![Host::Network { name: "127.0.0.1".to_owned(), port: 1 }];
    let cluster = Cluster::with(|config| config.servers[0].admin = nowhere);
    let error = cluster.engine.probe(&cluster.at("tenant")).await.expect_err("nobody is there");
    assert!(matches!(error, EngineError::Unreachable(_)), "{error:?}");
}

#[tokio::test]
async fn a_tenant_makes_what_it_wants_in_its_database() {
    needs_postgres!();
    let cluster = Cluster::open();
    let mut one: Box<dyn Connection> = cluster.connect_new("one").await;
    for sql in [
        "CREATE TABLE t (id bigserial PRIMARY KEY, j jsonb)",
        "CREATE INDEX i ON t USING gin (j)",
        "CREATE VIEW v AS SELECT id FROM t",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
        "CREATE TYPE y AS ENUM ('a')",
        "CREATE TEMP TABLE x (n int)",
        "INSERT INTO t (j) VALUES ('{}')",
    ] {
        query(&mut *one, sql).await;
    }
    failure(&mut *one, "CREATE SCHEMA s", unlimited()).await;
    drop(one);
    cluster.done().await;
}
