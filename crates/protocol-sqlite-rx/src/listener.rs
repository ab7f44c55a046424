//! The listening socket: accepts peers within the limits, until drained.
use crate::doorway::Guest;
use crate::entrance::Admission;
use crate::peer::Peer;
use crate::shared::{Context, Shared};
use crate::transport::{Bounds, Transport, TransportError, tune};
use rowhouse_gateway::Event;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::task::TaskTracker;

/// How many connections the system holds for us to accept.
const BACKLOG: u32 = 1024;

/// How long accepting pauses when the process is out of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// A listener for sqlite_rx clients, bound already.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
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
        let bind = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            let socket = socket.listen(BACKLOG)?;
            let address = socket.local_addr()?;
            Ok(Self { socket, address })
        };
        bind().map_err(|source| BindError { address, source })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until drained: stops accepting, lets requests in flight be answered, then returns.
    pub async fn serve(self, context: Context) {
        let drain = context.drain.clone();
        let shared = Arc::new(Shared::new(context, self.address));
        let peers = TaskTracker::new();
        let closing = Closing(shared.clone());
        let accepting = async {
            loop {
                self.accept(&shared, &peers).await;
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

    async fn accept(&self, shared: &Arc<Shared>, peers: &TaskTracker) {
        let (stream, from) = match self.socket.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "accepting failed");
                // Out of descriptors, most likely: trying again at once would only burn the processor.
                return tokio::time::sleep(PAUSE).await;
            }
        };
        if shared.entrance.is_full() {
            return;
        }
        let (guest, crowded) = shared.doorway.enter(from.ip()).await;
        if crowded {
            let limit = shared.context.settings.handshake_limit;
            shared.context.gateway.tell(&Event::HandshakesCrowded { from, limit });
        }
        let shared = shared.clone();
        peers.spawn(async move {
            let abort = shared.context.abort.clone();
            let served = abort.run_until_cancelled(serve(stream, from, guest, shared)).await;
            if let Some(Err(error)) = served {
                tracing::debug!(%from, %error, "peer ended");
            }
        });
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
    let settings = &shared.context.settings;
    let bounds = Bounds {
        max_message_bytes: settings.max_request_bytes,
        handshake_timeout: settings.handshake_timeout,
        write_timeout: settings.write_timeout,
    };
    let (transport, Admission { place, identity }) = tokio::select! {
        accepted = Transport::accept(stream, from, &shared.entrance, bounds) => accepted?,
        () = shared.context.drain.draining() => return Ok(()),
        () = guest.sent_away() => return Err(TransportError::Crowded),
    };
    drop(guest);
    let gateway = shared.context.gateway.clone();
    tokio::select! {
        served = Peer::serve(transport, place, identity.key(), shared) => served,
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
