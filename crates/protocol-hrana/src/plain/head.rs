//! From bytes to a plain request.
//!
//! Heads are parsed by the library that the other server parses them with; what is told here of a request beyond that is
//! what has a meaning for where it ends and what comes after it.
use super::LONGEST;
use crate::connection::HEADERS_MAX;
use crate::sent::Sent;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use std::mem::MaybeUninit;
use std::ops::Range;

/// What was read so far, where that is not a plain request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Else {
    /// Not all of a head.
    Head,
    /// A head of a plain request, and not all of its body.
    Body,
    /// Something else.
    Other,
}

/// Where the parts of a plain request are, in what was read.
struct Plan {
    path: Range<usize>,
    headers: Vec<(Range<usize>, Range<usize>)>,
    head: usize,
    body: usize,
}

/// What a header says of where the request ends, and of what comes after it.
enum Says {
    Nothing,
    Length(usize),
    /// That it is not plain.
    Other,
}

/// Takes a plain request out of what was read, if all of it is there.
pub(super) fn next(read: &mut BytesMut) -> Result<Request<Sent>, Else> {
    if read.is_empty() {
        return Err(Else::Head);
    }
    let plan = plan(read)?;
    if read.len() < plan.head + plan.body {
        return Err(Else::Body);
    }
    // Taken apart without being copied.
    let whole = read.split_to(plan.head + plan.body).freeze();
    request(&whole, &plan).ok_or_else(|| {
        // Nothing of it was answered: it is the other server's as it came.
        let mut all = BytesMut::from(&*whole);
        all.extend_from_slice(read);
        *read = all;
        Else::Other
    })
}

fn plan(read: &[u8]) -> Result<Plan, Else> {
    let mut room = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut []);
    let head = match request.parse_with_uninit_headers(read, &mut room) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) if read.len() < LONGEST && may_be_plain(read) => {
            return Err(Else::Head);
        }
        Ok(httparse::Status::Partial) | Err(_) => return Err(Else::Other),
    };
    let path = request.path.unwrap_or_default();
    if request.method != Some("POST") || request.version != Some(1) || !is_pipeline(path) {
        return Err(Else::Other);
    }
    let within = |part: &[u8]| {
        let start = part.as_ptr().addr() - read.as_ptr().addr();
        start..start + part.len()
    };
    let mut body = None;
    let mut headers = Vec::with_capacity(request.headers.len());
    for header in request.headers.iter() {
        match says(header) {
            Says::Nothing => {}
            Says::Length(length) if body.is_none() => body = Some(length),
            Says::Length(_) | Says::Other => return Err(Else::Other),
        }
        headers.push((within(header.name.as_bytes()), within(header.value)));
    }
    match body {
        Some(body) if body <= LONGEST - head.min(LONGEST) => {
            Ok(Plan { path: within(path.as_bytes()), headers, head, body })
        }
        _ => Err(Else::Other),
    }
}

/// Whether what begins so may be a plain request: what does not is not waited for.
fn may_be_plain(read: &[u8]) -> bool {
    const BEGINS: &[u8] = b"POST /";
    read.iter().zip(BEGINS).all(|(read, begins)| read == begins)
}

/// Whether it is the path of a pipeline, and nothing else is said with it: no other endpoint is answered here.
fn is_pipeline(path: &str) -> bool {
    path.starts_with('/') && path.ends_with("/pipeline") && !path.contains(['?', '#'])
}

fn says(header: &httparse::Header<'_>) -> Says {
    let is = |name: &str| header.name.eq_ignore_ascii_case(name);
    // Few headers begin with one of these letters.
    match header.name.as_bytes().first().map(u8::to_ascii_lowercase) {
        Some(b'c') if is("content-length") => length(header.value).map_or(Says::Other, Says::Length),
        Some(b'c') if is("connection") && !header.value.eq_ignore_ascii_case(b"keep-alive") => Says::Other,
        Some(b't') if is("transfer-encoding") => Says::Other,
        Some(b'e') if is("expect") => Says::Other,
        Some(b'u') if is("upgrade") => Says::Other,
        _ => Says::Nothing,
    }
}

