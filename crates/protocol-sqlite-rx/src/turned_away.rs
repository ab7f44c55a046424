//! One client too many: it is told so, in answer to what it asks.
//!
//! It holds no permit, but one of the few words of the ledger, for no longer than it may take to shake
//! hands, and then between two requests. What it is told is true when it asks: a permit that has come
//! free since is its.
use crate::curve::ClientKey;
use crate::entrance::{Admission, Visitor};
use crate::error;
use crate::health;
use crate::listener::{PROTOCOL, serve_client};
use crate::packing::Unpacked;
use crate::shared::Shared;
use crate::transport::{Packed, Transport, TransportError, tune};
use rowhouse_gateway::{ClientsFull, Word};
use rowhouse_wire::sqlite_rx::{Call, Incoming, ReplyWriter};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a client may take to shake hands, then to ask, and to ask again once it was told. Closing at
/// once would lose what it sends meanwhile; waiting for longer would keep others from being told.
const PATIENCE: Duration = Duration::from_secs(1);

/// Shakes hands with one client too many, and tells it so when it asks for something.
pub(crate) async fn turn_away(
    stream: TcpStream,
    from: SocketAddr,
    word: Word,
    shared: Arc<Shared>,
) -> Result<(), TransportError> {
    tune(&stream)?;
    let visitor = Visitor { from, ticket: word };
    let mut bounds = shared.bounds();
    bounds.handshake_timeout = bounds.handshake_timeout.min(PATIENCE);
    let (mut transport, Admission { place: word, identity }) = tokio::select! {
        accepted = Transport::accept(stream, visitor, &shared.entrance, bounds) => accepted?,
        () = shared.context.drain.draining() => return Ok(()),
    };
    loop {
        let request = tokio::select! {
            biased;
            () = shared.context.drain.draining() => break,
            request = timeout(PATIENCE, transport.receive()) => match request {
                Ok(request) => request?,
                Err(_elapsed) => break,
            },
        };
        match shared.context.clients.admit_after_all(PROTOCOL, from, &word).await {
            Ok(guest) => {
                drop(word);
                let place = guest.identify(identity.who()).ok_or(TransportError::Crowded)?;
                let admission = Admission { place, identity };
                return serve_client(transport, admission, Some(request), (from, shared)).await;
            }
            Err(full) => tell(&mut transport, request, &full, (identity.key(), &shared)).await?,
        }
    }
    transport.close().await;
    Ok(())
}

/// Answers one request: how the server is may be asked even now.
async fn tell(
    transport: &mut Transport,
    Packed { payload, envelope }: Packed,
    full: &ClientsFull,
    (key, shared): (Option<ClientKey>, &Shared),
) -> Result<(), TransportError> {
    let Unpacked { incoming, .. } = shared.packing.unpack(key, payload).await;
    let reply = match incoming {
        Ok(Incoming { database, call: Call::HealthCheck, .. }) => health::report(shared, &database).await,
        _ => {
            shared.counters.error();
            ReplyWriter::fault(&error::clients_full(full))
        }
    };
    let reply = shared.packing.pack(reply).await;
    transport.send(envelope, reply).await
}
