//! Long requests: what all of them may take together, and that they are understood as short ones are.
use crate::support::{Served, serve};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::future::join_all;
use rowhouse_gateway::{Cause, Interface};
use rowhouse_types::Target;
use serde_json::{Value, json};
use std::io::Write as _;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The most bytes of a request. All together take four times as many, beyond the first 64 KiB of each.
pub(crate) const MOST: usize = 512 << 10;

/// So many of the longest leave room for some of another, not for all of it.
pub(crate) const MANY: usize = 4;

const FREE: usize = 64 << 10;

const HELD: &str = "/db/held/v2/pipeline";

const OTHER: &str = "/db/other/v2/pipeline";

/// A server where nothing ends for having waited for long.
pub(crate) async fn patient() -> Served {
    let most = MOST.to_string();
    let mut options = vec![("max_request_bytes", most.as_str())];
    for option in [
        "acquire_timeout",
        "statement_timeout",
        "stream_idle_timeout",
        "idle_transaction_timeout",
        "transaction_timeout",
        "write_timeout",
        "http_body_timeout",
    ] {
        options.push((option, "10min"));
    }
    serve(&options).await
}

/// A database that is paused: whoever asks for it waits.
pub(crate) struct Paused<'s>(&'s Served, Target);

/// JSON with blanks behind it, so that it has so many bytes.
pub(crate) fn long(request: &Value, bytes: usize) -> String {
    let mut long = request.to_string();
    long.extend(std::iter::repeat_n(' ', bytes - long.len()));
    long
}

fn pipeline(bytes: usize) -> String {
    let execute = json!({ "type": "execute", "stmt": { "sql": "SELECT 7" } });
    long(&json!({ "requests": [execute, { "type": "close" }] }), bytes)
}

fn packed(plain: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain.as_bytes()).expect("into memory");
    encoder.finish().expect("into memory")
}

// === impl Paused ===

