//! A feed as server-sent events: `text/event-stream`, as browsers' `EventSource` and curl read it.
//!
//! Each event's id is the position to come again with, which a browser does by itself.
use super::source::{Next, Source, put_begin, put_last, put_told};
use crate::body::Body;
use crate::call::Answer;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use rowhouse_gateway::Position;

/// How long a browser waits before it comes again, in milliseconds.
const RETRY: &str = "retry: 2000\n";

/// The answer that goes on until the feed ends.
pub(super) fn answer(source: Source) -> Answer {
    let events = futures::stream::unfold(source, |mut source| async move {
        let next = source.next().await?;
        Some((Ok(Bytes::from(event(&next))), source))
    });
    let mut response = Response::new(Body::stream(events));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Some proxies keep what they are sent until there is much of it.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

fn event(next: &Next) -> Vec<u8> {
    let mut out = Vec::new();
    match next {
        Next::Ready(position) => {
            out.extend_from_slice(RETRY.as_bytes());
            let mut data = Vec::new();
            put_begin(&mut data, *position);
            put_event(&mut out, Some(*position), "ready", &data);
        }
        Next::Told(told) => {
            let mut data = Vec::new();
            for told in told {
                data.clear();
                let (position, kind) = put_told(&mut data, told);
                put_event(&mut out, Some(position), kind, &data);
            }
        }
        // An id without data is no event, and is remembered all the same.
        Next::Alive(position) => out.extend_from_slice(format!(":\nid: {position}\n\n").as_bytes()),
        Next::End(why) => {
            let mut data = Vec::new();
            put_last(&mut data, why);
            put_event(&mut out, None, "end", &data);
        }
    }
    out
}

/// Writes one event. What it holds is one line.
fn put_event(out: &mut Vec<u8>, id: Option<Position>, kind: &str, data: &[u8]) {
    if let Some(id) = id {
        out.extend_from_slice(format!("id: {id}\n").as_bytes());
    }
    out.extend_from_slice(format!("event: {kind}\ndata: ").as_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}