/// A length as it is usually told: in digits, and no longer than it may be.
fn length(value: &[u8]) -> Option<usize> {
    let is_plain = matches!(value.len(), 1..=9) && value.iter().all(u8::is_ascii_digit);
    is_plain.then(|| value.iter().fold(0, |length, digit| 10 * length + usize::from(digit - b'0')))
}

fn request(whole: &Bytes, plan: &Plan) -> Option<Request<Sent>> {
    let mut headers = HeaderMap::with_capacity(plan.headers.len());
    for (name, value) in &plan.headers {
        let name = HeaderName::from_bytes(&whole[name.clone()]).ok()?;
        headers.append(name, HeaderValue::from_maybe_shared(whole.slice(value.clone())).ok()?);
    }
    let mut request = Request::new(Sent::Whole(whole.slice(plan.head..)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_maybe_shared(whole.slice(plan.path.clone())).ok()?;
    *request.headers_mut() = headers;
    Some(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "POST /db/acme/v2/pipeline HTTP/1.1\r\nHost: localhost\r\nX-Two: a\r\nx-two: b\r\n\
                         Content-Length: 7\r\nConnection: Keep-Alive\r\n\r\n{\"a\":1}";

    fn read(bytes: &[u8]) -> (Result<Request<Sent>, Else>, BytesMut) {
        let mut read = BytesMut::from(bytes);
        (next(&mut read), read)
    }

    #[test]
    fn a_plain_request_is_taken_out_when_its_last_byte_is_there() {
        for end in 0..PLAIN.len() {
            let (next, left) = read(&PLAIN.as_bytes()[..end]);
            let has_head = PLAIN.find("\r\n\r\n").expect("an end") + 4 <= end;
            assert_eq!(next.err(), Some(if has_head { Else::Body } else { Else::Head }), "{end}");
            assert_eq!(left.len(), end);
        }
        let (next, left) = read(format!("{PLAIN}POST").as_bytes());
        let request = next.expect("all of it is there");
        assert_eq!(
            (&*left, request.method(), request.uri().path()),
            (&b"POST"[..], &Method::POST, "/db/acme/v2/pipeline")
        );
        let two: Vec<_> = request.headers().get_all("x-two").iter().collect();
        assert_eq!((two.len(), request.headers().len()), (2, 5));
        let Sent::Whole(body) = request.into_body() else { panic!("it was there") };
        assert_eq!(body, "{\"a\":1}");
    }

    #[test]
    fn what_is_not_plain_is_left_as_it_came() {
        let with = |from: &str, to: &str| PLAIN.replace(from, to);
        for other in [
            with("POST", "GET"),
            with("HTTP/1.1", "HTTP/1.0"),
            with("/db/acme/v2/pipeline", "http://a/db/acme/v2/pipeline"),
            with("/db/acme/v2/pipeline", "/db/acme/query"),
            with("/db/acme/v2/pipeline", "/db/acme/query?x=/pipeline"),
            with("/db/acme/v2/pipeline", "/db/acme/v3/cursor#/pipeline"),
            with("Keep-Alive", "close"),
            with("Keep-Alive", "upgrade"),
            with("X-Two: a", "Content-Length: 7"),
            with("X-Two: a", "Transfer-Encoding: chunked"),
            with("X-Two: a", "EXPECT: 100-continue"),
            with("X-Two: a", "Upgrade: websocket"),
            with("Content-Length: 7", "Content-Length: +7"),
            with("Content-Length: 7", "Content-Length: 7, 7"),
            with("Content-Length: 7", "Content-Length: "),
            with("Content-Length: 7", "Content-Length: 16384"),
            with("Content-Length: 7", "Content-Length: 99999999999999999999"),
            with("Content-Length: 7\r\n", ""),
            with("Host: localhost", "Ho st: localhost"),
            with("Host: localhost", "Host : localhost"),
            with("X-Two: a", "X-Two: a\0b"),
            with("X-Two: a", &"x: y\r\n".repeat(HEADERS_MAX)),
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
            "GET".to_owned(),
            format!("POST /{}", "a".repeat(LONGEST)),
        ] {
            let (next, left) = read(other.as_bytes());
            assert_eq!(next.err(), Some(Else::Other), "{other}");
            assert_eq!(&*left, other.as_bytes());
        }
    }
}