impl<'s> Paused<'s> {
    pub(crate) async fn new(served: &'s Served, name: &str) -> Self {
        let made = served.post(&format!("/db/{name}/query"), "", r#"{"sql": "SELECT 1"}"#).await;
        assert_eq!(made.status, 200, "{}", made.body);
        let target = Target::Named(name.parse().expect("a name"));
        let gateway = served.running.gateway();
        gateway.pause(&target, Duration::from_mins(10), &Self::cause()).await.expect("nobody uses it");
        Self(served, target)
    }

    /// Waits until so many wait for it.
    pub(crate) async fn waiting(&self, many: usize) {
        let Self(served, target) = self;
        loop {
            let report = served.running.gateway().inspect(target).await.expect("it is there");
            if report.waiting as usize == many {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn resume(self) {
        let Self(served, target) = self;
        assert!(served.running.gateway().resume(&target, &Self::cause()));
    }

    fn cause() -> Cause {
        Cause::new(Interface::Library, "a test")
    }
}

impl Served {
    /// Asks for something long, which must be refused for now.
    async fn refuses(&self, path: &str, headers: &str, body: impl AsRef<[u8]>) {
        let refused = self.post(path, headers, body).await;
        assert_eq!(refused.status, 503, "{path}: {}", refused.body);
        assert!(refused.head.contains("\r\nretry-after: 1"), "{}", refused.head);
        let said = refused.body.to_ascii_lowercase();
        assert!(said.contains("queue_full") && said.contains("max_request_bytes"), "{path}: {said}");
    }

    async fn answers(&self, path: &str, headers: &str, body: impl AsRef<[u8]>) {
        let answer = self.post(path, headers, body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert!(answer.body.contains('7'), "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn what_long_bodies_take_together_is_bounded_until_each_is_answered() {
    let served = patient().await;
    let paused = Paused::new(&served, "held").await;
    let statement = json!({ "sql": "SELECT 7" });
    let batch = json!({ "batch": { "steps": [{ "stmt": statement }] } });
    let each = [
        ("/v3/cursor", long(&batch, MOST)),
        ("/v2/pipeline", pipeline(MOST)),
        ("/query", long(&statement, MOST)),
        ("/v1/execute", long(&json!({ "stmt": statement }), MOST)),
        ("/v1/batch", long(&batch, MOST)),
    ];
    let holding =
        each.iter().skip(1).map(async |(path, body)| served.post(&format!("/db/held{path}"), "", body).await);
    let holding = join_all(holding);
    let asking = async {
        paused.waiting(MANY).await;
        for (path, body) in &each {
            served.refuses(&format!("/db/other{path}"), "", body).await;
        }
        // What was refused took no room from who fits.
        served.answers(OTHER, "", pipeline(MOST / 2)).await;
        paused.resume();
    };
    let (held, ()) = tokio::join!(holding, asking);
    assert!(held.iter().all(|answer| answer.status == 200 && answer.body.contains('7')));
    for (path, body) in each.iter().chain(&each) {
        served.answers(&format!("/db/other{path}"), "", body).await;
    }
}

#[tokio::test]
async fn what_comes_out_of_a_packed_body_is_counted() {
    let served = patient().await;
    let paused = Paused::new(&served, "held").await;
    let gzip = "Content-Encoding: gzip\r\n";
    let bomb = packed(&pipeline(MOST));
    assert!(bomb.len() < FREE);
    // They hold what came out as others hold what came.
    let holding = join_all((0..MANY).map(|_| served.post(HELD, gzip, &bomb)));
    let asking = async {
        paused.waiting(MANY).await;
        served.refuses(OTHER, gzip, &bomb).await;
        served.refuses(OTHER, "", pipeline(MOST)).await;
        served.answers(OTHER, gzip, packed(&pipeline(MOST / 2))).await;
        paused.resume();
    };
    let (held, ()) = tokio::join!(holding, asking);
    assert!(held.iter().all(|answer| answer.status == 200));
    served.answers(OTHER, gzip, &bomb).await;
}

#[tokio::test]
async fn a_short_request_is_never_refused_for_the_room_that_long_ones_take() {
    let served = patient().await;
    let paused = Paused::new(&served, "held").await;
    // To the last byte.
    let rest = 4 * MOST - MANY * (MOST - FREE) + FREE;
    let bodies = (0..MANY).map(|_| MOST).chain([rest]);
    let holding = join_all(bodies.map(|bytes| served.post(HELD, "", pipeline(bytes))));
    let asking = async {
        paused.waiting(MANY + 1).await;
        served.refuses(OTHER, "", pipeline(FREE + 1)).await;
        served.answers(OTHER, "", pipeline(FREE)).await;
        served.answers("/db/other/query", "", r#"{"sql": "SELECT 7"}"#).await;
        served.answers(OTHER, "Content-Encoding: gzip\r\n", packed(&pipeline(FREE / 2))).await;
        paused.resume();
    };
    let (held, ()) = tokio::join!(holding, asking);
    assert!(held.iter().all(|answer| answer.status == 200));
}

#[tokio::test]
async fn who_is_refused_for_want_of_room_reads_so_and_asks_on_over_the_same_connection() {
    let served = patient().await;
    let paused = Paused::new(&served, "held").await;
    let holding = join_all((0..MANY).map(|_| served.post(HELD, "", pipeline(MOST))));
    let asking = async {
        paused.waiting(MANY).await;
        let body = pipeline(MOST);
        let head = format!("POST {OTHER} HTTP/1.1\r\nHost: localhost\r\n");
        for length in [format!("Content-Length: {MOST}\r\n\r\n{body}"), chunked(&body)] {
            let next = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            let both = served.send(format!("{head}{length}{next}").into_bytes()).await;
            assert_eq!(both.status, 503, "{}", both.body);
            assert!(!both.head.contains("connection: close"), "{}", both.head);
            assert!(both.body.contains("HTTP/1.1 200 OK") && both.body.ends_with("ok\n"), "{}", both.body);
        }
        // Who asks whether to send it at all is told before.
        let asks = format!("{head}Content-Length: {MOST}\r\nExpect: 100-continue\r\n\r\n");
        let refused = served.send(asks.into_bytes()).await;
        assert_eq!(refused.status, 503, "{}", refused.body);
        assert!(refused.head.contains("\r\nconnection: close"), "{}", refused.head);
        paused.resume();
    };
    tokio::join!(holding, asking);
}

fn chunked(body: &str) -> String {
    let (first, second) = body.split_at(body.len() / 2);
    let chunk = |bytes: &str| format!("{:x}\r\n{bytes}\r\n", bytes.len());
    format!("Transfer-Encoding: chunked\r\n\r\n{}{}0\r\n\r\n", chunk(first), chunk(second))
}

#[tokio::test]
async fn a_cursor_holds_its_room_while_its_entries_are_read() {
    let served = patient().await;
    let made = served.post("/db/other/query", "", r#"{"sql": "CREATE TABLE t (n)"}"#).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let execute = json!({ "type": "execute", "stmt": { "sql": "BEGIN IMMEDIATE" } });
    let begun = served.post(OTHER, "", json!({ "requests": [execute] }).to_string()).await;
    let begun: Value = serde_json::from_str(&begun.body).expect("JSON");
    let paused = Paused::new(&served, "held").await;
    let holding = join_all((1..MANY).map(|_| served.post(HELD, "", pipeline(MOST))));
    let asking = async {
        paused.waiting(MANY - 1).await;
        // Its first step is answered, its second waits for its turn to write.
        let steps = ["SELECT hex(zeroblob(100000))", "INSERT INTO t VALUES (7)"];
        let steps = steps.map(|sql| json!({ "stmt": { "sql": sql } }));
        let body = long(&json!({ "batch": { "steps": steps } }), MOST);
        let mut cursor = TcpStream::connect(served.address).await.expect("it listens");
        let head = "POST /db/other/v3/cursor HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
        let request = format!("{head}Content-Length: {MOST}\r\n\r\n{body}");
        cursor.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = vec![0; 100_000];
        cursor.read_exact(&mut answer).await.expect("the first entries");
        served.refuses("/db/more/v2/pipeline", "", pipeline(MOST)).await;
        let commit = json!({ "type": "execute", "stmt": { "sql": "COMMIT" } });
        let commit = json!({ "baton": begun["baton"], "requests": [commit] }).to_string();
        assert_eq!(served.post(OTHER, "", commit).await.status, 200);
        cursor.read_to_end(&mut answer).await.expect("the other entries");
        assert!(answer.ends_with(b"0\r\n\r\n"), "it came to its end");
        served.answers("/db/more/v2/pipeline", "", pipeline(MOST)).await;
        paused.resume();
    };
    tokio::join!(holding, asking);
}

#[tokio::test]
async fn a_long_body_is_understood_as_a_short_one() {
    let served = patient().await;
    for bytes in [10, 100_000, 300_000] {
        let text = "ü\n".repeat(bytes / 3);
        let stmt = json!({ "sql": "SELECT ?, 7", "args": [{ "type": "text", "value": text }] });
        let execute = json!({ "type": "execute", "stmt": stmt });
        let body = json!({ "requests": [execute, { "type": "close" }] }).to_string();
        let answer = served.post(OTHER, "", body).await;
        let answer: Value = serde_json::from_str(&answer.body).expect("JSON");
        let row = json!([{ "type": "text", "value": text }, { "type": "integer", "value": "7" }]);
        assert_eq!(answer["results"][0]["response"]["result"]["rows"], json!([row]));
        assert_eq!(answer["results"][1]["response"], json!({ "type": "close" }));
        let query = json!({ "sql": "SELECT ?, 7", "args": [text] }).to_string();
        let answer = served.post("/db/other/query", "", query).await;
        let answer: Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(answer["rows"], json!([[text, 7]]));
    }
    let wrong = json!({ "requests": 1 });
    let short = served.post(OTHER, "", wrong.to_string()).await;
    let long = served.post(OTHER, "", long(&wrong, MOST)).await;
    assert_eq!((short.status, long.status, short.body), (400, 400, long.body));
}
