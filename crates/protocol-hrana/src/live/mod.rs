//! A feed of changes: what is committed to a database, as server-sent events or over WebSocket.
//!
//! Who reads slowly has nothing kept for it: the gateway's window is the bound, and what falls out of it is
//! a gap. Before each thing that is told it is looked whether who asked may still read.
//!
//! | file | holds |
//! | --- | --- |
//! | `asked` | what is asked for: tables, and where to go on |
//! | `source` | what is told next, until it ends |
//! | `events` | the same as server-sent events |
//! | `socket` | the same over WebSocket |
mod asked;
mod events;
mod socket;
mod source;

use crate::call::{Answer, Call};
use crate::endpoint::wants_socket;
use crate::error::{Fault, Form};
use crate::sent::Sent;
use http::Method;
use source::Source;

/// Answers a call.
pub(crate) async fn serve(call: Call, _body: Sent) -> Answer {
    let answered = if wants_socket(&call.head) { socket::answer(call).await } else { events(call).await };
    answered.unwrap_or_else(|fault| fault.response(Form::Plain))
}

async fn events(call: Call) -> Result<Answer, Fault> {
    if call.head.method != Method::GET {
        return Err(Fault::wrong_method("GET"));
    }
    let source = subscribe(call).await?;
    Ok(events::answer(source))
}

/// Subscribes on behalf of a call.
async fn subscribe(call: Call) -> Result<Source, Fault> {
    let what = asked::read(&call.head)?;
    // Who asks for what is told already would be told at once: it is never later than that.
    let subscription = call.client().subscribe(&call.target, what, None).await;
    let subscription = subscription.map_err(|error| match &error {
        rowhouse_gateway::SubscribeError::Connect(error) => Fault::from(error),
        error => Fault::of(error),
    })?;
    Ok(Source::new(call, subscription))
}
