//! Plain SQL over HTTP.
use crate::call::{Answer, Call};
use crate::error::{Fault, Form};
use hyper::body::Incoming;

/// Answers a call.
#[expect(clippy::unused_async, reason = "its owner fills it")]
pub(crate) async fn serve(_call: Call, _body: Incoming) -> Answer {
    Fault::no_such_path().response(Form::Plain)
}
