//! A connection on which plain requests come.
use super::*;
use http::{HeaderValue, StatusCode, header};
use http_body_util::BodyExt as _;
use std::sync::Arc;
use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

/// Serves one end of a connection with `answer`, while `client` has the other.
async fn serving<A, F, C>(answer: A, client: C) -> Option<Bytes>
where
    A: Fn(String) -> F,
    F: Future<Output = Response<Body>>,
    C: AsyncFnOnce(DuplexStream, &AtomicBool),
{
    let (mut ours, theirs) = duplex(64 * 1024);
    let requests = Requests::new(TaskTracker::new(), Duration::from_secs(30));
    let closes = AtomicBool::new(false);
    let answer = async |request: Request<Sent>| {
        let body = request.into_body().collect().await.expect("it is there").to_bytes();
        answer(String::from_utf8(body.to_vec()).expect("text")).await
    };
    let serving = async {
        let handed = Plain { stream: &mut ours, requests: &requests, closes: &closes, answer }.serve().await;
        assert!(requests.rest(), "nothing is under way any more");
        // As its owner does who gets it back.
        drop(ours);
        handed
    };
    tokio::join!(serving, client(theirs, &closes)).0
}

async fn echo(body: String) -> Response<Body> {
    Response::new(Body::full(body))
}

fn request(body: &str) -> String {
    format!("POST /v2/pipeline HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Reads one answer: its head and its body.
async fn read(stream: &mut DuplexStream) -> (String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("an answer"));
    }
    let head = String::from_utf8(head).expect("text");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a number"))];
    stream.read_exact(&mut body).await.expect("its body");
    (head, String::from_utf8(body).expect("text"))
}

#[tokio::test]
async fn requests_that_come_together_or_in_pieces_are_answered_in_order() {
    let handed = serving(echo, async |mut stream, _| {
        let all = [request("one"), request("two"), request("three")].concat();
        let (first, rest) = all.split_at(all.find("two").expect("it is there") + 1);
        stream.write_all(first.as_bytes()).await.expect("it is open");
        let (head, body) = read(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("\r\ndate: "), "{head}");
        assert!(!head.contains("connection"), "{head}");
        assert_eq!(body, "one");
        for byte in rest.as_bytes() {
            stream.write_all(&[*byte]).await.expect("it is open");
            tokio::task::yield_now().await;
        }
        assert_eq!(
            (read(&mut stream).await.1, read(&mut stream).await.1),
            ("two".to_owned(), "three".to_owned())
        );
    });
    assert_eq!(handed.await, None, "the client left");
}

#[tokio::test]
async fn what_is_not_plain_is_handed_on_as_it_came_after_what_came_before_it() {
    let other = "GET /health HTTP/1.1\r\nhost: a\r\n\r\n";
    let handed = serving(echo, async |mut stream, _| {
        stream.write_all([request("one"), other.to_owned()].concat().as_bytes()).await.expect("it is open");
        assert_eq!(read(&mut stream).await.1, "one");
    });
    assert_eq!(handed.await.expect("it is handed on"), other);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_soon_is_waited_for_elsewhere() {
    let begun = Instant::now();
    let half = request("one").split_at(60).0.to_owned();
    let handed = serving(echo, async |mut stream, _| {
        for byte in half.as_bytes() {
            stream.write_all(&[*byte]).await.expect("it is open");
        }
        tokio::time::sleep(2 * SOON).await;
    });
    assert_eq!(handed.await.expect("it is handed on"), half);
    assert_eq!(begun.elapsed(), 2 * SOON);
}

#[tokio::test]
async fn a_request_whose_head_is_there_is_under_way_and_answered_though_no_more_are() {
    let (mut ours, mut theirs) = duplex(64 * 1024);
    let requests = Requests::new(TaskTracker::new(), Duration::from_secs(30));
    let closes = AtomicBool::new(false);
    let answer = async |_| Response::new(Body::full("one"));
    let mut serving = pin!(Plain { stream: &mut ours, requests: &requests, closes: &closes, answer }.serve());
    let whole = request("{}");
    let (head, body) = whole.split_at(whole.len() - 1);
    theirs.write_all(head.as_bytes()).await.expect("it is open");
    assert!(futures::poll!(serving.as_mut()).is_pending());
    assert!(!requests.rest());
    closes.store(true, Ordering::Relaxed);
    theirs.write_all(body.as_bytes()).await.expect("it is open");
    assert_eq!(serving.await, None);
    assert!(read(&mut theirs).await.0.contains("connection: close\r\n"));
}

#[tokio::test]
async fn what_a_client_asked_that_leaves_is_given_up() {
    struct GivenUp(Arc<Notify>);
    impl Drop for GivenUp {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let (begun, given_up) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let answer = |_| {
        let held = GivenUp(given_up.clone());
        begun.notify_one();
        async move {
            let _held = held;
            std::future::pending().await
        }
    };
    let handed = serving(answer, async |mut stream, _| {
        stream.write_all(request("one").as_bytes()).await.expect("it is open");
        begun.notified().await;
        // What it asks next is no reason to wait for that.
        stream.write_all(request("two").as_bytes()).await.expect("it is open");
        drop(stream);
        given_up.notified().await;
    });
    assert_eq!(handed.await, None);
}

#[tokio::test]
async fn the_last_answer_says_so_and_nothing_is_read_after_it() {
    for refused in [false, true] {
        let answer = async |body: String| {
            let mut response = Response::new(Body::full(body));
            if refused {
                *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            response
        };
        let handed = serving(answer, async |mut stream, closes| {
            closes.store(!refused, Ordering::Relaxed);
            stream.write_all([request("one"), request("two")].concat().as_bytes()).await.expect("it is open");
            let (head, body) = read(&mut stream).await;
            assert_eq!(head.matches("connection: close\r\n").count(), 1, "{head}");
            assert_eq!((head.contains("413 Payload Too Large"), body.as_str()), (refused, "one"));
            assert_eq!(stream.read(&mut [0]).await.expect("it ends"), 0);
        });
        assert_eq!(handed.await, None);
    }
}

#[tokio::test]
async fn long_answers_and_those_that_come_bit_by_bit_are_whole() {
    let long = "x".repeat(50_000);
    let answer = async |body: String| match body.as_str() {
        "long" => Response::new(Body::full(long.clone())),
        "bits" => {
            let bits = ["one", "", "two"].map(|bit| Ok(Bytes::from_static(bit.as_bytes())));
            Response::new(Body::stream(futures::stream::iter(bits)))
        }
        _ => Response::new(Body::stream(futures::stream::iter([
            Ok(Bytes::from_static(b"one")),
            Err(crate::body::Broken),
        ]))),
    };
    let handed = serving(answer, async |mut stream, _| {
        let all = ["long", "bits", "broken"].map(request).concat();
        stream.write_all(all.as_bytes()).await.expect("it is open");
        assert_eq!(read(&mut stream).await.1, long);
        let (head, _) = read(&mut stream).await;
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        let mut bits = [0; 21];
        stream.read_exact(&mut bits).await.expect("three chunks");
        assert_eq!(&bits, b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
        read(&mut stream).await;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.expect("it ends");
        assert_eq!(rest, b"3\r\none", "it does not end as if it were whole");
    });
    assert_eq!(handed.await, None);
}
