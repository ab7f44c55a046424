//! The connections of one database.
//!
//! Invariant: connections lent plus connections idle never exceed the pool's size; a lent one is
//! counted by its permit until it has been reset and is idle again, or closed.
use crate::book::Book;
use crate::clients::{Change, ChangeError};
use crate::event::Refusal;
use crate::limits::DatabaseLimits;
use crate::registry::Lease;
use crate::tenant::Tenant;
use rowhouse_engine::{Connection, Database, EngineError, SessionState};
use rowhouse_sync::{Limiter, LimiterStatus, Permit, Refused, Resized};
use rowhouse_types::{ErrorCode, ErrorKind, Reportable, Target};
use std::num::NonZeroU32;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::time::timeout_at;
use tokio_util::task::TaskTracker;

/// The connections of one database. Cloning yields another handle.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    database: Arc<dyn Database>,
    limiter: Limiter,
    book: Book,
    /// The one used last at the end.
    idle: Mutex<Vec<Idle>>,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct Idle {
    connection: Box<dyn Connection>,
    since: Instant,
}

/// A connection at a client's disposal. While it lives its database stays open.
///
/// Dropping it gives the connection back; what it holds for its borrower is undone first, and the
/// database can be evicted, and the connection lent again, when that has ended.
#[derive(Debug)]
pub struct Session {
    pool: Pool,
    loan: Option<Loan>,
}

/// What a session has borrowed.
#[derive(Debug)]
struct Loan {
    connection: Box<dyn Connection>,
    // Given back in this order, after the connection.
    permit: Permit,
    lease: Lease,
}

/// Why no connection could be lent.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AcquireError {
    /// As many wait as may wait.
    #[error("as many as {limit} requests wait for this database already")]
    QueueFull {
        /// The most that may wait.
        limit: u32,
    },
    /// None came free in time.
    #[error("no connection to this database came free within {} ms", .waited.as_millis())]
    TimedOut {
        /// How long was waited.
        waited: Duration,
        /// How many connections there may be.
        limit: u32,
    },
    /// It is asked for more often than it may be.
    #[error("more than {rate} requests a second for this database")]
    TooOften {
        /// How many there may be in a second.
        rate: NonZeroU32,
        /// When one would be served at once.
        retry_after: Duration,
    },
    /// It is paused, and was not resumed in time.
    #[error("the database is paused, and was not resumed within {} ms", .waited.as_millis())]
    Paused {
        /// How long was waited.
        waited: Duration,
    },
    /// It is being dropped, and that was not over in time.
    #[error("the database is being dropped")]
    BeingDropped,
    /// Its sessions were ended by an operator.
    #[error("the session was ended by the operator")]
    Ended,
    /// The database is closing.
    #[error("database is closing")]
    Closed,
    /// A new connection was needed and the engine refused it.
    #[error("cannot connect")]
    Connect(#[source] EngineError),
}

// === impl Pool ===

impl Pool {
    /// A pool with no connection yet.
    pub(crate) fn new(database: Arc<dyn Database>, book: Book, tasks: TaskTracker) -> Self {
        let limits = book.all().database;
        let limiter = Limiter::new(limits.sessions, limits.queue);
        let pool =
            Self { shared: Arc::new(Shared { database, limiter, book, idle: Mutex::default(), tasks }) };
        pool.heed(&limits);
        pool
    }

    /// Goes by these limits from now on. Nobody is cut off: above a lower limit, nobody is let in until
    /// so many have gone.
    pub(crate) fn heed(&self, limits: &DatabaseLimits) {
        self.shared.limiter.resize(self.most(limits.sessions));
        self.shared.limiter.bound_queue(limits.queue);
    }

    /// Changes the limit of sessions by what it is at this moment.
    pub(crate) fn change(&self, change: Change) -> Result<(Resized, LimiterStatus), ChangeError> {
        let mut before = None;
        let resized = self.shared.limiter.adjust(|status| {
            before = Some(*status);
            change.decide(status.limit, status.held).map(|limit| self.most(limit))
        })?;
        Ok((resized, before.expect("it was decided")))
    }

