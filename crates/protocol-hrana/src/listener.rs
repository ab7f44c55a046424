//! The listening socket: accepts connections within the limits, until drained.
use crate::connection;
use crate::shared::{Context, Shared};
use rowhouse_gateway::{ClientsFull, Room, Socket};
use rustix::process::{Resource, getrlimit};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// What clients of this listener speak.
pub(crate) const PROTOCOL: &str = "http";

/// How many connections the system holds for us to accept.
const BACKLOG: u32 = 4096;

/// A listener for HTTP clients, bound already.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
}

/// A listener could not be bound.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot serve HTTP on {address}, give another port as PORT or with --http-address, or stop what listens there"
)]
pub struct BindError {
    /// Where.
    pub address: SocketAddr,
    /// Why.
    #[source]
    pub source: io::Error,
}

impl Listener {
    /// Binds to `address`; port 0 means any free one. Needs a Tokio runtime with I/O.
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
        let shared = Arc::new(Shared::new(context));
        let accepting = async {
            let mut room = shared.context.clients.room(getrlimit(Resource::Nofile).current);
            loop {
                self.accept(&shared, &mut room).await;
            }
        };
        tokio::select! {
            () = accepting => {}
            () = drain.draining() => {}
        }
        drop(self.socket);
        shared.tasks.close();
        shared.tasks.wait().await;
    }

    async fn accept(&self, shared: &Arc<Shared>, room: &mut Room) {
        let (stream, from) = match self.socket.accept(room).await {
            Ok(accepted) => accepted,
            Err(error) => return tracing::debug!(%error, "accepting failed"),
        };
        let admitted = match shared.context.clients.admit(PROTOCOL, from).await {
            Ok(guest) => Ok(guest),
            Err(ClientsFull { word: Some(word), .. }) => Err(word),
            // As many as may be are being told.
            Err(ClientsFull { word: None, .. }) => return,
        };
        shared.tasks.spawn(connection::serve(stream, (from, admitted), shared.clone()));
    }
}
