//! Who does nothing keeps nobody out, and busy databases keep no answer back.
use super::support::{Answer, Managed, plain};
use std::sync::mpsc::sync_channel;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open_connections_keep_nobody_out() {
    let managed = Managed::start().await;
    let mut idle = Vec::new();
    for number in 0..700 {
        let mut stream = TcpStream::connect(managed.address()).await.expect("it listens");
        if number % 2 == 0 {
            // Who was cut off already cannot write.
            let _cut = stream.write_all(b"PUT /limit HTTP/1.1\r\nHost: localhost\r\n").await;
        }
        idle.push(stream);
    }
    for _ in 0..50 {
        assert_eq!(managed.get("/health").await.status, 200);
    }
    drop(idle);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_serves_many_requests() {
    let managed = Managed::start().await;
    let mut stream = TcpStream::connect(managed.address()).await.expect("it listens");
    let get = "GET /limit HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let last = "GET /limit HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(format!("{get}{get}{last}").as_bytes()).await.expect("it reads");
    let answer = Answer::read(stream).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body.matches("HTTP/1.1 200 OK").count(), 2, "two more follow the first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_answers_while_the_runtime_of_the_databases_is_stuck() {
    let data = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    let managed = Managed::with(plain(), data.handle().clone()).await;
    let (release, released) = sync_channel::<()>(1);
    let (begun, begins) = sync_channel(1);
    let tracker = tokio_util::task::TaskTracker::new();
    let stuck = async move {
        begun.send(()).expect("somebody waits");
        // Released by the end of the test, whatever ends it.
        let _released = released.recv();
    };
    tracker.spawn_on(stuck, data.handle());
    begins.recv().expect("it runs");
    assert_eq!(managed.get("/health").await.status, 200);
    assert_eq!(managed.get("/limit").await.status, 200);
    assert_eq!(managed.write("PUT", "/limit", "{\"limit\":5}").await.status, 200);
    let ready = managed.get("/ready").await;
    let told = "{\"checks\":{\"databases\":{\"metadata\":false},\"metadata_db\":false,\"org_databases\":{},\
                \"server\":{\"listening\":true,\"serving\":false}},\"status\":\"not_ready\"}\n";
    ready.is(503, told);
    drop(release);
    data.shutdown_background();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_stops_and_answers_nobody_any_more() {
    let managed = Managed::start().await;
    let address = managed.address();
    let idle = TcpStream::connect(address).await.expect("it listens");
    managed.running.stop().await;
    assert_eq!(Answer::read(idle).await.status, 0);
    assert!(TcpStream::connect(address).await.is_err());
}
