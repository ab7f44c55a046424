//! What all connections share.
use crate::counters::Counters;
use crate::gate::{Gate, Origins};
use crate::hrana::Streams;
use crate::room::Rooms;
use rowhouse_access::{Access, AuthError, Credentials, Identity, Tls};
use rowhouse_engine::SqlPolicy;
use rowhouse_gateway::routing::Router;
use rowhouse_gateway::{Clients, Event, Gateway};
use rowhouse_sync::{Drain, Setting};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What every connection is served with.
#[derive(Clone, Debug)]
pub struct Context {
    /// The door to databases.
    pub gateway: Gateway,
    /// Tells when no new work may be taken on.
    pub drain: Drain,
    /// Ends connections at once, interrupting what they run.
    pub abort: CancellationToken,
    /// The client connections of all listeners.
    pub clients: Clients,
    /// Who may come in.
    pub access: Access,
    /// Which database a request is for.
    pub router: Router,
    /// How it is encrypted, if it is.
    pub tls: Option<Tls>,
    /// What was answered.
    pub counters: Counters,
    /// How connections are served.
    pub settings: Settings,
    /// How long they may take.
    pub patience: Patience,
}

/// How connections are served. Every field is a bound or a choice; see the table of options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What SQL may do.
    pub policy: SqlPolicy,
    /// The most bytes of a request, both packed and inflated.
    pub max_request_bytes: usize,
    /// Whether answers are compressed for clients that take it.
    pub compression: bool,
    /// The names under which it may be called on loopback where nobody has to say who they are, beside
    /// localhost, addresses and the router's domains.
    pub allowed_hosts: Vec<String>,
    /// The web pages that may ask.
    pub allowed_origins: Origins,
    /// The program's version, for `/version`.
    pub version: &'static str,
}

/// How long clients may take, which may change: what begins later goes by it.
pub type Patience = Setting<Timeouts>;

/// How long a client may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To say who it is, from accept on: for the handshake of TLS and the head of a request.
    pub handshake: Duration,
    /// To read what it is sent.
    pub write: Duration,
    /// To send the body of a request.
    pub body: Duration,
    /// From one request to the next.
    pub idle: Duration,
    /// From one request of a stream to the next.
    pub stream: Duration,
}

/// What all connections of one listener share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) context: Context,
    pub(crate) gate: Gate,
    /// Who asks where nobody has to say who they are.
    pub(crate) anybody: Identity,
    /// Every task of the listener's: connections, requests of theirs that run beside each other, sockets.
    pub(crate) tasks: TaskTracker,
    /// The streams that are open between requests.
    pub(crate) streams: Streams,
    /// What long requests take together.
    pub(crate) rooms: Rooms,
}

// === impl Shared ===

impl Shared {
    pub(crate) fn new(context: Context) -> Self {
        let Settings { allowed_hosts, allowed_origins, max_request_bytes, .. } = &context.settings;
        let gate = Gate::new(allowed_hosts, allowed_origins.clone());
        let rooms = Rooms::new(*max_request_bytes);
        Self {
            context,
            gate,
            anybody: Identity::anybody(),
            tasks: TaskTracker::new(),
            streams: Streams::default(),
            rooms,
        }
    }

    /// Finds out who presents this. That it was not valid is told to operators.
    pub(crate) async fn authenticate(
        &self,
        credentials: Credentials<'_>,
        from: IpAddr,
    ) -> Result<Arc<Identity>, AuthError> {
        let Context { access, gateway, .. } = &self.context;
        let identity = access.authenticate(credentials, from).await;
        match &identity {
            // Who forgot to say who it is will be asked to.
            Ok(_) | Err(AuthError::Missing) => {}
            Err(error) => gateway.tell(&Event::CredentialsRefused { from, why: error.as_str() }),
        }
        identity
    }

    /// Runs what outlives the request that began it, until it ends or all are ended at once.
    ///
    /// The listener waits for it: it heeds the drain by itself.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let abort = self.context.abort.clone();
        let task = self.tasks.spawn(async move {
            abort.run_until_cancelled(work).await;
        });
        task.abort_handle()
    }
}
