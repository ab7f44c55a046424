//! One client connection: what does not change of it, and what it does now.
use rowhouse_types::Target;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant, SystemTime};
use tokio_util::sync::CancellationToken;

/// A client connection, as told to operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientInfo {
    /// Its number; never used twice while the server runs.
    pub id: u64,
    /// The protocol it speaks.
    pub protocol: &'static str,
    /// From where it came.
    pub from: SocketAddr,
    /// When it came.
    pub connected_at: SystemTime,
    /// For how long it has been connected.
    pub connected: Duration,
    /// What it does now, and for how long it has.
    pub doing: Doing,
    /// Whether it has said who it is, as far as its protocol asks.
    pub identified: bool,
    /// Who it is: what it has proved, such as its key. Without a proof there is none.
    pub who: Option<String>,
    /// The database it used last.
    pub database: Option<Target>,
    /// The requests it has made.
    pub requests: u64,
}

/// What a client does, and for how long it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// A request of its is being answered.
    Busy(Duration),
    /// None is.
    Idle(Duration),
}

/// One client connection. Its own updates touch no lock that others wait for.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) id: u64,
    pub(super) protocol: &'static str,
    pub(super) from: SocketAddr,
    pub(super) end: CancellationToken,
    pub(super) who: OnceLock<Option<String>>,
    connected_at: SystemTime,
    since: Instant,
    /// Requests being answered.
    busy: AtomicU32,
    /// When the last one began or ended, in microseconds since `since`.
    changed: AtomicU64,
    requests: AtomicU64,
    database: Mutex<Option<Target>>,
}

// === impl Doing ===

impl Doing {
    /// For how long nothing was asked; zero while a request is being answered.
    pub fn idle(self) -> Duration {
        match self {
            Self::Busy(_) => Duration::ZERO,
            Self::Idle(idle) => idle,
        }
    }
}

// === impl Seat ===

impl Seat {
    pub(super) fn new(id: u64, protocol: &'static str, from: SocketAddr) -> Self {
        Self {
            id,
            protocol,
            from,
            end: CancellationToken::new(),
            who: OnceLock::new(),
            connected_at: SystemTime::now(),
            since: Instant::now(),
            busy: AtomicU32::new(0),
            changed: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            database: Mutex::new(None),
        }
    }

    /// For how long it has been connected.
    pub(super) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// A request was answered that concerns no database.
    pub(super) fn asked(&self) {
        self.requests.fetch_add(1, Relaxed);
        self.changed.store(self.now(), Relaxed);
    }

    /// A request begins.
    pub(super) fn busy(&self, target: &Target) {
        let unlike = {
            let mut database = self.database();
            let same = database.as_ref() == Some(target);
            if same { None } else { database.replace(target.clone()) }
        };
        drop(unlike);
        self.requests.fetch_add(1, Relaxed);
        self.changed.store(self.now(), Relaxed);
        self.busy.fetch_add(1, Relaxed);
    }

    /// A request has ended. Without one that began it does nothing.
    pub(super) fn idle(&self) {
        self.changed.store(self.now(), Relaxed);
        // Ending what never began would make it busy for ever.
        let _none = self.busy.fetch_update(Relaxed, Relaxed, |busy| busy.checked_sub(1));
    }

    pub(super) fn info(&self, identified: bool) -> ClientInfo {
        let connected = self.age();
        let unchanged = connected.saturating_sub(Duration::from_micros(self.changed.load(Relaxed)));
        let busy = self.busy.load(Relaxed) != 0;
        ClientInfo {
            id: self.id,
            protocol: self.protocol,
            from: self.from,
            connected_at: self.connected_at,
            connected,
            doing: if busy { Doing::Busy(unchanged) } else { Doing::Idle(unchanged) },
            identified,
            who: self.who.get().cloned().flatten(),
            database: self.database().clone(),
            requests: self.requests.load(Relaxed),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn database(&self) -> MutexGuard<'_, Option<Target>> {
        self.database.lock().expect("never panics while locked")
    }
}
