//! Who holds a permit, in a server inside this process: whatever ends a connection gives it back.
use crate::support::{Client, Python};
use rowhouse::curve::{KeyFiles, Side};
use rowhouse::{Running, Server, ServerBuilder};
use rowhouse_gateway::{Action, Cause, Change, ClientInfo, Doing, Interface, Query};
use rowhouse_protocol_sqlite_rx::probe;
use serde_json::json;
use std::net::TcpStream;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

fn builder() -> ServerBuilder {
    Server::builder().bind_address("tcp://127.0.0.1:0").option("management", "false")
}

async fn start(builder: ServerBuilder) -> Running {
    builder.build().expect("valid").start().await.expect("it starts")
}

fn connect(python: &Python, running: &Running) -> Client {
    Client::run(python, "ask.py", &[&address(running)])
}

fn address(running: &Running) -> String {
    format!("tcp://{}", running.listeners()[0].address)
}

/// Waits for what other processes bring about.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "never came: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn until_active(running: &Running, active: u32) {
    let clients = running.clients();
    until(&format!("{active} permits out, now {:?}", clients.status()), || clients.status().active == active)
        .await;
}

fn only(running: &Running) -> ClientInfo {
    let [only] = &running.clients().list()[..] else { panic!("one is connected") };
    only.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_client_and_a_half_open_connection_give_their_permits_back() {
    let Some(python) = Python::find() else { return };
    let running = start(builder().option("handshake_timeout", "300ms")).await;
    let mut client = connect(&python, &running);
    client.rows("", "CREATE TABLE t (x)");
    client.rows("", "BEGIN");
    client.rows("", "INSERT INTO t VALUES (1)");
    let told = only(&running);
    assert!(told.identified && told.requests == 3 && told.protocol == "sqlite_rx", "{told:?}");
    assert!(matches!(told.doing, Doing::Idle(_)) && told.database == Some(rowhouse_types::Target::Default));
    // It is killed, amid a transaction.
    drop(client);
    until_active(&running, 0).await;
    let gone = TcpStream::connect(running.listeners()[0].address).expect("it listens");
    until_active(&running, 1).await;
    assert!(!only(&running).identified);
    drop(gone);
    until_active(&running, 0).await;
    // This one stays, and says nothing in time.
    let silent = TcpStream::connect(running.listeners()[0].address).expect("it listens");
    until_active(&running, 1).await;
    until_active(&running, 0).await;
    drop(silent);
    running.shut_down().await.expect("nothing is in flight");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_failed_handshake_gives_its_permit_back() {
    let home = TempDir::new().expect("a directory");
    let files = KeyFiles::new(home.path().to_owned(), Side::Server.key_id());
    files.make().expect("nothing is there");
    let running = start(builder().curvezmq(true).zap(true).curve_dir(home.path())).await;
    let strange = KeyFiles::new(home.path().to_owned(), "stranger".to_owned());
    strange.make().expect("nothing is there");
    let strange = strange.load().expect("keys");
    let address = running.listeners()[0].address;
    for _ in 0..20 {
        probe::health(address, Some(&strange), PATIENCE).await.expect_err("its server is another");
        probe::health(address, None, PATIENCE).await.expect_err("it does not encrypt");
    }
    until_active(&running, 0).await;
    let status = running.clients().status();
    assert_eq!((status.unidentified, status.refused), (0, 0));
    running.shut_down().await.expect("nothing is in flight");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_open_clients_notice_nothing_of_a_thousand_changes_of_the_limit() {
    let Some(python) = Python::find() else { return };
    let running = start(builder()).await;
    let mut hundred = Client::run(&python, "hundred.py", &[&address(&running), "100"]);
    assert_eq!(hundred.exchange("begin"), "ready");
    let clients = running.clients();
    let limit = |n| NonZeroU32::new(n).expect("positive");
    let cause = || Cause::new(Interface::Library, "test");
    for n in 0..1_000 {
        let change = match n % 4 {
            0 => Change::Increase(limit(500)),
            1 => Change::Decrease { amount: limit(500), drain: false },
            2 => Change::Set { limit: limit(100), drain: false },
            _ => Change::Set { limit: limit(1_000), drain: false },
        };
        clients.change(change, cause()).expect("never below what is active");
        let status = clients.status();
        assert_eq!((status.active, status.over), (100, 0));
        tokio::task::yield_now().await;
    }
    clients.change(Change::Set { limit: limit(99), drain: false }, cause()).expect_err("100 are active");
    // Draining cuts nobody off.
    clients.change(Change::Set { limit: limit(10), drain: true }, cause()).expect("it drains");
    let answers = hundred.exchange("stop");
    assert!(answers.ends_with(" answers"), "{answers}");
    drop(hundred);
    until_active(&running, 0).await;
    running.shut_down().await.expect("nothing is in flight");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_is_closed_by_an_operator_loses_his_transaction_and_is_not_told_otherwise() {
    let Some(python) = Python::find() else { return };
    let home = TempDir::new().expect("a directory");
    let running = start(builder().data_directory(home.path()).default_database("a.db")).await;
    let mut first = connect(&python, &running);
    first.rows("", "CREATE TABLE t (x)");
    first.rows("", "BEGIN");
    first.rows("", "INSERT INTO t VALUES (1)");
    let endless = json!({
        "query": "INSERT INTO t WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT x FROM c WHERE x > 1",
        "client_id": "one"
    });
    first.send(&endless);
    let clients = running.clients();
    until("it is busy", || matches!(only(&running).doing, Doing::Busy(_))).await;
    let cause = Cause::new(Interface::Library, "test").because("it holds the others up");
    assert!(clients.end(only(&running).id, cause));
    drop(first);
    until_active(&running, 0).await;
    // What it sends again is told that its transaction is lost, and does not run outside of it.
    let mut second = connect(&python, &running);
    second.send(&endless);
    assert_eq!(second.receive()["error"]["code"], "transaction_lost");
    until("it is idle again", || matches!(only(&running).doing, Doing::Idle(_))).await;
    assert_eq!(second.rows("", "SELECT count(*) FROM t"), json!([[0]]));
    second.rows("", "INSERT INTO t VALUES (2)");
    // A transaction that is idle is rolled back as well.
    second.rows("", "BEGIN");
    second.rows("", "INSERT INTO t VALUES (3)");
    assert!(clients.end(only(&running).id, Cause::new(Interface::Library, "test")));
    until_active(&running, 0).await;
    drop(second);
    let mut third = connect(&python, &running);
    assert_eq!(third.rows("", "SELECT x FROM t"), json!([[2]]));
    let query = Query { action: Some(Action::CloseConnection), ..Query::default() };
    assert_eq!(running.journal().entries(query).await.expect("entries").len(), 2);
    drop(third);
    until_active(&running, 0).await;
    running.shut_down().await.expect("nothing is in flight");
}