    /// What the engine can take of this.
    fn most(&self, sessions: NonZeroU32) -> NonZeroU32 {
        self.shared.database.max_connections().map_or(sessions, |most| sessions.min(most))
    }

    /// Lends a connection: an idle one, or else a new one.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue and loses no connection.
    pub(crate) async fn acquire(
        &self,
        lease: Lease,
        deadline: Option<Instant>,
    ) -> Result<Session, AcquireError> {
        let (permit, idle) = self.take_now();
        let (permit, connection) = match (permit, idle) {
            // As a rule nothing has to be waited for, nor a clock to be looked at.
            (Some(permit), Some(idle)) => (permit, idle.connection),
            (permit, _none) => self.wait(permit, deadline).await?,
        };
        Ok(Session { pool: self.clone(), loan: Some(Loan { connection, permit, lease }) })
    }

    /// A permit and an idle connection, as far as there are any.
    fn take_now(&self) -> (Option<Permit>, Option<Idle>) {
        let permit = self.shared.limiter.try_acquire();
        let idle = permit.as_ref().and_then(|_| self.idle().pop());
        (permit, idle)
    }

    /// Waits for a permit, unless it has one, and for a connection.
    async fn wait(
        &self,
        permit: Option<Permit>,
        deadline: Option<Instant>,
    ) -> Result<(Permit, Box<dyn Connection>), AcquireError> {
        let now = || tokio::time::Instant::now().into_std();
        let started = now();
        let latest = started + self.shared.book.all().acquire_timeout;
        let until = deadline.map_or(latest, |deadline| deadline.min(latest));
        let late = || AcquireError::TimedOut {
            waited: now().saturating_duration_since(started),
            limit: self.status().limit.get(),
        };
        let permit = match permit {
            Some(permit) => permit,
            None => self.permit(until).await?.ok_or_else(late)?,
        };
        let idle = self.idle().pop();
        let connection = match idle {
            Some(idle) => idle.connection,
            None => {
                let connecting = timeout_at(until.into(), self.shared.database.connect());
                connecting.await.map_err(|_elapsed| late())?.map_err(AcquireError::Connect)?
            }
        };
        Ok((permit, connection))
    }

    /// A permit, or `None` if none came free in time.
    async fn permit(&self, until: Instant) -> Result<Option<Permit>, AcquireError> {
        let Shared { limiter, .. } = &*self.shared;
        if let Some(permit) = limiter.try_acquire() {
            return Ok(Some(permit));
        }
        match timeout_at(until.into(), limiter.acquire()).await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            Ok(Err(Refused::QueueFull)) => Err(AcquireError::QueueFull { limit: limiter.status().queue_max }),
            Ok(Err(Refused::Closed)) => Err(AcquireError::Closed),
            Err(_elapsed) => Ok(None),
        }
    }

    /// Sessions at work, those who wait for one, and the limits in force.
    pub(crate) fn status(&self) -> LimiterStatus {
        self.shared.limiter.status()
    }

    /// Closes connections beyond the first that nobody has used for the idle timeout.
    pub(crate) fn trim(&self, now: Instant) {
        let surplus: Vec<_> = {
            let mut idle = self.idle();
            let keep = self.shared.book.all().idle_timeout;
            let stale =
                idle.iter().take_while(|idle| keep <= now.saturating_duration_since(idle.since)).count();
            let surplus = stale.min(idle.len().saturating_sub(1));
            idle.drain(..surplus).collect()
        };
        for idle in surplus {
            self.shared.tasks.spawn(idle.connection.close());
        }
    }

    /// Closes every connection; none may be lent.
    pub(crate) async fn close(&self) {
        self.shared.limiter.close();
        let idle = std::mem::take(&mut *self.idle());
        for idle in idle {
            idle.connection.close().await;
        }
    }

    /// Takes a connection back that holds nothing of its borrower's.
    fn keep(&self, connection: Box<dyn Connection>) {
        self.idle().push(Idle { connection, since: Instant::now() });
    }

    /// Makes a connection fit for the next borrower, then frees its place.
    async fn recycle(self, mut loan: Loan) {
        match loan.connection.reset().await {
            Ok(()) => self.keep(loan.connection),
            Err(_broken) => loan.connection.close().await,
        }
        drop((loan.permit, loan.lease));
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.shared.idle.lock().expect("never panics while locked")
    }
}

