//! One peer, from its first request to goodbye: request, answer, request, answer.
use crate::health;
use crate::session::Session;
use crate::shared::Shared;
use crate::transport::{Packed, Transport, TransportError};
use bytes::Bytes;
use rowhouse_types::ErrorCode;
use rowhouse_wire::sqlite_rx::{BadEnvelope, Call, Fault, ReplyWriter, decode};
use std::sync::Arc;
use tokio::time::sleep_until;

pub(crate) struct Peer {
    transport: Transport,
    session: Session,
    shared: Arc<Shared>,
}

/// What ended the wait for a request.
enum Next {
    Request(Packed),
    IdleTransaction,
    Drain,
}

impl Peer {
    /// Serves one peer, which was let in, until it leaves or the server drains.
    pub(crate) async fn serve(transport: Transport, shared: Arc<Shared>) -> Result<(), TransportError> {
        let session = Session::new(shared.clone());
        let mut peer = Self { transport, session, shared };
        loop {
            match peer.next().await? {
                Next::Request(request) => peer.answer(request).await?,
                Next::IdleTransaction => peer.session.expire(),
                Next::Drain => break,
            }
        }
        peer.transport.close().await;
        Ok(())
    }

    async fn next(&mut self) -> Result<Next, TransportError> {
        let deadline = self.session.next_expiry();
        let idle = async {
            match deadline {
                Some(deadline) => sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        Ok(tokio::select! {
            biased;
            () = self.shared.context.drain.draining() => Next::Drain,
            request = self.transport.receive() => Next::Request(request?),
            () = idle => Next::IdleTransaction,
        })
    }

    /// Answers one request. When the peer leaves meanwhile, the request is interrupted.
    async fn answer(&mut self, request: Packed) -> Result<(), TransportError> {
        let Self { transport, session, shared } = self;
        let reply = tokio::select! {
            biased;
            reply = reply(shared, session, request.payload) => reply,
            error = transport.left() => return Err(error),
        };
        let size = reply.len();
        let packed =
            offload(shared, size, move |shared| shared.with_envelope(|envelope| envelope.pack(&reply)));
        let packed = packed.await;
        self.transport.send(request.envelope, packed).await
    }
}

/// Larger messages are packed and unpacked on a thread of their own, for that takes long enough to
/// be felt by other peers.
const OFFLOAD: usize = 32 * 1024;

async fn offload<T: Send + 'static>(
    shared: &Arc<Shared>,
    size: usize,
    work: impl FnOnce(&Shared) -> T + Send + 'static,
) -> T {
    if size < OFFLOAD {
        return work(shared);
    }
    let shared = shared.clone();
    let worked = tokio::task::spawn_blocking(move || work(&shared)).await;
    worked.expect("neither packing nor decoding panics, whatever the bytes")
}

async fn reply(shared: &Arc<Shared>, session: &mut Session, payload: Bytes) -> Vec<u8> {
    match try_reply(shared, session, payload).await {
        Ok(reply) => reply,
        Err(fault) => {
            shared.counters.error();
            ReplyWriter::fault(&fault)
        }
    }
}

async fn try_reply(shared: &Arc<Shared>, session: &mut Session, payload: Bytes) -> Result<Vec<u8>, Fault> {
    let size = payload.len();
    let incoming = offload(shared, size, move |shared| {
        let limit = shared.context.settings.max_request_bytes;
        let unpacked = shared.with_envelope(|envelope| envelope.unpack(&payload, limit));
        decode(&unpacked.map_err(bad_envelope)?)
    });
    let incoming = incoming.await?;
    match incoming.call {
        Call::HealthCheck => Ok(health::report(shared, &incoming.database).await),
        Call::Run(request) => {
            shared.counters.query();
            session.run(&incoming.database, request).await
        }
    }
}

fn bad_envelope(error: BadEnvelope) -> Fault {
    let code = match error {
        BadEnvelope::TooLarge { .. } => ErrorCode::RequestTooLarge,
        _ => ErrorCode::MalformedRequest,
    };
    let hint = match error {
        BadEnvelope::TooLarge { .. } => "send less at once, or ask the operator to raise max_request_bytes",
        _ => "a request is zlib(msgpack(map)), as sqlite_rx clients send it",
    };
    Fault::router(code, format!("Error processing request: {error}")).with_hint(Some(hint.to_owned()))
}
