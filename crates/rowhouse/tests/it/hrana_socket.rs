//! Hrana over WebSocket: many streams on one connection.
use crate::bodies::{MANY, MOST, Paused, patient};
use crate::support::{Served, serve};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// How long an answer may take on a machine with much to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// A client that asks and does not wait.
struct Client {
    socket: WebSocketStream<TcpStream>,
    asked: i64,
}

impl Client {
    async fn connect(served: &Served, database: &str, subprotocol: &str) -> Result<Self, Error> {
        let stream = TcpStream::connect(served.address).await.expect("it listens");
        let url = format!("ws://localhost:{}/db/{database}/", served.address.port());
        let mut request = url.into_client_request().expect("a request");
        request
            .headers_mut()
            .insert("sec-websocket-protocol", subprotocol.parse().expect("the name of a subprotocol"));
        let (socket, _answer) = client_async(request, stream).await?;
        Ok(Self { socket, asked: 0 })
    }

    async fn greeted(served: &Served, database: &str) -> Self {
        let mut client = Self::connect(served, database, "hrana3").await.expect("it is let in");
        client.send(&json!({ "type": "hello", "jwt": null })).await;
        assert_eq!(client.receive().await, json!({ "type": "hello_ok" }));
        client
    }

    async fn send(&mut self, message: &Value) {
        self.socket.send(Message::text(message.to_string())).await.expect("it reads");
    }

    /// Asks; the number of the request.
    async fn ask(&mut self, request: Value) -> i64 {
        self.asked += 1;
        self.send(&json!({ "type": "request", "request_id": self.asked, "request": request })).await;
        self.asked
    }

    async fn receive(&mut self) -> Value {
        match self.next().await {
            Message::Text(text) => serde_json::from_str(&text).expect("JSON"),
            other => panic!("{other:?}"),
        }
    }

    async fn next(&mut self) -> Message {
        let message = timeout(PATIENCE, self.socket.next()).await.expect("an answer in time");
        message.expect("it is open").expect("a message")
    }

    /// Asks and waits for the answer.
    async fn answer(&mut self, request: Value) -> Value {
        let asked = self.ask(request).await;
        let answer = self.receive().await;
        assert_eq!(answer["request_id"], asked, "{answer}");
        answer
    }

    async fn execute(&mut self, stream: i32, sql: &str) -> Value {
        self.answer(json!({ "type": "execute", "stream_id": stream, "stmt": { "sql": sql } })).await
    }

    /// The first value of a statement.
    async fn value(&mut self, stream: i32, sql: &str) -> Value {
        self.execute(stream, sql).await["response"]["result"]["rows"][0][0]["value"].clone()
    }

    /// Asks with a message of so many bytes and a few more.
    async fn ask_at_length(&mut self, stream: i32, bytes: usize) -> i64 {
        let stmt =
            json!({ "sql": "SELECT length(?)", "args": [{ "type": "text", "value": "x".repeat(bytes) }] });
        self.ask(json!({ "type": "execute", "stream_id": stream, "stmt": stmt })).await
    }

    async fn open(&mut self, stream: i32) {
        let answer = self.answer(json!({ "type": "open_stream", "stream_id": stream })).await;
        assert_eq!(answer["type"], "response_ok", "{answer}");
    }
}

#[tokio::test]
async fn what_is_asked_without_waiting_is_answered_in_the_order_of_each_stream() {
    let served = serve(&[]).await;
    let mut client = Client::connect(&served, "a", "hrana9, hrana2, hrana1").await.expect("it is let in");
    client.send(&json!({ "type": "hello", "jwt": null })).await;
    for stream in [1, 2] {
        client.ask(json!({ "type": "open_stream", "stream_id": stream })).await;
    }
    client.ask(json!({ "type": "store_sql", "sql_id": 5, "sql": "SELECT ?" })).await;
    let mut asked = Vec::new();
    for n in 0..200 {
        let stmt = json!({ "sql_id": 5, "args": [{ "type": "integer", "value": n.to_string() }] });
        let stream = 1 + n % 2;
        asked.push(client.ask(json!({ "type": "execute", "stream_id": stream, "stmt": stmt })).await);
    }
    // The text is that of the moment it was asked with.
    client.ask(json!({ "type": "close_sql", "sql_id": 5 })).await;
    assert_eq!(client.receive().await, json!({ "type": "hello_ok" }));
    let (mut odd, mut even) = (Vec::new(), Vec::new());
    for _ in 0..204 {
        let answer = client.receive().await;
        assert_eq!(answer["type"], "response_ok", "{answer}");
        let id = answer["request_id"].as_i64().expect("a number");
        if asked.contains(&id) {
            let value = &answer["response"]["result"]["rows"][0][0]["value"];
            assert_eq!(*value, (id - asked[0]).to_string());
            if (id - asked[0]) % 2 == 0 { odd.push(id) } else { even.push(id) }
        }
    }
    assert!(odd.is_sorted() && even.is_sorted());
    assert_eq!((odd.len(), even.len()), (100, 100));
}

