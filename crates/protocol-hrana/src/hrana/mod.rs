//! Hrana over HTTP: versions 1 to 3, JSON and protobuf.
//!
//! | file | holds |
//! | --- | --- |
//! | `streams` | streams between two requests, and their batons |
//! | `pipeline` | requests on a stream, answered together |
//! | `cursor` | a batch, answered entry by entry |
//! | `single` | version 1: one statement or one batch, without a stream |
mod cursor;
mod pipeline;
mod single;
mod streams;

pub(crate) use streams::Streams;

use crate::body::Body;
use crate::call::{Answer, Call};
use crate::error::{Fault, Form};
use crate::sent::Sent;
use crate::stream::Fail;
use http::{HeaderValue, Method, Response, header};
use rowhouse_wire::hrana::{Encoding, failure};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// Answers a call.
pub(crate) async fn serve(call: Call, body: Sent) -> Answer {
    let (allowed, is_allowed) = match call.rest().trim_end_matches('/') {
        "/v2" | "/v3" | "/v3-protobuf" => ("GET", matches!(call.head.method, Method::GET | Method::HEAD)),
        _ => ("POST", call.head.method == Method::POST),
    };
    if !is_allowed {
        let mut response = Fault::wrong_method(allowed).response(Form::Hrana);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
        return response;
    }
    let answered = match call.rest().trim_end_matches('/') {
        "/v2" | "/v3" | "/v3-protobuf" => return Response::new(Body::empty()),
        "/v1/execute" => single::execute(call, body).await,
        "/v1/batch" => single::batch(call, body).await,
        "/v2/pipeline" | "/v3/pipeline" => pipeline::answer(call, body, Encoding::Json).await,
        "/v3-protobuf/pipeline" => pipeline::answer(call, body, Encoding::Protobuf).await,
        "/v3/cursor" => cursor::answer(call, body, Encoding::Json).await,
        "/v3-protobuf/cursor" => cursor::answer(call, body, Encoding::Protobuf).await,
        _ => Err(Fail::from(Fault::no_such_path())),
    };
    answered.unwrap_or_else(|fail| refusal(&fail))
}

/// The answer to a request that failed as a whole. Every client reads it as JSON.
fn refusal(fail: &Fail) -> Answer {
    fail.fault.with_body(&JSON, failure(Encoding::Json, &fail.error()))
}

/// An answer with this body.
fn answer(encoding: Encoding, body: Body) -> Answer {
    let mut response = Response::new(body);
    let kind = match encoding {
        Encoding::Json => JSON,
        Encoding::Protobuf => PROTOBUF,
    };
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
