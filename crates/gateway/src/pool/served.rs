//! The connections of a database that takes a server's: within the budget of that server.
//!
//! Invariant: from the moment it is opened until the server has let go of it, a connection has a unit of the
//! budget. Opening and closing are tasks of their own, which nobody who leaves interrupts.
use super::{AcquireError, Pool, Taken, Wait};
use crate::budget::{Backend, Backends, Budget};
use crate::limits::DatabaseLimits;
use crate::uses::{Use, Uses};
use futures::future::join_all;
use rowhouse_engine::{Connection, EngineError};
use rowhouse_sync::{Asked, Granted, Party, PartyStatus, Tidy, Unit};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// After how long unused a connection is tried before it is lent. One that was used a moment ago has just
/// been seen to work, and engines find out by themselves, without asking, that a server has ended one.
const PING_AFTER: Duration = Duration::from_secs(1);

/// How long a connection may take to answer.
const PING: Duration = Duration::from_secs(2);

/// The connections of a database that takes a server's.
#[derive(Debug)]
pub(super) struct Served {
    budget: Budget,
    party: Party<Backend>,
    /// All there are, those being opened and closed included.
    open: Uses,
}

/// What a lent connection takes up.
#[derive(Debug)]
pub(super) struct Place {
    unit: Unit<Backend>,
    open: Use,
}

/// A connection on its way to whoever asked for it. Given back if he has left.
#[derive(Debug)]
struct Delivery {
    pool: Pool,
    taken: Option<Taken>,
}

// === impl Served ===

impl Served {
    pub(super) fn new(budget: Budget) -> Self {
        let party = budget.join();
        Self { budget, party, open: Uses::default() }
    }

    pub(super) fn status(&self, limits: &DatabaseLimits) -> Backends {
        let PartyStatus { held, idle, waiting, reclaimed } = self.party.status();
        let (server, size) = (self.budget.label().to_owned(), limits.sessions.get());
        Backends { server, size, overflow: limits.overflow, open: held, idle, waiting, reclaimed }
    }

    /// A connection that was kept, or a new one as soon as the budget allows.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue; what is being opened is kept for the next.
    pub(super) async fn get(
        &self,
        pool: &Pool,
        limits: &DatabaseLimits,
        wait: &Wait,
    ) -> Result<Taken, AcquireError> {
        if !self.budget.is_known() {
            let known = wait.bound(self.budget.known()).await;
            known.ok_or_else(|| wait.late(pool))?.map_err(AcquireError::Connect)?;
        }
        let granted = match self.party.ask(now()) {
            Asked::Granted(granted) => granted,
            Asked::Wait(waiting) => wait.bound(waiting).await.ok_or_else(|| self.busy(wait))?,
        };
        let (unit, former) = match granted {
            Granted::Room(unit) => (unit, None),
            Granted::Thing(lent) => {
                let idle = lent.idle_since.map(|since| now().saturating_duration_since(since));
                let Backend { connection, open } = lent.thing;
                if !limits.pre_ping || idle.is_none_or(|idle| idle < PING_AFTER) {
                    return Ok(Taken::served(connection, lent.unit, open));
                }
                (lent.unit, Some(connection))
            }
        };
        let (deliver, delivered) = oneshot::channel();
        let making = make(pool.clone(), unit, self.open.begin(), former);
        pool.shared.tasks.spawn(async move {
            // If he has left, it is given back.
            let _left = deliver.send(making.await);
        });
        let delivered = wait.bound(delivered).await.ok_or_else(|| wait.late(pool))?;
        delivered.unwrap_or(Err(EngineError::Closed)).map_err(AcquireError::Connect).map(Delivery::take)
    }

    /// Takes a connection back that holds nothing of its borrower's; or gives its place to another.
    pub(super) fn keep(&self, pool: &Pool, (connection, place): (Box<dyn Connection>, Place)) {
        let Place { unit, open } = place;
        let (backend, now) = (Backend { connection, open }, now());
        if unit.is_older_than(pool.limits().max_lifetime, now) {
            pool.shared.tasks.spawn(backend.end(unit));
        } else {
            self.party.give_back(backend, unit, now);
        }
    }

    /// Closes connections beyond those that are kept, and those that are old.
    pub(super) fn trim(&self, limits: &DatabaseLimits) {
        let (keep, idle, lifetime) = (limits.sessions.get(), limits.idle_timeout, limits.max_lifetime);
        self.party.tidy(&Tidy { now: now(), keep, idle, lifetime });
    }

    /// Closes all that nobody uses.
    pub(super) fn clear(&self, limits: &DatabaseLimits) {
        let (idle, lifetime) = (Duration::ZERO, limits.max_lifetime);
        self.party.tidy(&Tidy { now: now(), keep: 0, idle, lifetime });
    }

    /// Closes every connection; returns when the server has let go of all of them.
    pub(super) async fn close(&self) {
        let kept = self.party.close();
        join_all(kept.into_iter().map(|(backend, unit)| backend.end(unit))).await;
        self.open.none().await;
    }

    fn busy(&self, wait: &Wait) -> AcquireError {
        AcquireError::ServerBusy { waited: wait.waited(), limit: self.budget.limit().get() }
    }
}

/// A connection that works: the former one, or a new one in its place.
async fn make(
    pool: Pool,
    mut unit: Unit<Backend>,
    open: Use,
    former: Option<Box<dyn Connection>>,
) -> Result<Delivery, EngineError> {
    if let Some(mut former) = former {
        if matches!(timeout(PING, former.ping()).await, Ok(Ok(()))) {
            let taken = Some(Taken::served(former, unit, open));
            return Ok(Delivery { pool, taken });
        }
        former.close().await;
    }
    let began = now();
    let connection = pool.shared.database.connect().await?;
    let ended = now();
    unit.renew(ended);
    if let Some(served) = pool.served() {
        served.budget.opened(ended.saturating_duration_since(began));
    }
    let taken = Some(Taken::served(connection, unit, open));
    Ok(Delivery { pool, taken })
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

// === impl Taken ===

impl Taken {
    fn served(connection: Box<dyn Connection>, unit: Unit<Backend>, open: Use) -> Self {
        Self { connection, place: Some(Box::new(Place { unit, open })) }
    }
}

// === impl Delivery ===

impl Delivery {
    fn take(mut self) -> Taken {
        self.taken.take().expect("taken once")
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(taken) = self.taken.take() {
            self.pool.keep(taken);
        }
    }
}