#[tokio::test]
async fn nothing_is_done_for_who_has_not_said_hello_or_speaks_another_language() {
    let served = serve(&[]).await;
    let refused = Client::connect(&served, "a", "graphql-ws").await.err().expect("it is refused");
    assert!(matches!(refused, Error::Http(answer) if answer.status() == 400));
    let mut client = Client::connect(&served, "a", "hrana3").await.expect("it is let in");
    client.ask(json!({ "type": "open_stream", "stream_id": 1 })).await;
    let Message::Close(Some(frame)) = client.next().await else { panic!("it is closed") };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1008, "the first message is a hello"));
    let mut client = Client::greeted(&served, "a").await;
    client.socket.send(Message::text("{")).await.expect("it reads");
    let Message::Close(Some(frame)) = client.next().await else { panic!("it is closed") };
    assert_eq!(u16::from(frame.code), 1007);
}

#[tokio::test]
async fn a_stream_whose_transaction_was_rolled_back_for_being_idle_is_over_until_it_is_opened_anew() {
    let served = serve(&[("stream_idle_timeout", "50ms")]).await;
    let (mut client, mut other) = (Client::greeted(&served, "a").await, Client::greeted(&served, "a").await);
    client.open(1).await;
    client.execute(1, "CREATE TABLE t (n)").await;
    client.execute(1, "BEGIN IMMEDIATE").await;
    client.execute(1, "INSERT INTO t VALUES (1)").await;
    other.open(1).await;
    // It waits for its turn to write, which is when the other has ended.
    other.execute(1, "INSERT INTO t VALUES (2)").await;
    for sql in ["INSERT INTO t VALUES (3)", "COMMIT", "SELECT 1"] {
        let answer = client.execute(1, sql).await;
        assert_eq!(answer["error"]["code"], "STREAM_EXPIRED", "{sql}: {answer}");
    }
    client.answer(json!({ "type": "close_stream", "stream_id": 1 })).await;
    client.open(1).await;
    assert_eq!(client.value(1, "SELECT group_concat(n) FROM t").await, "2");
}

#[tokio::test]
async fn an_idle_stream_that_holds_nothing_gives_its_database_back_and_goes_on() {
    let served =
        serve(&[("max_connections", "1"), ("room_timeout", "100ms"), ("stream_idle_timeout", "60s")]);
    let served = served.await;
    let mut client = Client::greeted(&served, "a").await;
    client.open(1).await;
    assert_eq!(client.value(1, "SELECT 1").await, "1");
    let mut other = Client::greeted(&served, "b").await;
    other.open(1).await;
    let refused = other.execute(1, "SELECT 1").await;
    assert_eq!(refused["error"]["code"], "DATABASE_LIMIT_REACHED", "a live stream's is not evicted");

    let served = serve(&[("max_connections", "1"), ("room_timeout", "60s"), ("stream_idle_timeout", "50ms")]);
    let served = served.await;
    let mut client = Client::greeted(&served, "a").await;
    client.open(1).await;
    assert_eq!(client.value(1, "SELECT 1").await, "1");
    let mut other = Client::greeted(&served, "b").await;
    other.open(1).await;
    assert_eq!(other.value(1, "SELECT 2").await, "2");
    assert_eq!(client.value(1, "SELECT 3").await, "3");
}

