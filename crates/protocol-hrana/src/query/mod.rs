//! Plain SQL over HTTP: one statement, its result written as it comes.
//!
//! A result that fits into the engine's first chunk is answered whole, and an error before anything was sent
//! is an answer with its own status. What fails later says so last, and the transfer breaks off: a part is
//! never taken for the whole.
mod parts;
mod run;

use crate::body::{Body, Broken};
use crate::call::{Answer, Call};
use crate::error::{Fault, Form};
use crate::sent::Sent;
use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Method, Response, header};
use parts::{Part, Parts};
use rowhouse_access::Scope;
use rowhouse_types::ErrorCode;
use rowhouse_wire::query::{Format, QueryRequest};

/// The type of a body that is the statement itself, instead of JSON.
const SQL: &str = "application/sql";

/// Answers a call.
pub(crate) async fn serve(call: Call, body: Sent) -> Answer {
    match answer(call, body).await {
        Ok(answer) => answer,
        Err(fault) => fault.response(Form::Plain),
    }
}

async fn answer(call: Call, body: Sent) -> Result<Answer, Fault> {
    if call.head.method != Method::POST {
        return Err(Fault::wrong_method("POST"));
    }
    let is_sql = is_sql(&call.head.headers);
    let (request, room) = call.read(body, move |body| request(is_sql, body)).await?;
    // It may have taken its time, and what was given then may have been taken since.
    call.authorize(Scope::Read)?;
    let format = format(&call.head.headers);
    let mut parts = Parts::of(|sink| run::run(call, (request, room), format, sink));
    let body = match parts.next().await {
        Some(Part::Whole(bytes)) => Body::full(bytes),
        Some(Part::More(first)) => {
            let rest = parts.map(|part| match part {
                Part::Whole(bytes) | Part::More(bytes) => Ok(bytes.into()),
                Part::Failed(_) | Part::Broken => Err(Broken),
            });
            Body::stream(stream::once(async { Ok(first.into()) }).chain(rest))
        }
        Some(Part::Failed(fault)) => return Err(fault),
        Some(Part::Broken) | None => return Err(Fault::new(ErrorCode::Internal, "internal error")),
    };
    let mut response = Response::new(body);
    let kind = HeaderValue::from_static(format.content_type());
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// Whether the body is said to be SQL; JSON else, whatever type it is said to be.
fn is_sql(headers: &HeaderMap) -> bool {
    text(headers, &header::CONTENT_TYPE)
        .is_some_and(|kind| kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(SQL))
}

/// What is asked.
fn request(is_sql: bool, body: &[u8]) -> Result<QueryRequest, Fault> {
    let read = if is_sql { QueryRequest::of_text(body) } else { QueryRequest::decode(body) };
    read.map_err(|malformed| {
        Fault::new(ErrorCode::MalformedRequest, format!("the request cannot be read: {malformed}"))
            .hint(r#"send {"sql": "SELECT ?", "args": [1]}, or the statement alone as application/sql"#)
    })
}

fn format(headers: &HeaderMap) -> Format {
    text(headers, &header::ACCEPT).map_or(Format::Json, Format::accepted)
}

fn text<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
