//! Hrana over WebSocket: its four subprotocols.
//!
//! One task per connection. Requests of one stream are done in order, those of several beside each other;
//! nobody waits for an answer before it asks again. What is answered is written as it comes.
//!
//! | file | holds |
//! | --- | --- |
//! | `upgrade` | from a request over HTTP to a WebSocket |
//! | `connection` | messages in, messages out, until one of both sides leaves |
//! | `reading` | what a message says |
//! | `lanes`, `lane` | the streams of a connection; one of them, and what it does |
//! | `alarm`, `signals` | what seldom happens to a connection: a time comes; the drain, and what databases tell |
mod alarm;
mod connection;
mod lane;
mod lanes;
mod reading;
mod signals;
#[cfg(test)]
mod tests;
mod upgrade;

use crate::call::{Answer, Call};
use crate::error::{Fault, Form};
use crate::seldom::until_ended;
use crate::sent::Sent;
use connection::Connection;
use http::{StatusCode, header};
use rowhouse_types::ErrorCode;
use rowhouse_wire::hrana::Encoding;
pub(crate) use upgrade::Upgrade;

/// A way to speak Hrana over WebSocket: how it is called, and how messages are written.
type Subprotocol = (&'static str, Encoding);

const SUBPROTOCOLS: [Subprotocol; 4] = [
    ("hrana3-protobuf", Encoding::Protobuf),
    ("hrana3", Encoding::Json),
    ("hrana2", Encoding::Json),
    ("hrana1", Encoding::Json),
];

/// Answers a call.
#[expect(clippy::unused_async, reason = "as every endpoint")]
pub(crate) async fn serve(mut call: Call, _body: Sent) -> Answer {
    let begun = Upgrade::begin(&mut call.head).and_then(|upgrade| Ok((upgrade, choose(&call)?)));
    let (upgrade, (name, encoding)) = match begun {
        Ok(begun) => begun,
        Err(fault) => return fault.response(Form::Hrana),
    };
    let answer = upgrade.answer(name);
    let tasks = call.shared.tasks.clone();
    tasks.spawn(async move {
        let (line, shared) = (call.line.clone(), call.shared.clone());
        let serving = async {
            if let Some(socket) = upgrade.socket(shared.context.settings.max_request_bytes).await {
                Connection::new(call, socket, encoding).serve().await;
            }
        };
        until_ended(line, &shared, serving).await;
    });
    answer
}

/// How to speak, as the client likes best; the first version where it does not say.
fn choose(call: &Call) -> Result<(Option<&'static str>, Encoding), Fault> {
    let mut offered = call
        .head
        .headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .map(str::trim)
        .peekable();
    if offered.peek().is_none() {
        return Ok((None, Encoding::Json));
    }
    let known = |offered: &str| SUBPROTOCOLS.iter().find(|(name, _)| *name == offered);
    let chosen = offered.find_map(known).map(|&(name, encoding)| (Some(name), encoding));
    chosen.ok_or_else(|| {
        Fault::new(ErrorCode::MalformedRequest, "none of the offered subprotocols is spoken here")
            .status(StatusCode::BAD_REQUEST)
            .hint("offer hrana3-protobuf, hrana3, hrana2 or hrana1")
    })
}