#[tokio::test]
async fn a_cursor_is_fetched_in_parts_and_closed_early_without_ending_its_transaction() {
    let served = serve(&[]).await;
    let mut client = Client::greeted(&served, "a").await;
    client.open(1).await;
    client.execute(1, "CREATE TABLE t (n)").await;
    let rows =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10000000) SELECT i FROM n";
    let steps = json!([
        { "stmt": { "sql": "BEGIN" } },
        { "stmt": { "sql": "INSERT INTO t VALUES (1)" } },
        { "stmt": { "sql": rows } },
    ]);
    let open = json!({ "type": "open_cursor", "stream_id": 1, "cursor_id": 9, "batch": { "steps": steps } });
    assert_eq!(client.answer(open).await["response"]["type"], "open_cursor");
    let fetch = |most: u32| json!({ "type": "fetch_cursor", "cursor_id": 9, "max_count": most });
    let answer = client.answer(fetch(5)).await;
    let entries = answer["response"]["entries"].as_array().expect("entries");
    let kinds: Vec<&str> = entries.iter().filter_map(|entry| entry["type"].as_str()).collect();
    assert_eq!(kinds, ["step_begin", "step_end", "step_begin", "step_end", "step_begin"]);
    for n in 1..=1000 {
        let answer = client.answer(fetch(1)).await;
        assert_eq!(answer["response"]["entries"][0]["row"][0]["value"], n.to_string());
        assert_eq!(answer["response"]["done"], false);
    }
    let answer = client.execute(1, "SELECT 1").await;
    assert_eq!(answer["error"]["code"], "CURSOR_OPEN");
    client.answer(json!({ "type": "close_cursor", "cursor_id": 9 })).await;
    assert_eq!(client.answer(fetch(1)).await["error"]["code"], "CURSOR_NOT_OPEN");
    let autocommit = client.answer(json!({ "type": "get_autocommit", "stream_id": 1 })).await;
    assert_eq!(autocommit["response"]["is_autocommit"], false);
    client.execute(1, "COMMIT").await;
    assert_eq!(client.value(1, "SELECT count(*) FROM t").await, "1");
}

#[tokio::test]
async fn a_cursor_that_is_closed_within_a_write_ends_a_stream_whose_transaction_that_undid() {
    let served = serve(&[]).await;
    let mut client = Client::greeted(&served, "a").await;
    client.open(1).await;
    client.execute(1, "CREATE TABLE t (n)").await;
    // It is interrupted while it returns what it wrote.
    let write = "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000000) \
                 SELECT i FROM n RETURNING n";
    let steps = json!([
        { "stmt": { "sql": "BEGIN" } },
        { "stmt": { "sql": "INSERT INTO t VALUES (1)" } },
        { "stmt": { "sql": write } },
    ]);
    let open = json!({ "type": "open_cursor", "stream_id": 1, "cursor_id": 9, "batch": { "steps": steps } });
    client.answer(open).await;
    client.answer(json!({ "type": "fetch_cursor", "cursor_id": 9, "max_count": 6 })).await;
    client.answer(json!({ "type": "close_cursor", "cursor_id": 9 })).await;
    let after = client.execute(1, "INSERT INTO t VALUES (3)").await;
    let ended = client.execute(1, "COMMIT").await;
    // All of it or nothing.
    let mut other = Client::greeted(&served, "a").await;
    other.open(1).await;
    let count = other.value(1, "SELECT count(*) FROM t").await;
    if ended["type"] == "response_ok" {
        assert!(count == "2" || count == "1000002", "{after} {ended} {count}");
    } else {
        assert_eq!((&after["error"]["code"], &count), (&json!("STREAM_EXPIRED"), &json!("0")), "{ended}");
    }
}

#[tokio::test]
async fn who_is_sent_away_holds_nothing_even_if_they_do_not_go() {
    let served = serve(&[("handshake_timeout", "10m")]).await;
    let (mut client, mut other) = (Client::greeted(&served, "a").await, Client::greeted(&served, "a").await);
    client.open(1).await;
    client.execute(1, "CREATE TABLE t (n)").await;
    client.execute(1, "BEGIN IMMEDIATE").await;
    client.socket.send(Message::text("{")).await.expect("it reads");
    other.open(1).await;
    let inserted = other.execute(1, "INSERT INTO t VALUES (2)").await;
    assert_eq!(inserted["type"], "response_ok", "{inserted}");
    drop(client);
}

#[tokio::test]
async fn a_thousand_idle_streams_leave_room_for_one_that_works() {
    let served = serve(&[("pool_size", "2")]).await;
    let mut client = Client::greeted(&served, "a").await;
    for stream in 0..1000 {
        client.ask(json!({ "type": "open_stream", "stream_id": stream })).await;
        let stmt = json!({ "sql": "SELECT 1" });
        client.ask(json!({ "type": "execute", "stream_id": stream, "stmt": stmt })).await;
    }
    for _ in 0..2000 {
        assert_eq!(client.receive().await["type"], "response_ok");
    }
    let mut other = Client::greeted(&served, "a").await;
    other.open(1).await;
    assert_eq!(other.value(1, "SELECT 2").await, "2");
}

