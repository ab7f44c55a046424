//! When what seldom happens to a WebSocket does.
use super::connection::Connection;
use crate::call::Call;
use crate::counters::Counters;
use crate::gate::Origins;
use crate::line::Line;
use crate::listener::PROTOCOL;
use crate::seldom::until_ended;
use crate::shared::{Context, Patience, Settings, Shared, Timeouts};
use futures::{FutureExt as _, SinkExt, StreamExt};
use rowhouse_access::{Access, AccessParts, Identity};
use rowhouse_engine::SqlPolicy;
use rowhouse_gateway::routing::{Router, Rule};
use rowhouse_gateway::{
    Catalog, Cause, Clients, ClientsParts, Dynamic, Gateway, Interface, Journal, Limits, Parts, Removal,
    Silent,
};
use rowhouse_sync::Drain;
use rowhouse_testing::Fake;
use rowhouse_types::{DatabaseName, Target};
use rowhouse_wire::hrana::Encoding;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::sync::CancellationToken;

const HANDSHAKE: Duration = Duration::from_secs(10);
const WRITE: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_secs(600);
const STREAM: Duration = Duration::from_secs(20);

/// What is on the way before nothing more is written.
const PIPE: usize = 8 << 10;

/// A client, and what it is served with.
struct Peer {
    socket: WebSocketStream<DuplexStream>,
    serving: JoinHandle<()>,
    gateway: Gateway,
    drain: Drain,
    abort: CancellationToken,
    clients: Clients,
    patience: Patience,
    asked: i64,
}

fn database() -> DatabaseName {
    "a".parse().expect("a name")
}

fn context(gateway: &Gateway) -> Context {
    let some = NonZeroU32::new(8).expect("not zero");
    let journal = Journal::in_memory();
    let clients = ClientsParts { limit: some, handshake_limit: some, observer: Arc::new(Silent), journal };
    let timeouts =
        Timeouts { handshake: HANDSHAKE, write: WRITE, body: HANDSHAKE, idle: IDLE, stream: STREAM };
    Context {
        gateway: gateway.clone(),
        drain: Drain::new(),
        abort: CancellationToken::new(),
        clients: Clients::new(clients),
        access: Access::new(AccessParts { allow_anonymous: true, ..AccessParts::default() }).expect("valid"),
        router: Router::new(&[Rule::Path], []).expect("valid"),
        tls: None,
        counters: Counters::default(),
        settings: Settings {
            policy: SqlPolicy::Standard,
            max_request_bytes: 1 << 20,
            compression: false,
            allowed_hosts: Vec::new(),
            allowed_origins: Origins::Own,
            version: "",
        },
        patience: Patience::new(timeouts),
    }
}

// === impl Peer ===

impl Peer {
    async fn connect() -> Self {
        let parts = Parts {
            catalog: Catalog::new([], Dynamic::Create).expect("valid"),
            engine: Arc::new(Fake::default()),
            observer: Arc::new(Silent),
            limits: Limits::default(),
            journal: Journal::in_memory(),
            metadata: None,
            migrator: None,
        };
        let gateway = Gateway::start(parts).await.expect("it starts");
        let context = context(&gateway);
        let (drain, abort) = (context.drain.clone(), context.abort.clone());
        let (clients, patience) = (context.clients.clone(), context.patience.clone());
        let from = SocketAddr::from(([10, 0, 0, 1], 1));
        let guest = context.clients.admit(PROTOCOL, from).await.expect("there is room");
        let call = Call {
            line: Arc::new(Line::new(from, from.ip(), Ok(guest))),
            target: Target::Named(database()),
            identity: Arc::new(Identity::anybody()),
            head: http::Request::new(()).into_parts().0,
            prefix: 0,
            client: Arc::new(gateway.client()),
            shared: Arc::new(Shared::new(context)),
        };
        let (ours, theirs) = duplex(PIPE);
        let tasks = call.shared.tasks.clone();
        let ours = WebSocketStream::from_raw_socket(ours, Role::Server, None).await;
        let (line, shared) = (call.line.clone(), call.shared.clone());
        let serving = Connection::new(call, ours, Encoding::Json).serve();
        let serving = tasks.spawn(async move { until_ended(line, &shared, serving).await });
        let socket = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
        Self { socket, serving, gateway, drain, abort, clients, patience, asked: 0 }
    }

    /// With an open stream.
    async fn greeted() -> Self {
        let mut peer = Self::connect().await;
        peer.send(&json!({ "type": "hello", "jwt": null })).await;
        assert_eq!(peer.said().await, json!({ "type": "hello_ok" }));
        assert_eq!(peer.answer(json!({ "type": "open_stream", "stream_id": 1 })).await, "response_ok");
        peer
    }

    async fn send(&mut self, message: &Value) {
        self.socket.send(Message::text(message.to_string())).await.expect("it reads");
    }

    async fn said(&mut self) -> Value {
        match self.socket.next().await.expect("it is open").expect("a message") {
            Message::Text(text) => serde_json::from_str(&text).expect("JSON"),
            other => panic!("{other:?}"),
        }
    }

    /// Asks; how it is answered.
    async fn answer(&mut self, request: Value) -> String {
        self.asked += 1;
        self.send(&json!({ "type": "request", "request_id": self.asked, "request": request })).await;
        let said = self.said().await;
        assert_eq!(said["request_id"], self.asked, "{said}");
        let how = if said["error"].is_null() { &said["type"] } else { &said["error"]["code"] };
        how.as_str().expect("a word").to_owned()
    }

    async fn execute(&mut self, sql: &str) -> String {
        self.answer(json!({ "type": "execute", "stream_id": 1, "stmt": { "sql": sql } })).await
    }

