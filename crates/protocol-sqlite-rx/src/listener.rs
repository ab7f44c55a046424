//! The listening socket: accepts peers within the limits, until drained.
use crate::entrance::{Admission, Visitor};
use crate::peer::{Peer, Who};
use crate::shared::{Context, Shared};
use crate::transport::{Packed, Transport, TransportError, tune};
use crate::turned_away::turn_away;
use rowhouse_gateway::{ClientsFull, Event, Guest, Principal, Room, Socket};
use rustix::process::{Resource, getrlimit};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

/// What clients of this listener speak.
pub(crate) const PROTOCOL: &str = "sqlite_rx";

/// How many connections the system holds for us to accept.
const BACKLOG: u32 = 1024;

/// A listener for sqlite_rx clients, bound already.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
}

/// Gives up on drop what peers left behind for a resend: none can come any more.
struct Closing(Arc<Shared>);

/// A listener could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}, give another with --tcp-address or stop what listens there")]
pub struct BindError {
    /// Where.
    pub address: SocketAddr,
    /// Why.
    #[source]
    pub source: io::Error,
}

impl Listener {
    /// Binds to `address`; port 0 means any free one.
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let socket = Socket::bind(address, BACKLOG).map_err(|source| BindError { address, source })?;
        Ok(Self { socket })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.socket.address()
    }

    /// Serves until drained: stops accepting, lets requests in flight be answered, then returns.
    pub async fn serve(self, context: Context) {
        let drain = context.drain.clone();
        let shared = Arc::new(Shared::new(context, self.address()));
        let peers = TaskTracker::new();
        let closing = Closing(shared.clone());
        let accepting = async {
            let mut room = shared.context.clients.room(getrlimit(Resource::Nofile).current);
            loop {
                self.accept(&shared, &peers, &mut room).await;
            }
        };
        tokio::select! {
            () = accepting => {}
            () = shared.entrance.keep_fresh() => {}
            () = shared.resends.expire() => {}
            () = drain.draining() => {}
        }
        drop(self.socket);
        drop(closing);
        peers.close();
        peers.wait().await;
    }

    async fn accept(&self, shared: &Arc<Shared>, peers: &TaskTracker, room: &mut Room) {
        let (stream, from) = match self.socket.accept(room).await {
            Ok(accepted) => accepted,
            Err(error) => return tracing::debug!(%error, "accepting failed"),
        };
        let shared = shared.clone();
        match shared.context.clients.admit(PROTOCOL, from).await {
            Ok(guest) => peers.spawn(to_the_end(serve(stream, from, guest, shared.clone()), from, shared)),
            Err(ClientsFull { word: Some(word), .. }) => {
                peers.spawn(to_the_end(turn_away(stream, from, word, shared.clone()), from, shared))
            }
            // As many as may be are being told: its client keeps the request and connects again.
            Err(ClientsFull { word: None, .. }) => return,
        };
    }
}

/// Does what is done for one connection, unless all are ended at once.
async fn to_the_end(
    served: impl Future<Output = Result<(), TransportError>>,
    from: SocketAddr,
    shared: Arc<Shared>,
) {
    if let Some(Err(error)) = shared.context.abort.run_until_cancelled(served).await {
        tracing::debug!(%from, %error, "peer ended");
    }
}

/// Serves one connection from its first byte to its last.
async fn serve(
    stream: TcpStream,
    from: SocketAddr,
    guest: Guest,
    shared: Arc<Shared>,
) -> Result<(), TransportError> {
    tune(&stream)?;
    let sent_away = guest.sent_away();
    let visitor = Visitor { from, ticket: guest };
    let (transport, admission) = tokio::select! {
        accepted = Transport::accept(stream, visitor, &shared.entrance, shared.bounds()) => accepted?,
        () = shared.context.drain.draining() => return Ok(()),
        () = sent_away => return Err(TransportError::Crowded),
    };
    serve_client(transport, admission, None, (from, shared)).await
}

/// Serves one who was let in; its first request may have come already.
pub(crate) async fn serve_client(
    transport: Transport,
    Admission { place, identity }: Admission,
    first: Option<Packed>,
    (from, shared): (SocketAddr, Arc<Shared>),
) -> Result<(), TransportError> {
    let gateway = shared.context.gateway.clone();
    let who = Who { key: identity.key(), principal: Principal::of(identity.who(), from) };
    let peer = Peer::new(transport, place, who, shared);
    tokio::select! {
        served = peer.serve(first) => served,
        () = identity.revoked() => {
            gateway.tell(&Event::ClientRevoked { from });
            Err(TransportError::Revoked)
        }
    }
}

// === impl Closing ===

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.resends.close();
    }
}