#[tokio::test]
async fn a_server_that_shuts_down_says_so_and_answers_what_it_was_asked() {
    let served = serve(&[]).await;
    let mut client = Client::greeted(&served, "a").await;
    client.open(1).await;
    client.execute(1, "BEGIN").await;
    let Served { running, .. } = served;
    let leaving = async move {
        let Message::Close(Some(frame)) = client.next().await else { panic!("it is closed") };
        assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1001, "the server is shutting down"));
    };
    let (stopped, ()) = tokio::join!(running.shut_down(), leaving);
    stopped.expect("it stops in order");
}

#[tokio::test]
async fn long_messages_are_answered_in_their_order_and_with_short_ones_between() {
    let served = serve(&[]).await;
    let mut client = Client::greeted(&served, "a").await;
    client.open(1).await;
    let lengths = [400_000, 1, 300_000, 2_000_000, 2, 3, 70_000, 400_000];
    let mut asked = Vec::new();
    for bytes in lengths {
        asked.push((client.ask_at_length(1, bytes).await, bytes.to_string()));
    }
    for (id, length) in asked {
        let answer = client.receive().await;
        assert_eq!((&answer["request_id"], &answer["type"]), (&json!(id), &json!("response_ok")));
        assert_eq!(answer["response"]["result"]["rows"][0][0]["value"], length);
    }
    // What breaks a rule is told as ever.
    client.socket.send(Message::text("{".repeat(400_000))).await.expect("it reads");
    let Message::Close(Some(frame)) = client.next().await else { panic!("it is closed") };
    assert_eq!(u16::from(frame.code), 1007);
}

#[tokio::test]
async fn a_long_message_for_which_there_is_no_room_is_refused_and_the_connection_goes_on() {
    let served = patient().await;
    let bytes = MOST - 1000;
    let mut client = Client::greeted(&served, "a").await;
    client.open(1).await;
    let paused = Paused::new(&served, "held").await;
    // As many of one connection as may wait there.
    let mut holding = [Client::greeted(&served, "held").await, Client::greeted(&served, "held").await];
    for (n, holds) in (1_usize..).zip(&mut holding) {
        for stream in [1, 2] {
            holds.open(stream).await;
        }
        for stream in [1, 2] {
            holds.ask_at_length(stream, bytes).await;
        }
        paused.waiting(n * MANY / 2).await;
    }
    let asked = client.ask_at_length(1, bytes).await;
    let refused = client.receive().await;
    assert_eq!((&refused["request_id"], &refused["type"]), (&json!(asked), &json!("response_error")));
    assert_eq!(refused["error"]["code"], "QUEUE_FULL", "{refused}");
    assert_eq!(client.value(1, "SELECT 7").await, "7");
    let body = " ".repeat(MOST);
    assert_eq!(served.post("/db/a/v2/pipeline", "", body).await.status, 503, "it is the same room");
    paused.resume();
    for holds in &mut holding {
        for _ in 0..2 {
            assert_eq!(holds.receive().await["type"], "response_ok");
        }
    }
    client.ask_at_length(1, bytes).await;
    assert_eq!(client.receive().await["response"]["result"]["rows"][0][0]["value"], bytes.to_string());
}

#[tokio::test]
async fn an_open_cursor_holds_its_room_until_it_is_closed_or_its_batch_has_ended() {
    let served = patient().await;
    let mut client = Client::greeted(&served, "a").await;
    let many = i32::try_from(MANY).expect("few");
    for stream in 0..=many {
        client.open(stream).await;
    }
    let stmt = |bytes: usize| json!({ "sql": "SELECT length(?)", "args": [{ "type": "text", "value": "x".repeat(bytes) }] });
    let steps = json!([{ "stmt": stmt(MOST - 1000) }]);
    let open = |cursor: i32| json!({ "type": "open_cursor", "stream_id": cursor, "cursor_id": cursor, "batch": { "steps": steps } });
    for cursor in 0..many {
        assert_eq!(client.answer(open(cursor)).await["response"]["type"], "open_cursor");
    }
    assert_eq!(client.answer(open(many)).await["error"]["code"], "QUEUE_FULL");
    client.answer(json!({ "type": "close_cursor", "cursor_id": 0 })).await;
    assert_eq!(client.answer(open(many)).await["response"]["type"], "open_cursor");
    assert_eq!(client.answer(open(0)).await["error"]["code"], "QUEUE_FULL");
    let fetch = json!({ "type": "fetch_cursor", "cursor_id": 1, "max_count": 100 });
    assert_eq!(client.answer(fetch).await["response"]["done"], true);
    assert_eq!(client.answer(open(0)).await["response"]["type"], "open_cursor");
}