    /// Why it is closed.
    async fn closed(&mut self) -> (u16, String) {
        let Some(Ok(Message::Close(Some(frame)))) = self.socket.next().await else { panic!("it is closed") };
        (frame.code.into(), frame.reason.to_string())
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_say_hello_in_time_is_told_whatever_else_they_send() {
    let (mut peer, begun) = (Peer::connect().await, Instant::now());
    for _ in 0..3 {
        sleep(HANDSHAKE / 4).await;
        peer.socket.send(Message::Pong("still here".into())).await.expect("it reads");
    }
    assert_eq!(peer.closed().await, (1008, "there was no hello in time".to_owned()));
    assert_eq!(begun.elapsed(), HANDSHAKE);
    peer.serving.await.expect("it has ended");
}

#[tokio::test(start_paused = true)]
async fn who_is_silent_is_asked_whether_they_are_there_and_left_if_they_are_not() {
    let mut peer = Peer::greeted().await;
    for _ in 0..5 {
        // What is asked anew is silent anew.
        for _ in 0..3 {
            sleep(IDLE / 5).await;
            assert_eq!(peer.execute("SELECT").await, "response_ok");
        }
        let begun = Instant::now();
        let asked = peer.socket.next().await.expect("it is open").expect("a message");
        assert_eq!((asked, begun.elapsed()), (Message::Ping("".into()), IDLE / 2));
        // The library answers as it reads on.
        assert!(timeout(IDLE / 3, peer.socket.next()).await.is_err(), "it has answered");
        assert_eq!(peer.execute("SELECT").await, "response_ok");
    }
    let begun = Instant::now();
    peer.serving.await.expect("nobody reads what it asks");
    assert_eq!(begun.elapsed(), IDLE);
}

#[tokio::test(start_paused = true)]
async fn what_a_stream_holds_is_given_up_when_it_was_not_asked_for_so_long() {
    let mut peer = Peer::greeted().await;
    for is_late in [false, false, true] {
        assert_eq!(peer.execute("BEGIN").await, "response_ok");
        for _ in 0..4 {
            sleep(STREAM * 2 / 3).await;
            assert_eq!(peer.execute("INSERT").await, "response_ok");
        }
        if is_late {
            sleep(STREAM + Duration::from_millis(2)).await;
        }
        let expected = if is_late { "STREAM_EXPIRED" } else { "response_ok" };
        assert_eq!(peer.execute("COMMIT").await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_client_may_take_changes_for_what_begins_later() {
    let mut peer = Peer::greeted().await;
    assert_eq!(peer.execute("BEGIN").await, "response_ok");
    peer.patience.set(Timeouts { stream: STREAM / 4, ..peer.patience.get() });
    sleep(STREAM / 2).await;
    assert_eq!(peer.execute("INSERT").await, "response_ok");
    sleep(STREAM / 2).await;
    assert_eq!(peer.execute("COMMIT").await, "STREAM_EXPIRED");
}

#[tokio::test(start_paused = true)]
async fn an_operator_who_ends_a_database_waits_for_no_stream_that_rests() {
    let mut peer = Peer::greeted().await;
    for _ in 0..2 {
        assert_eq!(peer.execute("BEGIN").await, "response_ok");
        let (how, begun) = (Removal { patience: Duration::ZERO, force: true }, Instant::now());
        let cause = Cause::new(Interface::Library, "a test");
        peer.gateway.drop_database(&database(), how, &cause).await.expect("nobody uses it");
        assert!(begun.elapsed() < STREAM, "{:?}", begun.elapsed());
        assert_eq!(peer.execute("COMMIT").await, "STREAM_EXPIRED");
        for request in ["close_stream", "open_stream"] {
            assert_eq!(peer.answer(json!({ "type": request, "stream_id": 1 })).await, "response_ok");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_once_no_new_work_is_taken_on_is_not_read() {
    let mut peer = Peer::greeted().await;
    assert_eq!(peer.execute("SELECT").await, "response_ok");
    peer.drain.begin();
    // Who read it would say that it is malformed.
    peer.socket.send(Message::text("{")).await.expect("it is open");
    assert_eq!(peer.closed().await, (1001, "the server is shutting down".to_owned()));
    drop(peer.socket);
    peer.serving.await.expect("it has ended");
}

#[tokio::test(start_paused = true)]
async fn who_is_closed_by_an_operator_or_with_all_others_holds_nothing_any_more() {
    for are_all in [false, true] {
        let mut peer = Peer::greeted().await;
        assert_eq!(peer.execute("BEGIN").await, "response_ok");
        let begun = Instant::now();
        if are_all {
            peer.abort.cancel();
        } else {
            let [client] = &peer.clients.list()[..] else { panic!("it is the only one") };
            assert!(peer.clients.end(client.id, Cause::new(Interface::Library, "a test")));
        }
        peer.serving.await.expect("it has ended");
        // As if it had broken: nothing is said to who is sent away.
        assert!(!matches!(peer.socket.next().await, Some(Ok(_))));
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert!(peer.clients.list().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_what_they_asked_for_is_left_in_time() {
    let mut peer = Peer::greeted().await;
    let request = json!({ "type": "open_stream", "stream_id": 1 });
    let ask = Message::text(json!({ "type": "request", "request_id": 7, "request": request }).to_string());
    // Until nothing more is taken on.
    while peer.socket.send(ask.clone()).now_or_never().is_some() {
        tokio::task::yield_now().await;
    }
    let begun = Instant::now();
    peer.serving.await.expect("it has ended");
    assert_eq!(begun.elapsed(), WRITE);
}
