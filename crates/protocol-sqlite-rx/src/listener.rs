//! The listening socket: accepts peers within the limit, until drained.
use crate::peer::Peer;
use crate::shared::{Context, Shared};
use rowhouse_gateway::Event;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
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

/// A listener could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
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
        let accepting = async {
            loop {
                self.accept(&shared, &peers).await;
            }
        };
        tokio::select! {
            () = accepting => {}
            () = drain.draining() => {}
        }
        drop(self.socket);
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
        let Some(permit) = shared.context.clients.try_acquire() else {
            let limit = shared.context.clients.status().limit;
            return shared.context.gateway.tell(&Event::ClientRefused { limit });
        };
        let shared = shared.clone();
        peers.spawn(async move {
            let abort = shared.context.abort.clone();
            let served = abort.run_until_cancelled(Peer::serve(stream, shared)).await;
            if let Some(Err(error)) = served {
                tracing::debug!(%from, %error, "peer ended");
            }
            drop(permit);
        });
    }
}
