//! A database open in this process: what the catalog said, the engine's handle, its connections.
use crate::book::Book;
use crate::budget::Backends;
use crate::catalog::Spec;
use crate::event::CloseReason;
use crate::hold::Holds;
use crate::live::Live;
use crate::pace::Pace;
use crate::pool::Pool;
use crate::uses::Uses;
use rowhouse_engine::{Database, EngineError, Process};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;

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
    /// Its leases.
    pub(crate) leases: Uses,
    /// Those of them that nobody has a connection with.
    pub(crate) holds: Holds,
    /// Who is told of its changes.
    pub(crate) live: Live,
    /// How often it is asked for.
    pub(crate) pace: Pace,
    /// Requests that wait for their turn at that pace.
    pub(crate) paced: AtomicU32,
    /// What is counted of it.
    pub(crate) counters: Counters,
    /// Requests in a second; 0 is no bound.
    rate: AtomicU32,
    /// Says that limits have changed, and whether its sessions are to end.
    notices: watch::Sender<bool>,
    /// One goes by new limits at a time, so that the latest are those in force.
    heeding: Mutex<()>,
    database: Arc<dyn Database>,
    opened_at: Instant,
    uses: AtomicU64,
    /// When it was lent last, in milliseconds after it was opened.
    lent: AtomicU64,
    /// When it was last told that it is frozen; as `failed`.
    frozen: AtomicU64,
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

/// What is counted of an open database.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    requests: AtomicU64,
    errors: AtomicU64,
    refused: AtomicU64,
    rate_limited: AtomicU64,
}

/// What was counted of a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests run.
    pub requests: u64,
    /// Of them, those that failed.
    pub errors: u64,
    /// Requests refused by a limit or because it was paused, those by their rate included.
    pub refused: u64,
    /// Requests refused because there were too many in a second.
    pub rate_limited: u64,
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
    /// When it was lent last.
    pub last_used: Instant,
    /// Sessions at work now.
    pub active: u32,
    /// The most that may be at work.
    pub sessions: NonZeroU32,
    /// Requests that wait for a session now, or for their turn.
    pub waiting: u32,
    /// What was counted since it was opened.
    pub counts: Counts,
    /// The bytes it takes on disk, if it is on disk and they can be told.
    pub size: Option<u64>,
    /// Whether a request failed by the engine's fault within the last minute and none has written
    /// since.
    pub failing: bool,
    /// The process it runs in, where that is not this one.
    pub process: Option<Process>,
    /// Its connections to its server, where it takes such.
    pub backends: Option<Backends>,
}

/// What a tenant is made of.
#[derive(Debug)]
pub(crate) struct TenantParts {
    /// The engine's handle.
    pub(crate) database: Arc<dyn Database>,
    /// Its connections.
    pub(crate) pool: Pool,
    /// Who is told of its changes.
    pub(crate) live: Live,
}

impl Tenant {
    pub(crate) fn new(spec: Spec, kind: TenantKind, parts: TenantParts) -> Self {
        let TenantParts { database, pool, live } = parts;
        let opened_at = Instant::now();
        Self {
            spec,
            kind,
            pool,
            leases: Uses::default(),
            holds: Holds::default(),
            live,
            pace: Pace::new(tokio::time::Instant::now().into_std()),
            paced: AtomicU32::new(0),
            counters: Counters::default(),
            rate: AtomicU32::new(0),
            notices: watch::Sender::new(false),
            heeding: Mutex::default(),
            database,
            opened_at,
            uses: AtomicU64::new(0),
            lent: AtomicU64::new(0),
            frozen: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// Goes by the limits in force from now on.
    pub(crate) fn heed(&self, book: &Book) {
        {
            let _one = self.heeding.lock().expect("never panics while locked");
            let limits = book.of(&self.spec.target, self.pool.takes());
            self.pool.heed(&limits);
            self.rate.store(limits.requests_per_second.map_or(0, NonZeroU32::get), Ordering::Relaxed);
            self.database.bound(limits.max_database_bytes);
        }
        self.notices.send_modify(|_| {});
    }

    /// How many requests there may be in a second.
    pub(crate) fn rate(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.rate.load(Ordering::Relaxed))
    }

    /// Ends its sessions.
    pub(crate) fn end(&self) {
        self.notices.send_replace(true);
        self.holds.let_go();
        self.live.let_go();
    }

    /// Lets its sessions be: it was not to end after all.
    pub(crate) fn go_on(&self) {
        self.notices.send_replace(false);
    }

    /// Says when limits change, and whether its sessions are to end.
    pub(crate) fn notices(&self) -> watch::Receiver<bool> {
        self.notices.subscribe()
    }

    /// Whether its being frozen is to be told, for the first time in a while.
    pub(crate) fn tells_frozen(&self) -> bool {
        let (now, told) = (self.age().max(1), self.frozen.load(Ordering::Relaxed));
        let due = told == 0 || millis(TOLD) <= now.saturating_sub(told);
        due && self.frozen.compare_exchange(told, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Counts one more use.
    pub(crate) fn used(&self) {
        self.uses.fetch_add(1, Ordering::Relaxed);
        self.lent.store(self.age(), Ordering::Relaxed);
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

    pub(crate) fn is_failing(&self) -> bool {
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
        self.live.end();
        self.pool.close().await;
        self.database.close().await
    }

    pub(crate) async fn status(&self) -> TenantStatus {
        let pool = self.pool.status();
        TenantStatus {
            spec: self.spec.clone(),
            kind: self.kind,
            opened_at: self.opened_at,
            uses: self.uses.load(Ordering::Relaxed),
            last_used: self.opened_at + Duration::from_millis(self.lent.load(Ordering::Relaxed)),
            active: pool.held,
            sessions: pool.limit,
            waiting: pool.waiting + self.paced.load(Ordering::Relaxed),
            counts: self.counters.counts(),
            size: self.database.size().await,
            failing: self.is_failing(),
            process: self.database.process(),
            backends: self.pool.backends(),
        }
    }
}

// === impl Counters ===

impl Counters {
    /// A request was run.
    pub(crate) fn ran(&self, well: bool) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if !well {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A request was refused.
    pub(crate) fn refused(&self, by_rate: bool) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.rate_limited.fetch_add(u64::from(by_rate), Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> Counts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            requests: load(&self.requests),
            errors: load(&self.errors),
            refused: load(&self.refused),
            rate_limited: load(&self.rate_limited),
        }
    }
}

// === impl Counts ===

impl Counts {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            errors: self.errors + other.errors,
            refused: self.refused + other.refused,
            rate_limited: self.rate_limited + other.rate_limited,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
