//! Feeds of changes, as curl and a WebSocket read them.
use crate::support::{Served, serve};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// How long anything may take on a machine with much to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// Somebody who reads events.
struct Reader {
    lines: BufReader<TcpStream>,
}

/// An event as it came.
#[derive(Debug)]
struct Event {
    id: String,
    kind: String,
    data: Value,
}

impl Served {
    /// Runs a statement; whether it went well.
    async fn runs(&self, database: &str, sql: &str) -> bool {
        let body = json!({ "sql": sql }).to_string();
        self.post(&format!("/db/{database}/query"), "", body).await.status == 200
    }

    /// Asks for a feed; the status, and who reads on.
    async fn ask(&self, path: &str, headers: &str) -> (String, Reader) {
        let mut socket = TcpStream::connect(self.address).await.expect("connects");
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        socket.write_all(head.as_bytes()).await.expect("it reads");
        let mut reader = Reader { lines: BufReader::new(socket) };
        let status = reader.line().await.expect("an answer");
        while !reader.line().await.expect("a head").is_empty() {}
        (status, reader)
    }

    async fn read(&self, path: &str) -> Reader {
        let (status, reader) = self.ask(path, "").await;
        assert_eq!(status, "HTTP/1.1 200 OK");
        reader
    }
}

impl Reader {
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.lines.read_line(&mut line)).await.expect("in time");
        (read.expect("it goes on") != 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// The next event; none when there are no more. Lines of chunks and comments are passed over.
    async fn event(&mut self) -> Option<Event> {
        let (mut id, mut kind) = (String::new(), String::new());
        loop {
            let line = self.line().await?;
            match line.split_once(": ") {
                Some(("id", text)) => id = text.to_owned(),
                Some(("event", text)) => kind = text.to_owned(),
                Some(("data", text)) => {
                    let data = serde_json::from_str(text).expect("JSON");
                    return Some(Event { id, kind, data });
                }
                _ => {}
            }
        }
    }

    async fn data(&mut self, kind: &str) -> Value {
        let event = self.event().await.expect("it goes on");
        assert_eq!((event.kind.as_str(), event.data["type"].as_str()), (kind, Some(kind)), "{event:?}");
        event.data
    }
}

#[tokio::test]
async fn changes_are_told_as_events_once_they_are_committed() {
    let served = serve(&[]).await;
    assert!(
        served.runs("shop", "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, big INTEGER, b BLOB)").await
    );
    assert!(served.runs("shop", "CREATE TABLE other (n)").await);
    let mut all = served.read("/db/shop/live").await;
    let mut some = served.read("/db/shop/live?table=OTHER").await;
    all.data("ready").await;
    some.data("ready").await;
    assert!(served.runs("shop", "INSERT INTO t VALUES (1, 'a\nb', 9223372036854775807, x'00ff')").await);
    assert!(served.runs("shop", "UPDATE t SET name = NULL").await);
    assert!(served.runs("shop", "DELETE FROM t").await);
    assert!(served.runs("shop", "INSERT INTO other VALUES (1.5)").await);
    let data = all.data("insert").await;
    let row = json!({"id": 1, "name": "a\nb", "big": "9223372036854775807", "b": {"base64": "AP8"}});
    assert_eq!((&data["table"], &data["row"]), (&json!("t"), &row));
    assert_eq!(all.data("update").await["row"]["name"], Value::Null);
    assert_eq!(all.data("delete").await["row"]["id"], 1);
    assert_eq!(all.data("insert").await["table"], "other");
    assert_eq!(some.data("insert").await["row"], json!({"n": 1.5}));
    served.running.shut_down().await.expect("nothing is in flight");
}

