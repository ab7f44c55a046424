//! HTTP, byte by byte, of a server inside this process: who is let in, within which bounds, and how it ends.
use flate2::Compression;
use flate2::write::GzEncoder;
use rowhouse::{Running, Server, ServerBuilder, StartError};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

const PATIENCE: Duration = Duration::from_secs(60);

/// One connection, kept open.
struct Line(TcpStream);

/// One connection of HTTP/2, frame by frame, that answers every ping.
struct Frames(TcpStream);

/// An answer, read whole.
struct Answer {
    head: String,
    body: Vec<u8>,
}

fn builder() -> ServerBuilder {
    Server::builder().http_address("127.0.0.1:0")
}

async fn start(builder: ServerBuilder) -> (Running, SocketAddr) {
    let running = builder.build().expect("valid").start().await.expect("it starts");
    let address = running.listeners()[0].address;
    (running, address)
}

/// Asks on a connection of its own.
async fn ask(address: SocketAddr, request: &str) -> Answer {
    Line::open(address).await.ask(request).await
}

fn post(path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
}

const SELECT: &str = r#"{"requests":[{"type":"execute","stmt":{"sql":"SELECT 1"}},{"type":"close"}]}"#;

// === impl Line ===

impl Line {
    async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("it listens"))
    }

    async fn send(&mut self, bytes: &[u8]) {
        // It may have heard enough.
        let _sent = self.0.write_all(bytes).await;
    }

    async fn ask(&mut self, request: &str) -> Answer {
        self.send(request.as_bytes()).await;
        self.answer().await
    }

    async fn answer(&mut self) -> Answer {
        timeout(PATIENCE, self.read()).await.expect("it answers").expect("an answer")
    }

    async fn read(&mut self) -> Option<Answer> {
        let mut read = Vec::new();
        let end = loop {
            if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            let mut bytes = [0; 4096];
            match self.0.read(&mut bytes).await {
                Ok(0) | Err(_) => return None,
                Ok(many) => read.extend_from_slice(&bytes[..many]),
            }
        };
        let mut body = read.split_off(end);
        let head = String::from_utf8(read).expect("text").to_ascii_lowercase();
        let length = head
            .split_once("content-length: ")
            .map_or(0, |(_, rest)| rest.split("\r\n").next().expect("a line").parse().expect("a number"));
        let there = body.len();
        body.resize(length, 0);
        self.0.read_exact(&mut body[there..]).await.expect("as long as it says");
        Some(Answer { head, body })
    }

    /// Whether the server closes it.
    async fn is_closed(&mut self) -> bool {
        let read = timeout(PATIENCE, self.0.read(&mut [0; 1])).await.expect("it is closed in time");
        matches!(read, Ok(0) | Err(_))
    }
}

// === impl Frames ===

impl Frames {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RESET: u8 = 3;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const GOAWAY: u8 = 7;
    const WINDOW: u8 = 8;
    /// The end of a stream with DATA and HEADERS, an answer with PING and SETTINGS.
    const END: u8 = 1;
    const END_HEADERS: u8 = 4;

    async fn open(address: SocketAddr) -> Self {
        let mut frames = Self(TcpStream::connect(address).await.expect("it listens"));
        frames.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("it reads");
        frames.send(Self::SETTINGS, 0, 0, &[]).await;
        frames
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        // It may have gone.
        let _sent = self.0.write_all(&[&head, payload].concat()).await;
    }

    /// Asks, with a body if there is one.
    async fn ask(&mut self, stream: u32, path: &str, body: &[u8]) {
        let method = if body.is_empty() { "GET" } else { "POST" };
        let mut head = Vec::new();
        for (name, value) in
            [(":method", method), (":scheme", "http"), (":authority", "localhost"), (":path", path)]
        {
            // Each a literal that is in no table.
            head.push(0);
            for text in [name, value] {
                head.push(u8::try_from(text.len()).expect("short"));
                head.extend_from_slice(text.as_bytes());
            }
        }
        let end = if body.is_empty() { Self::END } else { 0 };
        self.send(Self::HEADERS, Self::END_HEADERS | end, stream, &head).await;
        if !body.is_empty() {
            self.send(Self::DATA, Self::END, stream, body).await;
        }
    }

