//! A database open in this process: what the catalog said, the engine's handle, its connections.
use crate::catalog::Spec;
use crate::event::CloseReason;
use crate::pool::Pool;
use rowhouse_engine::{Database, EngineError, Process};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio_util::task::TaskTracker;

/// How long a failure is told to operators.
pub(crate) const TOLD: Duration = Duration::from_secs(60);

/// A database open in this process.
#[derive(Debug)]
pub(crate) struct Tenant {
    /// What the catalog said when it was opened.
    pub(crate) spec: Spec,
    /// Whether it is configured or was opened by name.
    pub(crate) kind: TenantKind,
    /// Its connections.
    pub(crate) pool: Pool,
    /// Of a configured database: its leases.
    pub(crate) leases: TaskTracker,
    database: Arc<dyn Database>,
    opened_at: Instant,
    uses: AtomicU64,
    /// When a request failed by the engine's fault, if none has written since; see [`Tenant::note`].
    failed: AtomicU64,
}

/// Whether a database is configured or was opened by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantKind {
    /// Configured: opened at start, never evicted, never counted.
    Static,
    /// Opened by name.
    Dynamic,
}

/// What can be told of an open database.
#[derive(Clone, Debug)]
pub struct TenantStatus {
    /// What the catalog said when it was opened.
    pub spec: Spec,
    /// Whether it is configured or was opened by name.
    pub kind: TenantKind,
    /// When it was opened.
    pub opened_at: Instant,
    /// Sessions lent since then.
    pub uses: u64,
    /// Sessions at work now.
    pub active: u32,
    /// The bytes it takes on disk, if it is on disk and they can be told.
    pub size: Option<u64>,
    /// Whether a request failed by the engine's fault within the last minute and none has written
    /// since.
    pub failing: bool,
    /// The process it runs in, where that is not this one.
    pub process: Option<Process>,
}

impl Tenant {
    pub(crate) fn new(spec: Spec, kind: TenantKind, database: Arc<dyn Database>, pool: Pool) -> Self {
        let (opened_at, leases) = (Instant::now(), TaskTracker::new());
        let (uses, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { spec, kind, pool, leases, database, opened_at, uses, failed }
    }

    /// Counts one more use.
    pub(crate) fn used(&self) {
        self.uses.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a request failed by the engine's fault.
    pub(crate) fn failed(&self) {
        self.failed.store(self.age().max(1), Ordering::Relaxed);
    }

    /// Notes that a request has written: the disk has room, and can be written.
    pub(crate) fn wrote(&self) {
        // Read first: it changes rarely, and everybody reads it.
        if self.failed.load(Ordering::Relaxed) != 0 {
            self.failed.store(0, Ordering::Relaxed);
        }
    }

    fn is_failing(&self) -> bool {
        let failed = self.failed.load(Ordering::Relaxed);
        failed != 0 && self.age().saturating_sub(failed) < millis(TOLD)
    }

    /// How long it has been open, in milliseconds.
    fn age(&self) -> u64 {
        millis(self.opened_at.elapsed())
    }

    /// Whether its storage is still what was opened. Blocks.
    pub(crate) fn verify(&self) -> Result<(), EngineError> {
        self.database.verify()
    }

    /// The engine's handle.
    pub(crate) fn database(&self) -> &Arc<dyn Database> {
        &self.database
    }

    /// Why it is closed, given why it was taken out of use.
    pub(crate) fn close_reason(&self, reason: CloseReason) -> CloseReason {
        match self.database.process() {
            Some(process) if !process.running => CloseReason::ProcessEnded,
            _ => reason,
        }
    }

    /// Closes every connection, then the database. Nobody may hold a lease.
    pub(crate) async fn close(&self) -> Result<(), EngineError> {
        self.pool.close().await;
        self.database.close().await
    }

    pub(crate) async fn status(&self) -> TenantStatus {
        TenantStatus {
            spec: self.spec.clone(),
            kind: self.kind,
            opened_at: self.opened_at,
            uses: self.uses.load(Ordering::Relaxed),
            active: self.pool.active(),
            size: self.database.size().await,
            failing: self.is_failing(),
            process: self.database.process(),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
