//! The server as a library: configured in code, without a command line.
use rowhouse::Server;
use rowhouse::config::{Kind, OPTIONS, Opt};
use rowhouse::curve::{KeyFiles, Side};
use rowhouse_protocol_sqlite_rx::probe;
use std::time::Duration;
use tempfile::TempDir;

/// Where databases are in PostgreSQL, which other options need.
const TEMPLATE: &str = "postgresql://mad@localhost/mad_results_{org_id}";

/// A value that an option takes.
fn sample(option: &Opt) -> &'static str {
    match option.kind {
        Kind::Address => "tcp://127.0.0.1:0",
        Kind::Bytes(..) => "1MiB",
        Kind::Integer(..) => "100",
        Kind::KeyId => "id",
        Kind::Ip => "::1",
        Kind::Socket => "127.0.0.1:0",
        Kind::Origins => "https://app.example.com",
        Kind::Dsn if option.key == "results_db_template" => TEMPLATE,
        Kind::Dsn => "postgresql://mad@localhost/postgres",
        _ => "data",
    }
}

#[test]
fn code_can_set_every_option_of_the_table() {
    for option in OPTIONS {
        let value = if option.default.is_empty() { sample(option) } else { option.default };
        let mut builder = Server::builder();
        if matches!(option.key, "results_db_template" | "admin_url") {
            builder = builder.option("results_db_template", TEMPLATE).data_directory("data");
        }
        let built = builder.option(option.key, value).build();
        assert!(built.is_ok(), "{} = {value}: {built:?}", option.key);
    }
}

#[tokio::test]
async fn an_encrypted_server_is_made_in_code() {
    let home = TempDir::new().expect("a directory");
    let files = KeyFiles::new(home.path().to_owned(), Side::Server.key_id());
    files.make().expect("nothing is there");
    let server = Server::builder().bind_address("tcp://127.0.0.1:0").curvezmq(true).zap(true);
    let running = server.curve_dir(home.path()).build().expect("valid").start().await.expect("it starts");
    assert!(running.security().encrypts());
    assert_eq!(running.security().allowed().expect("a list").count(), 0);
    let address = running.listeners()[0].address;
    let (keys, patience) = (files.load().expect("keys"), Duration::from_secs(30));
    probe::health(address, Some(&keys), patience).await.expect("the server's own keys are let in");
    let strange = KeyFiles::new(home.path().to_owned(), "stranger".to_owned());
    strange.make().expect("nothing is there");
    let strange = strange.load().expect("keys");
    probe::health(address, Some(&strange), patience).await.expect_err("its server is another");
    probe::health(address, None, patience).await.expect_err("it does not encrypt");
    running.shut_down().await.expect("nothing is in flight");
}

#[test]
fn zap_without_curvezmq_is_refused_in_code_as_well() {
    let error = Server::builder().zap(true).build().expect_err("it makes no sense").to_string();
    assert!(error.contains("ZAP requires CurveZMQ"), "{error}");
}
