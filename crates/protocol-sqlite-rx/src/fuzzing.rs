//! What fuzzers reach that nobody else may: a peer's connection without a socket.
use crate::transport::Transport;
use bytes::Bytes;
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
    let accepted = Transport::accept(stream, max_message_bytes, PATIENCE, PATIENCE).await;
    let mut transport = accepted.map_err(|error| error.to_string())?;
    loop {
        let request = transport.receive().await.map_err(|error| error.to_string())?;
        seen(&request.envelope, &request.payload);
        let reply = request.payload.to_vec();
        transport.send(request.envelope, reply).await.map_err(|error| error.to_string())?;
    }
}