// === impl Session ===

impl Session {
    /// Which database it is a session with.
    pub fn target(&self) -> &Target {
        &self.loan().lease.tenant().spec.target
    }

    /// Whether it was ended by an operator: whatever it holds is to be given up.
    pub fn is_ended(&self) -> bool {
        *self.tenant().notices().borrow()
    }

    /// Resolves when it is ended by an operator.
    pub async fn ended(&self) {
        // The tenant holds the sender.
        drop(self.tenant().notices().wait_for(|ended| *ended).await);
    }

    /// Says when the limits of its database change, or it is ended.
    pub fn notices(&self) -> tokio::sync::watch::Receiver<bool> {
        self.tenant().notices()
    }

    pub(crate) fn tenant(&self) -> &Arc<Tenant> {
        self.loan().lease.tenant()
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.loan().lease
    }

    fn loan(&self) -> &Loan {
        self.loan.as_ref().expect("taken only by drop")
    }
}

impl Deref for Session {
    type Target = dyn Connection;

    fn deref(&self) -> &Self::Target {
        &*self.loan().connection
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut *self.loan.as_mut().expect("taken only by drop").connection
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(loan) = self.loan.take() else { return };
        if loan.connection.state() == SessionState::Clean {
            self.pool.keep(loan.connection);
            drop((loan.permit, loan.lease));
        } else {
            self.pool.shared.tasks.spawn(self.pool.clone().recycle(loan));
        }
    }
}

// === impl AcquireError ===

impl AcquireError {
    /// What refused it, if that was a rule or a limit and not a failure.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::QueueFull { .. } => Some(Refusal::ConnectionQueue),
            Self::TimedOut { .. } => Some(Refusal::Connections),
            Self::TooOften { .. } => Some(Refusal::Rate),
            Self::Paused { .. } | Self::BeingDropped => Some(Refusal::Paused),
            Self::Ended | Self::Closed => Some(Refusal::Closing),
            Self::Connect(_) => None,
        }
    }
}

impl Reportable for AcquireError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::QueueFull { .. }
            | Self::TimedOut { .. }
            | Self::TooOften { .. }
            | Self::Paused { .. }
            | Self::BeingDropped
            | Self::Ended => ErrorKind::Overloaded,
            Self::Closed => ErrorKind::ShuttingDown,
            Self::Connect(source) => source.kind(),
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::QueueFull { .. } => ErrorCode::QueueFull,
            Self::TimedOut { .. } => ErrorCode::ConnectionLimitReached,
            Self::TooOften { .. } => ErrorCode::RateLimited,
            Self::Paused { .. } => ErrorCode::DatabasePaused,
            Self::BeingDropped => ErrorCode::DatabaseUnavailable,
            Self::Ended => ErrorCode::SessionEnded,
            Self::Closed => ErrorCode::ShuttingDown,
            Self::Connect(source) => source.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::QueueFull { limit } => {
                Some(format!("try again later, or ask the operator to raise pool_queue (now {limit})"))
            }
            Self::TooOften { rate, retry_after } => Some(format!(
                "try again in {} ms, or ask the operator to raise requests_per_second (now {rate})",
                retry_after.as_millis()
            )),
            Self::Paused { .. } => Some("try again later, or ask the operator to resume it".to_owned()),
            Self::BeingDropped => Some("try again later: the name may be free then".to_owned()),
            Self::Ended => Some("send it again; what was not committed is gone".to_owned()),
            Self::TimedOut { limit, .. } => Some(format!(
                "{limit} connections to this database are in use; end transactions sooner, or ask the operator to raise pool_size"
            )),
            Self::Closed => None,
            Self::Connect(source) => source.hint(),
        }
    }

    fn public_message(&self) -> String {
        match self {
            Self::Connect(source) => source.public_message(),
            _ => self.to_string(),
        }
    }
}
