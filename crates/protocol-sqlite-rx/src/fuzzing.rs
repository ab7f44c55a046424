//! What fuzzers reach that nobody else may: a peer's connection without a socket, and key files' text.
use crate::curve::fuzzing::keys;
use crate::curve::{Clients, Security};
use crate::entrance::{Entrance, Ticket, Visitor};
use crate::transport::{Bounds, Transport};
use bytes::Bytes;
use rowhouse_gateway::{Event, Observer};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

pub use crate::curve::fuzzing::read_key_file;

/// Longer than any fuzzer lets one input run.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Everybody may come in.
#[derive(Debug)]
struct Anybody;

impl Ticket for Anybody {
    type Place = Self;

    fn admit(self, _who: Option<String>) -> Option<Self> {
        Some(self)
    }
}

#[derive(Debug)]
struct Nobody;

impl Observer for Nobody {
    fn observe(&self, _: &Event<'_>) {}
}

/// Serves `stream` as a peer's connection and sends each request back as its own reply; `seen` is
/// told the frames before the payload, and the payload.
///
/// # Errors
///
/// How the connection ended, in words.
pub async fn echo<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    max_message_bytes: usize,
    encrypted: bool,
    mut seen: impl FnMut(&[Bytes], &Bytes),
) -> Result<(), String> {
    let security = if encrypted { Security::Curve(keys(), Clients::Any) } else { Security::Plain };
    let entrance = Entrance::new(security, Arc::new(Nobody));
    let bounds = Bounds { max_message_bytes, handshake_timeout: PATIENCE, write_timeout: PATIENCE };
    let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let visitor = Visitor { from, ticket: Anybody };
    let accepted = Transport::accept(stream, visitor, &entrance, bounds).await;
    let (mut transport, _place) = accepted.map_err(|error| error.to_string())?;
    loop {
        let request = transport.receive().await.map_err(|error| error.to_string())?;
        seen(&request.envelope, &request.payload);
        transport.send(request.envelope, request.payload).await.map_err(|error| error.to_string())?;
    }
}
