//! The connections of one database.
//!
//! Invariant: connections lent plus connections idle never exceed what may be in use at once; a lent one is
//! counted by its permit until it has been reset and is idle again, or closed. Those of a server are within
//! the budget of that server besides: see `pool/served.rs`.
mod error;
mod served;

pub use error::AcquireError;

use self::served::{Place, Served};
use crate::budget::{Backends, Budgets};
use crate::clients::{Change, ChangeError};
use crate::limits::{DatabaseLimits, Takes};
use crate::registry::Lease;
use crate::tenant::Tenant;
use rowhouse_engine::{Connection, Database, SessionState};
use rowhouse_sync::{Limiter, LimiterStatus, Permit, Refused, Resized};
use rowhouse_types::Target;
use std::num::NonZeroU32;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
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
    /// What it goes by.
    limits: RwLock<DatabaseLimits>,
    store: Store,
    tasks: TaskTracker,
}

/// Where the connections are that nobody uses.
#[derive(Debug)]
enum Store {
    /// Here, the one used last at the end.
    Own(Mutex<Vec<Idle>>),
    /// With those of the other databases on the server.
    Served(Served),
}

#[derive(Debug)]
struct Idle {
    connection: Box<dyn Connection>,
    since: Instant,
}

/// A connection that was taken out of the store, or made.
#[derive(Debug)]
struct Taken {
    connection: Box<dyn Connection>,
    /// What of its server's it takes up.
    place: Option<Box<Place>>,
}

/// How long somebody waits.
#[derive(Clone, Copy, Debug)]
struct Wait {
    started: Instant,
    until: Instant,
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
    taken: Taken,
    // Given back in this order, after the connection.
    permit: Permit,
    lease: Lease,
}

// === impl Pool ===

impl Pool {
    /// A pool with no connection yet.
    pub(crate) fn new(
        database: Arc<dyn Database>,
        limits: DatabaseLimits,
        budgets: &Budgets,
        tasks: TaskTracker,
    ) -> Self {
        let store = match database.server() {
            None => Store::Own(Mutex::default()),
            Some(server) => Store::Served(Served::new(budgets.of(server))),
        };
        let limiter = Limiter::new(limits.at_once(), limits.queue);
        let limits = RwLock::new(limits);
        let pool = Self { shared: Arc::new(Shared { database, limiter, limits, store, tasks }) };
        let limits = *pool.limits();
        pool.heed(&limits);
        pool
    }

    /// Goes by these limits from now on. Nobody is cut off: above a lower limit, nobody is let in until
    /// so many have gone.
    pub(crate) fn heed(&self, limits: &DatabaseLimits) {
        *self.shared.limits.write().unwrap_or_else(PoisonError::into_inner) = *limits;
        self.shared.limiter.resize(self.most(limits.at_once()));
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
        let (permit, taken) = match self.take_now() {
            // As a rule nothing has to be waited for, nor a clock to be looked at.
            (Some(permit), Some(taken)) => (permit, taken),
            // In a place of its own: whoever need not wait does not carry what waiting takes.
            (permit, _none) => Box::pin(self.wait(permit, deadline)).await?,
        };
        Ok(Session { pool: self.clone(), loan: Some(Loan { taken, permit, lease }) })
    }

    /// A permit and an idle connection that needs not be looked at, as far as there are any.
    fn take_now(&self) -> (Option<Permit>, Option<Taken>) {
        let permit = self.shared.limiter.try_acquire();
        let taken = match &self.shared.store {
            Store::Own(idle) if permit.is_some() => lock(idle).pop().map(Taken::own),
            _ => None,
        };
        (permit, taken)
    }

    /// Waits for a permit, unless it has one, and for a connection.
    async fn wait(
        &self,
        permit: Option<Permit>,
        deadline: Option<Instant>,
    ) -> Result<(Permit, Taken), AcquireError> {
        let limits = *self.limits();
        let wait = Wait::new(limits.acquire_timeout, deadline);
        let permit = match permit {
            Some(permit) => permit,
            None => self.permit(&wait).await?,
        };
        let idle = match &self.shared.store {
            Store::Served(served) => return Ok((permit, served.get(self, &limits, &wait).await?)),
            Store::Own(idle) => lock(idle).pop(),
        };
        let taken = match idle {
            Some(idle) => Taken::own(idle),
            None => {
                let connected = wait.bound(self.shared.database.connect()).await;
                let connection = connected.ok_or_else(|| wait.late(self))?.map_err(AcquireError::Connect)?;
                Taken { connection, place: None }
            }
        };
        Ok((permit, taken))
    }

