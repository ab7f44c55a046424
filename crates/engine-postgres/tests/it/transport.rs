//! The ways to a server: TLS, Unix sockets, several hosts.
use crate::support::{Cluster, dsn, needs_postgres, psql};
use rowhouse_engine::conformance::{Harness, failure, integer, query, within};
use rowhouse_engine::{Engine, EngineError};
use rowhouse_engine_postgres::{Dsn, Encryption, Host};
use rowhouse_types::Value;
use std::sync::Arc;

/// The server with TLS, trusting what the URL of the tests says.
pub(crate) fn encrypted() -> Dsn {
    let mut dsn = Dsn::parse(&format!("{}&sslmode=verify-full", crate::support::url())).expect("a DSN");
    assert!(matches!(dsn.encryption, Encryption::Verified { roots: Some(_) }));
    dsn.application_name = "encrypted".to_owned();
    dsn
}

#[tokio::test]
async fn tls_is_verified_and_logins_are_bound_to_it() {
    needs_postgres!();
    let cluster = Cluster::with(|config| config.servers[0].admin = encrypted());
    let mut one = cluster.connect_new("tenant").await;
    let own = "SELECT CASE WHEN ssl THEN version END FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(query(&mut *one, own).await, [[Value::Text("TLSv1.3".to_owned())]]);
    // Statements are cancelled over TLS too.
    let error = failure(&mut *one, "SELECT pg_sleep(1000)", within(50)).await;
    assert!(matches!(error, EngineError::TimedOut), "{error:?}");
    assert_eq!(integer(&mut *one, "SELECT 1").await, 1);
    drop(one);
    cluster.done().await;
}

#[tokio::test]
async fn a_server_that_cannot_be_verified_is_not_spoken_with() {
    needs_postgres!();
    // Another who calls itself the same.
    let key =
        rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("a key");
    let directory = tempfile::tempdir().expect("a directory");
    let roots = directory.path().join("roots.pem");
    std::fs::write(&roots, key.cert.pem()).expect("writable");
    let cluster = Cluster::with(|config| {
        config.servers[0].admin = Dsn { encryption: Encryption::Verified { roots: Some(roots) }, ..dsn() };
    });
    let error = cluster.engine.create(&cluster.at("tenant")).await.expect_err("not verified");
    assert!(matches!(error, EngineError::Unreachable(_)), "{error:?}");
    assert_eq!(cluster.names(), [""; 0]);
}

#[tokio::test]
async fn a_unix_socket_is_a_way_too() {
    needs_postgres!();
    let directory = psql("SHOW unix_socket_directories").expect("tells");
    let Host::Network { port, .. } = dsn().hosts[0].clone() else { panic!("a port") };
    let host = Host::Unix { directory: directory.into(), port };
    let cluster = Cluster::with(|config| config.servers[0].admin = Dsn { hosts: vec![host], ..dsn() });
    let mut one = cluster.connect_new("tenant").await;
    assert_eq!(query(&mut *one, "SELECT inet_server_addr()").await, [[Value::Null]]);
    let error = failure(&mut *one, "SELECT pg_sleep(1000)", within(50)).await;
    assert!(matches!(error, EngineError::TimedOut), "{error:?}");
    drop(one);
    cluster.done().await;
}

#[tokio::test]
async fn the_first_host_that_answers_is_taken() {
    needs_postgres!();
    let nobody = Host::Network { name: "127.0.0.1".to_owned(), port: 1 };
    let cluster = Cluster::with(|config| {
        let mut hosts = vec![nobody];
        hosts.extend(dsn().hosts);
        config.servers[0].admin = Dsn { hosts, ..dsn() };
    });
    let mut one = cluster.connect_new("tenant").await;
    assert_eq!(integer(&mut *one, "SELECT 1").await, 1);
    drop(one);
    cluster.done().await;
}

#[tokio::test]
async fn databases_are_where_their_location_says() {
    needs_postgres!();
    // Two labels of one server are two servers for who uses them.
    let cluster = Cluster::with(|config| {
        let second = rowhouse_engine_postgres::Server { label: "second".to_owned(), admin: dsn() };
        config.servers.push(second);
    });
    let name = "tenant".parse().expect("a name");
    let at = cluster.engine.locate_on("second", &name).expect("a server");
    assert!(at.0.starts_with("second/") && cluster.engine.locate(&name).0.starts_with("main/"));
    assert!(cluster.engine.locate_on("third", &name).is_none());
    cluster.engine.create(&at).await.expect("creates");
    let database = cluster.engine.open(&at).await.expect("opens");
    let mut one = Arc::clone(&database).connect().await.expect("connects");
    assert_eq!(integer(&mut *one, "SELECT 1").await, 1);
    assert!(["main", "second"].contains(&cluster.engine.roomiest().await.expect("one answers")));
    drop(one);
    cluster.done().await;
}