    /// The kind, stream and length of the next frame that is neither a ping nor a setting; `None` at the end.
    async fn next(&mut self) -> Option<(u8, u32, usize)> {
        loop {
            let mut head = [0; 9];
            let read = timeout(PATIENCE, self.0.read_exact(&mut head)).await.expect("it is in time");
            read.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).await.ok()?;
            match head[3] {
                Self::PING | Self::SETTINGS if head[4] & Self::END != 0 => {}
                Self::PING => self.send(Self::PING, Self::END, 0, &payload).await,
                Self::SETTINGS => self.send(Self::SETTINGS, Self::END, 0, &[]).await,
                Self::WINDOW => {}
                kind => {
                    return Some((kind, u32::from_be_bytes([head[5], head[6], head[7], head[8]]), length));
                }
            }
        }
    }
}

// === impl Answer ===

impl Answer {
    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).expect("a status").parse().expect("a number")
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    #[track_caller]
    fn is(&self, status: u16, said: &str) {
        assert!(self.status() == status && self.text().contains(said), "{}{}", self.head, self.text());
    }
}

#[tokio::test]
async fn what_it_is_and_that_it_lives_is_told_without_a_database() {
    let (running, address) = start(builder()).await;
    let mut line = Line::open(address).await;
    line.ask(&get("/health", "")).await.is(200, "ok");
    line.ask(&get("/version", "")).await.is(200, env!("CARGO_PKG_VERSION"));
    line.ask(&get("/", "")).await.is(200, "one endpoint for very many databases");
    line.ask(&post("/health", "", "")).await.is(405, "malformed_request");
    line.ask(&get("/nowhere", "")).await.is(404, "there is nothing at this path");
    line.ask(&post("/v2/pipeline", "", SELECT)).await.is(200, r#""value":"1""#);
    drop(line);
    running.shut_down().await.expect("nothing is in flight");
}

#[tokio::test]
async fn a_page_of_a_strangers_gets_nothing_opened() {
    let home = tempfile::tempdir().expect("a directory");
    let open = builder().data_directory(home.path()).auto_connect(true).auto_create(true);
    let (running, address) = start(open.option("http_allowed_origins", "https://app.example.com")).await;
    for headers in [
        "Origin: http://evil.com\r\n",
        "Origin: null\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Host: evil.com\r\n",
        "Host: localhost\r\nHost: evil.com\r\n",
    ] {
        let request = post("/db/acme/v2/pipeline", headers, SELECT);
        let request =
            if headers.starts_with("Host") { request.replace("Host: localhost\r\nC", "C") } else { request };
        ask(address, &request).await.is(403, "FORBIDDEN");
    }
    assert_eq!(running.gateway().status().await.opened.open.len(), 0);
    let listed = "Origin: https://app.example.com\r\n";
    let answer = ask(address, &post("/db/acme/v2/pipeline", listed, SELECT)).await;
    answer.is(200, r#""value":"1""#);
    assert!(
        answer.head.contains("access-control-allow-origin: https://app.example.com\r\n"),
        "{}",
        answer.head
    );
    let preflight = format!(
        "OPTIONS /v2/pipeline HTTP/1.1\r\nHost: localhost\r\n{listed}Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-mine\r\n\r\n"
    );
    let answer = ask(address, &preflight).await;
    assert!(
        answer.status() == 204 && answer.head.contains("access-control-allow-headers: x-mine"),
        "{}",
        answer.head
    );
    running.shut_down().await.expect("nothing is in flight");
}

#[tokio::test]
async fn one_client_too_many_is_told_so_and_let_in_where_there_is_room_again() {
    let (running, address) = start(builder().option("client_limit", "1")).await;
    let mut first = Line::open(address).await;
    first.ask(&get("/health", "")).await.is(200, "ok");
    let mut second = Line::open(address).await;
    let answer = second.ask(&post("/v2/pipeline", "", SELECT)).await;
    answer.is(503, "CLIENT_LIMIT_REACHED");
    assert!(answer.head.contains("retry-after: 1\r\n"), "{}", answer.head);
    assert!(second.is_closed().await);
    // Accepted while there was no room, it asks when there is some.
    let mut third = Line::open(address).await;
    while running.clients().status().refused < 2 {
        tokio::task::yield_now().await;
    }
    drop(first);
    while running.clients().status().active > 0 {
        tokio::task::yield_now().await;
    }
    third.ask(&get("/health", "")).await.is(200, "ok");
    assert_eq!(running.clients().status().active, 1);
    drop(third);
    running.shut_down().await.expect("nothing is in flight");
}

#[tokio::test]
async fn who_says_nothing_in_time_is_cut_and_gives_the_permit_back() {
    let (running, address) = start(builder().option("handshake_timeout", "200ms")).await;
    let mut silent = Line::open(address).await;
    let mut half = Line::open(address).await;
    half.send(b"GET /health HTTP/1.1\r\nHost: local").await;
    assert!(silent.is_closed().await && half.is_closed().await);
    while running.clients().status().active > 0 {
        tokio::task::yield_now().await;
    }
    running.shut_down().await.expect("nothing is in flight");
}

#[tokio::test]
async fn bodies_are_bounded_in_size_and_time_also_unpacked() {
    let bounded = builder().option("max_request_bytes", "2048").option("http_body_timeout", "200ms");
    let (running, address) = start(bounded).await;
    ask(address, &post("/v2/pipeline", "", &"x".repeat(2049))).await.is(413, "max_request_bytes");
    let mut chunked = Line::open(address).await;
    chunked
        .send(b"POST /v2/pipeline HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    for _ in 0..3 {
        chunked.send(format!("400\r\n{}\r\n", "x".repeat(1024)).as_bytes()).await;
    }
    chunked.answer().await.is(413, "REQUEST_TOO_LARGE");
    let mut slow = Line::open(address).await;
    slow.send(b"POST /v2/pipeline HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{").await;
    slow.answer().await.is(408, "http_body_timeout");
    let packed = |plain: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).expect("into memory");
        encoder.finish().expect("into memory")
    };
    for (plain, status) in [(SELECT.as_bytes().to_vec(), 200), (vec![b' '; 1 << 20], 413)] {
        let body = packed(&plain);
        let head = format!(
            "POST /v2/pipeline HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut line = Line::open(address).await;
        line.send(&[head.as_bytes(), &body].concat()).await;
        line.answer().await.is(status, "");
    }
    let head = "Content-Encoding: br\r\n";
    ask(address, &post("/v2/pipeline", head, SELECT)).await.is(415, "gzip");
    let long = format!("X-Long: {}\r\n", "x".repeat(64 * 1024));
    assert_eq!(ask(address, &get("/v2", &long)).await.status(), 431);
    running.shut_down().await.expect("nothing is in flight");
}

#[tokio::test]
async fn a_request_in_flight_is_answered_when_the_server_stops_and_no_new_one_is_taken() {
    let (running, address) = start(builder()).await;
    let mut idle = Line::open(address).await;
    idle.ask(&get("/health", "")).await.is(200, "ok");
    let mut busy = Line::open(address).await;
    let request = post("/v2/pipeline", "", SELECT);
    let (first, second) = request.split_at(request.len() - 5);
    busy.send(first.as_bytes()).await;
    // It is under way when it is listed so.
    while !running.clients().list().iter().any(|client| client.requests == 1 && client.database.is_some()) {
        tokio::task::yield_now().await;
    }
    let asking = async {
        assert!(idle.is_closed().await);
        TcpStream::connect(address).await.expect_err("nobody listens any more");
        busy.send(second.as_bytes()).await;
        let answer = busy.answer().await;
        answer.is(200, r#""value":"1""#);
        assert!(busy.is_closed().await);
    };
    let (stopped, ()) = tokio::join!(running.shut_down(), asking);
    stopped.expect("it was answered in time");
}

#[tokio::test]
async fn long_answers_are_compressed_for_who_takes_it() {
    let (running, address) = start(builder()).await;
    let body = SELECT.replace("SELECT 1", "SELECT hex(zeroblob(5000))");
    let plain = ask(address, &post("/v2/pipeline", "", &body)).await;
    let packed = ask(address, &post("/v2/pipeline", "Accept-Encoding: gzip\r\n", &body)).await;
    assert!(packed.head.contains("content-encoding: gzip\r\n"), "{}", packed.head);
    assert!(packed.body.len() < 1000 && 10_000 < plain.body.len());
    let short = ask(address, &post("/v2/pipeline", "Accept-Encoding: gzip\r\n", SELECT)).await;
    short.is(200, r#""value":"1""#);
    running.shut_down().await.expect("nothing is in flight");
}

#[tokio::test]
async fn beyond_loopback_nobody_is_served_unasked_without_saying_who_they_are() {
    let everywhere = || Server::builder().http_address("0.0.0.0:0");
    let refused = everywhere().build().expect("valid").start().await.expect_err("anybody could come");
    assert!(matches!(refused, StartError::Exposed(_)) && refused.to_string().contains("--allow-anonymous"));
    let (running, _) = start(everywhere().option("allow_anonymous", "true")).await;
    assert!(running.warnings()[0].contains("serves whoever comes"), "{:?}", running.warnings());
    running.shut_down().await.expect("nothing is in flight");
}

#[tokio::test]
async fn with_a_certificate_it_speaks_tls_alone_and_both_versions_within() {
    let home = tempfile::tempdir().expect("a directory");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (certificate, key) = (home.path().join("cert.pem"), home.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).expect("writable");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("writable");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("its owner's");
    let encrypted = builder()
        .option("http_tls_cert", certificate.to_str().expect("UTF-8"))
        .option("http_tls_key", key.to_str().expect("UTF-8"));
    let (running, address) = start(encrypted).await;
    assert!(running.listeners()[0].url().starts_with("https://127.0.0.1:"));
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a certificate");
    for (offered, chosen) in [(&["h2", "http/1.1"][..], "h2"), (&["http/1.1"], "http/1.1")] {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = config.expect("TLS").with_root_certificates(roots.clone()).with_no_client_auth();
        config.alpn_protocols = offered.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(address).await.expect("it listens");
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        let mut stream = stream.expect("it is who it says");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(chosen.as_bytes()));
        if chosen == "http/1.1" {
            stream.write_all(get("/health", "Connection: close\r\n").as_bytes()).await.expect("it reads");
            let mut answer = String::new();
            // It may end without saying so.
            let _end = stream.read_to_string(&mut answer).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("ok\n"), "{answer}");
        }
    }
    let mut plain = Line::open(address).await;
    plain.send(get("/health", "").as_bytes()).await;
    assert!(timeout(PATIENCE, plain.read()).await.expect("it is closed").is_none());
    running.shut_down().await.expect("nothing is in flight");
}

#[tokio::test]
async fn an_answer_of_which_nothing_is_taken_over_http2_ends_and_its_connection_goes_on() {
    let (running, address) = start(builder().option("write_timeout", "300ms")).await;
    let mut frames = Frames::open(address).await;
    let endless =
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT hex(zeroblob(5000)) FROM n";
    frames.ask(1, "/query", format!(r#"{{"sql":"{endless}"}}"#).as_bytes()).await;
    // As much comes as may come unasked.
    let mut taken = 0;
    let end = loop {
        match frames.next().await.expect("the connection goes on") {
            (Frames::DATA, 1, many) => taken += many,
            (Frames::HEADERS, 1, _) => {}
            (kind, stream, _) => break (kind, stream),
        }
    };
    assert_eq!((end, taken), ((Frames::RESET, 1), 65_535));
    while running.clients().list().iter().any(|client| client.doing.idle().is_zero()) {
        tokio::task::yield_now().await;
    }
    frames.send(Frames::WINDOW, 0, 0, &65_535_u32.to_be_bytes()).await;
    frames.ask(3, "/health", b"").await;
    assert_eq!(frames.next().await.map(|(kind, stream, _)| (kind, stream)), Some((Frames::HEADERS, 3)));
    assert_eq!(frames.next().await, Some((Frames::DATA, 3, 3)));
    drop(frames);
    running.shut_down().await.expect("nothing is in flight");
}

#[tokio::test]
async fn an_idle_connection_of_http2_is_told_to_go_whatever_pings_it_answers() {
    let (running, address) = start(builder().option("http_idle_timeout", "300ms")).await;
    let mut frames = Frames::open(address).await;
    frames.ask(1, "/health", b"").await;
    let mut kinds = Vec::new();
    while let Some((kind, ..)) = frames.next().await {
        kinds.push(kind);
    }
    assert_eq!(kinds[..3], [Frames::HEADERS, Frames::DATA, Frames::GOAWAY], "{kinds:?}");
    while running.clients().status().active > 0 {
        tokio::task::yield_now().await;
    }
    running.shut_down().await.expect("nothing is in flight");
}