    async fn permit(&self, wait: &Wait) -> Result<Permit, AcquireError> {
        let Shared { limiter, .. } = &*self.shared;
        if let Some(permit) = limiter.try_acquire() {
            return Ok(permit);
        }
        match wait.bound(limiter.acquire()).await {
            Some(Ok(permit)) => Ok(permit),
            Some(Err(Refused::QueueFull)) => {
                Err(AcquireError::QueueFull { limit: limiter.status().queue_max })
            }
            Some(Err(Refused::Closed)) => Err(AcquireError::Closed),
            None => Err(wait.late(self)),
        }
    }

    /// Sessions at work, those who wait for one, and the limits in force.
    pub(crate) fn status(&self) -> LimiterStatus {
        self.shared.limiter.status()
    }

    /// Whose connections it takes.
    pub(crate) fn takes(&self) -> Takes {
        if self.served().is_some() { Takes::Server } else { Takes::Own }
    }

    /// Its connections, where they are a server's.
    pub(crate) fn backends(&self) -> Option<Backends> {
        self.served().map(|served| served.status(&self.limits()))
    }

    /// Closes connections beyond those that are kept that nobody has used for the idle timeout, and a
    /// server's that are old.
    pub(crate) fn trim(&self, now: Instant) {
        let limits = *self.limits();
        let surplus: Vec<_> = match &self.shared.store {
            Store::Served(served) => return served.trim(&limits),
            Store::Own(idle) => {
                let mut idle = lock(idle);
                let is_stale =
                    |idle: &&Idle| limits.idle_timeout <= now.saturating_duration_since(idle.since);
                let stale = idle.iter().take_while(is_stale).count();
                let surplus = stale.min(idle.len().saturating_sub(1));
                idle.drain(..surplus).collect()
            }
        };
        for idle in surplus {
            self.shared.tasks.spawn(idle.connection.close());
        }
    }

    /// Closes every connection that nobody uses; a server's in the background.
    pub(crate) async fn clear(&self) {
        let idle = match &self.shared.store {
            Store::Served(served) => return served.clear(&self.limits()),
            Store::Own(idle) => std::mem::take(&mut *lock(idle)),
        };
        for idle in idle {
            idle.connection.close().await;
        }
    }

    /// Closes every connection; none may be lent.
    pub(crate) async fn close(&self) {
        self.shared.limiter.close();
        let idle = match &self.shared.store {
            Store::Served(served) => return served.close().await,
            Store::Own(idle) => std::mem::take(&mut *lock(idle)),
        };
        for idle in idle {
            idle.connection.close().await;
        }
    }

    /// Takes a connection back that holds nothing of its borrower's.
    fn keep(&self, taken: Taken) {
        let Taken { connection, place } = taken;
        match (&self.shared.store, place) {
            (Store::Served(served), Some(place)) => served.keep(self, (connection, *place)),
            (Store::Own(idle), _) => lock(idle).push(Idle { connection, since: Instant::now() }),
            (Store::Served(_), None) => unreachable!("a server's connection has a place"),
        }
    }

    /// Makes a connection fit for the next borrower, then frees its place.
    async fn recycle(self, mut loan: Loan) {
        match loan.taken.connection.reset().await {
            Ok(()) => self.keep(loan.taken),
            Err(_broken) => {
                loan.taken.connection.close().await;
                drop(loan.taken.place);
            }
        }
        drop((loan.permit, loan.lease));
    }

    fn served(&self) -> Option<&Served> {
        match &self.shared.store {
            Store::Served(served) => Some(served),
            Store::Own(_) => None,
        }
    }

    fn limits(&self) -> RwLockReadGuard<'_, DatabaseLimits> {
        self.shared.limits.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(idle: &Mutex<Vec<Idle>>) -> MutexGuard<'_, Vec<Idle>> {
    idle.lock().expect("never panics while locked")
}

// === impl Taken ===

impl Taken {
    fn own(idle: Idle) -> Self {
        Self { connection: idle.connection, place: None }
    }
}

// === impl Wait ===

impl Wait {
    fn new(most: Duration, deadline: Option<Instant>) -> Self {
        let started = tokio::time::Instant::now().into_std();
        let latest = started + most;
        Self { started, until: deadline.map_or(latest, |deadline| deadline.min(latest)) }
    }

    /// What comes of it, or `None` if it takes too long.
    async fn bound<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        timeout_at(self.until.into(), future).await.ok()
    }

    fn waited(&self) -> Duration {
        tokio::time::Instant::now().into_std().saturating_duration_since(self.started)
    }

    fn late(&self, pool: &Pool) -> AcquireError {
        AcquireError::TimedOut { waited: self.waited(), limit: pool.status().limit.get() }
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
        &*self.loan().taken.connection
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut *self.loan.as_mut().expect("taken only by drop").taken.connection
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(loan) = self.loan.take() else { return };
        if loan.taken.connection.state() == SessionState::Clean {
            self.pool.keep(loan.taken);
            drop((loan.permit, loan.lease));
        } else {
            self.pool.shared.tasks.spawn(self.pool.clone().recycle(loan));
        }
    }
}