#[tokio::test]
async fn who_comes_again_goes_on_after_the_last_event_it_has_heard() {
    let served = serve(&[]).await;
    assert!(served.runs("shop", "CREATE TABLE t (n)").await);
    let mut first = served.read("/db/shop/live?table=t").await;
    first.data("ready").await;
    assert!(served.runs("shop", "INSERT INTO t VALUES (1)").await);
    let heard = first.event().await.expect("an event");
    assert_eq!(heard.data["position"], json!(heard.id));
    drop(first);
    assert!(served.runs("shop", "INSERT INTO t VALUES (2)").await);
    let header = format!("Last-Event-ID: {}\r\n", heard.id);
    let (_, mut again) = served.ask("/db/shop/live?table=t", &header).await;
    again.data("ready").await;
    assert_eq!(again.data("insert").await["row"]["n"], 2);
    let mut lost = served.read("/db/shop/live?from=0123456789abcdef-3").await;
    lost.data("ready").await;
    assert_eq!(lost.data("gap").await["reason"], "overrun");
    let (status, _) = served.ask("/db/shop/live?from=yesterday", "").await;
    assert_eq!(status, "HTTP/1.1 400 Bad Request");
    served.running.shut_down().await.expect("nothing is in flight");
}

#[tokio::test]
async fn a_feed_opens_what_is_there_and_creates_nothing() {
    let served = serve(&[]).await;
    let (status, _) = served.ask("/db/nowhere/live", "").await;
    assert_eq!(status, "HTTP/1.1 404 Not Found");
    let mut default = served.read("/live").await;
    default.data("ready").await;
    served.running.shut_down().await.expect("nothing is in flight");
}

#[tokio::test]
async fn a_feed_ends_when_the_server_does_and_says_so() {
    let served = serve(&[]).await;
    assert!(served.runs("shop", "CREATE TABLE t (n)").await);
    let mut reader = served.read("/db/shop/live").await;
    reader.data("ready").await;
    let reading = async {
        assert_eq!(reader.data("end").await["code"], "shutting_down");
        assert!(reader.event().await.is_none());
    };
    let (stopped, ()) = tokio::join!(served.running.shut_down(), reading);
    stopped.expect("nothing is in flight");
}

#[tokio::test]
async fn the_same_is_told_over_websocket() {
    let served = serve(&[]).await;
    assert!(served.runs("shop", "CREATE TABLE t (n)").await);
    let socket = TcpStream::connect(served.address).await.expect("connects");
    let request = format!("ws://localhost:{}/db/shop/live?table=t", served.address.port());
    let request = request.into_client_request().expect("a request");
    let (mut socket, _) = tokio_tungstenite::client_async(request, socket).await.expect("it agrees");
    let mut next = async || {
        let message = timeout(PATIENCE, socket.next()).await.expect("in time").expect("one").expect("well");
        match message {
            Message::Text(text) => serde_json::from_str::<Value>(&text).expect("JSON"),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(next().await["type"], "ready");
    assert!(served.runs("shop", "INSERT INTO t VALUES (1), (2)").await);
    let (one, two) = (next().await, next().await);
    assert_eq!((&one["type"], &one["row"]["n"], &two["row"]["n"]), (&json!("insert"), &json!(1), &json!(2)));
    socket.send(Message::Ping(vec![1].into())).await.expect("it reads");
    let pong = timeout(PATIENCE, socket.next()).await.expect("in time").expect("one").expect("well");
    assert_eq!(pong, Message::Pong(vec![1].into()));
    let reading = async {
        let last = timeout(PATIENCE, socket.next()).await.expect("in time").expect("one").expect("well");
        assert!(last.to_text().expect("text").contains("shutting_down"), "{last:?}");
        let close = timeout(PATIENCE, socket.next()).await.expect("in time").expect("one").expect("well");
        assert!(matches!(close, Message::Close(Some(_))), "{close:?}");
    };
    let (stopped, ()) = tokio::join!(served.running.shut_down(), reading);
    stopped.expect("nothing is in flight");
}

#[tokio::test]
async fn who_reads_slowly_holds_nobody_up_and_is_told_of_a_gap() {
    let served = serve(&[("live_window", "10")]).await;
    assert!(served.runs("shop", "CREATE TABLE t (n)").await);
    let mut reader = served.read("/db/shop/live").await;
    reader.data("ready").await;
    // One transaction of more than is kept: no reader is fast enough.
    let many = "INSERT INTO t WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 100) SELECT x FROM c";
    assert!(served.runs("shop", many).await);
    assert_eq!(reader.data("gap").await["reason"], "overrun");
    assert_eq!(reader.data("insert").await["row"]["n"], 91);
    served.running.shut_down().await.expect("nothing is in flight");
}
