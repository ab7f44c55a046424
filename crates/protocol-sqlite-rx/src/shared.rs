//! What all peers share.
use crate::curve::Security;
use crate::entrance::Entrance;
use crate::packing::Packing;
use crate::resend::Resends;
use crate::session::Session;
use crate::transport::Bounds;
use rowhouse_engine::SqlPolicy;
use rowhouse_gateway::{Backups, Clients, Gateway, Journal};
use rowhouse_sync::{Drain, Setting};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio_util::sync::CancellationToken;

/// What every peer is served with.
#[derive(Clone, Debug)]
pub struct Context {
    /// The door to databases.
    pub gateway: Gateway,
    /// The backups of the databases, if any are made, for HEALTH_CHECK.
    pub backups: Option<Backups>,
    /// What administration does, for HEALTH_CHECK: whether it can be recorded.
    pub journal: Journal,
    /// Tells when no new work may be taken on, and waits for what is under way.
    pub drain: Drain,
    /// Ends peers at once, interrupting what they run.
    pub abort: CancellationToken,
    /// The client connections of all listeners.
    pub clients: Clients,
    /// Who is let in.
    pub security: Security,
    /// How peers are served.
    pub settings: Settings,
    /// How long they may take.
    pub patience: Patience,
}

/// How long peers may take, which may change: who connects later is served so.
pub type Patience = Setting<Timeouts>;

/// How long a peer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the ZMTP handshake.
    pub handshake: Duration,
    /// To read a reply.
    pub write: Duration,
}

/// How peers are served. Every field is a bound or a choice; see the table of options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What SQL may do.
    pub policy: SqlPolicy,
    /// The most bytes of a request, both packed and inflated.
    pub max_request_bytes: usize,
    /// Where databases opened by name live, for HEALTH_CHECK.
    pub data_directory: Option<PathBuf>,
    /// The program's version, for HEALTH_CHECK.
    pub version: &'static str,
}

/// What all peers of one listener share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) context: Context,
    pub(crate) address: SocketAddr,
    pub(crate) entrance: Entrance,
    pub(crate) started: Instant,
    pub(crate) counters: Counters,
    pub(crate) packing: Arc<Packing>,
    pub(crate) resends: Arc<Resends<Session>>,
    /// `None` where the platform does not tell.
    pub(crate) system: Mutex<Option<sysinfo::System>>,
}

/// What has been served since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    queries: AtomicU64,
    resends: AtomicU64,
    errors: AtomicU64,
    /// Microseconds since the Unix epoch, 0 for never.
    last_query: AtomicU64,
}

// === impl Shared ===

impl Shared {
    pub(crate) fn new(context: Context, address: SocketAddr) -> Self {
        let packing = Packing::new(context.settings.max_request_bytes);
        Self {
            entrance: Entrance::new(context.security.clone(), context.gateway.observer()),
            context,
            address,
            started: Instant::now(),
            counters: Counters::default(),
            packing: Arc::new(packing),
            resends: Resends::new(),
            system: Mutex::new(sysinfo::System::new().ok()),
        }
    }

    /// What a connection may take.
    pub(crate) fn bounds(&self) -> Bounds {
        let Timeouts { handshake, write } = self.context.patience.get();
        let max_message_bytes = self.context.settings.max_request_bytes;
        Bounds { max_message_bytes, handshake_timeout: handshake, write_timeout: write }
    }
}

// === impl Counters ===

impl Counters {
    pub(crate) fn query(&self) {
        self.queries.fetch_add(1, Ordering::Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last_query.store(u64::try_from(now.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn resend(&self) {
        self.resends.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }

    /// Requests that joined one like them, or got its answer.
    pub(crate) fn resends(&self) -> u64 {
        self.resends.load(Ordering::Relaxed)
    }

    pub(crate) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Seconds since the Unix epoch, if there was a query.
    pub(crate) fn last_query(&self) -> Option<f64> {
        let micros = self.last_query.load(Ordering::Relaxed);
        (micros != 0).then(|| Duration::from_micros(micros).as_secs_f64())
    }
}
