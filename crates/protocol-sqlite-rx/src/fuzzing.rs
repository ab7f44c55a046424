//! What fuzzers reach that nobody else may: a peer's connection without a socket.
use crate::curve::Security;
use crate::entrance::Entrance;
use crate::transport::{Bounds, Transport};
use bytes::Bytes;
use rowhouse_gateway::Silent;
use rowhouse_sync::Limiter;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// Longer than any fuzzer lets one input run.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Serves `stream` as a peer's connection and sends each request back as its own reply; `seen` is
/// told the frames before the payload, and the payload.
///
/// # Errors
///
/// How the connection ended, in words.
pub async fn echo<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    max_message_bytes: usize,
    mut seen: impl FnMut(&[Bytes], &Bytes),
) -> Result<(), String> {
    let bounds = Bounds { max_message_bytes, handshake_timeout: PATIENCE, write_timeout: PATIENCE };
    let entrance = Entrance::new(Security::Plain, Limiter::new(NonZeroU32::MIN, 0), Arc::new(Silent));
    let from = SocketAddr::from(([127, 0, 0, 1], 0));
    let accepted = Transport::accept(stream, from, &entrance, bounds).await;
    let (mut transport, _admission) = accepted.map_err(|error| error.to_string())?;
    loop {
        let request = transport.receive().await.map_err(|error| error.to_string())?;
        seen(&request.envelope, &request.payload);
        transport.send(request.envelope, request.payload).await.map_err(|error| error.to_string())?;
    }
}
