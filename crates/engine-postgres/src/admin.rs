//! Administering a server: connections that are lent for one errand each, few of which stay open for the next.
use crate::errors::unreachable;
use crate::session::{Clock, Session};
use crate::wire::{Login, connect};
use rowhouse_engine::{EngineError, SessionState, native};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};

/// How long one errand may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The most errands that may wait for a connection.
const WAITING: usize = 10_000;

/// How many connections that nobody needs now stay open.
const PARKED: usize = 2;

/// How long they stay open.
const PARKED_FOR: Duration = Duration::from_secs(30);

/// Who lends administrative connections to one server, so many at once.
///
/// Invariant: those that are lent and those that are parked are together no more than may be lent at once.
#[derive(Debug)]
pub(crate) struct Admins {
    login: Login,
    most: u32,
    permits: Semaphore,
    waiting: Semaphore,
    parking: Mutex<Parking>,
}

#[derive(Debug, Default)]
struct Parking {
    /// The latest last.
    parked: Vec<(Session, Instant)>,
    is_closed: bool,
}

/// A connection for one errand. Dropping it closes it, whatever it is at.
#[derive(Debug)]
pub(crate) struct Admin<'a> {
    session: Session,
    clock: Clock,
    /// Whether it may hold locks of names.
    holds_locks: bool,
    home: Option<(&'a Admins, SemaphorePermit<'a>)>,
}

// === impl Admins ===

impl Admins {
    pub(crate) fn new(login: Login, most: u32) -> Self {
        let (permits, waiting) = (Semaphore::new(most as usize), Semaphore::new(WAITING));
        Self { login, most, permits, waiting, parking: Mutex::default() }
    }

    /// How many errands there may be at once.
    pub(crate) fn most(&self) -> u32 {
        self.most
    }

    /// How who administers the server logs in to a database.
    pub(crate) fn login_to(&self, database: &str) -> Login {
        Login { database: database.to_owned(), ..self.login.clone() }
    }

    /// Takes a parked connection, or connects when there are few enough.
    pub(crate) async fn connect(&self) -> Result<Admin<'_>, EngineError> {
        let _waiting = self.waiting.try_acquire().map_err(|_| EngineError::TimedOut)?;
        let permit = self.permits.acquire().await.expect("it is never closed");
        while let Some(mut session) = self.take() {
            if !session.has_ended().await {
                return Ok(Admin::new(session, Some((self, permit))));
            }
        }
        let session = self.open(&self.login.database).await?;
        Ok(Admin::new(session, Some((self, permit))))
    }

    /// Connects to another database, for an errand that has a connection already.
    pub(crate) async fn beside(&self, database: &str) -> Result<Admin<'_>, EngineError> {
        Ok(Admin::new(self.open(database).await?, None))
    }

    /// Closes what nobody has needed for a while.
    pub(crate) fn trim(&self) {
        self.parking().parked.retain(|(_, since)| since.elapsed() < PARKED_FOR);
    }

    /// Closes what is parked, and parks nothing any more.
    pub(crate) fn close(&self) {
        *self.parking() = Parking { parked: Vec::new(), is_closed: true };
    }

    async fn open(&self, database: &str) -> Result<Session, EngineError> {
        Ok(Session::new(connect(&self.login_to(database)).await.map_err(unreachable)?))
    }

    fn take(&self) -> Option<Session> {
        let (session, since) = self.parking().parked.pop()?;
        (since.elapsed() < PARKED_FOR).then_some(session)
    }

    /// The session, if there is no room for it.
    fn park(&self, session: Session) -> Option<Session> {
        let mut parking = self.parking();
        if parking.is_closed || PARKED <= parking.parked.len() {
            return Some(session);
        }
        parking.parked.push((session, Instant::now()));
        None
    }

    fn parking(&self) -> MutexGuard<'_, Parking> {
        self.parking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Admin ===

impl<'a> Admin<'a> {
    fn new(session: Session, home: Option<(&'a Admins, SemaphorePermit<'a>)>) -> Self {
        let clock = Clock::new(Some(Instant::now() + PATIENCE));
        Self { session, clock, holds_locks: false, home }
    }

    /// Notes that it may hold a lock of a name from now on, which ends with the errand.
    pub(crate) fn locks(&mut self) -> &mut Self {
        self.holds_locks = true;
        self
    }

    /// Runs statements of ours, in one transaction if they are several.
    pub(crate) async fn run(&mut self, sql: &str) -> Result<(), EngineError> {
        self.session.simple(sql, &mut self.clock).await
    }

    /// The rows of a query of ours.
    pub(crate) async fn rows(
        &mut self,
        sql: &str,
        arguments: &[&str],
    ) -> Result<Vec<Vec<Option<String>>>, EngineError> {
        self.session.fetch((sql, arguments), &mut self.clock).await
    }

    /// The first value of the first row.
    pub(crate) async fn value(
        &mut self,
        sql: &str,
        arguments: &[&str],
    ) -> Result<Option<String>, EngineError> {
        Ok(self.rows(sql, arguments).await?.into_iter().flatten().next().flatten())
    }

    /// Whether the query has a row.
    pub(crate) async fn is(&mut self, sql: &str, arguments: &[&str]) -> Result<bool, EngineError> {
        Ok(!self.rows(sql, arguments).await?.is_empty())
    }

    /// What each of these queries of ours yields: one transaction, and one wait.
    pub(crate) async fn all(
        &mut self,
        queries: &[(&str, &[&str])],
    ) -> Result<Vec<Vec<Vec<Option<String>>>>, EngineError> {
        self.session.fetch_all(queries, &mut self.clock).await
    }

    /// Gives the connection back, or says goodbye. The locks of names that it holds end.
    pub(crate) async fn end(mut self) {
        let is_free =
            !self.holds_locks || self.run("SELECT pg_catalog.pg_advisory_unlock_all()").await.is_ok();
        let Self { session, home, .. } = self;
        let is_fit = is_free && session.is_home() && session.state() == SessionState::Clean;
        let left = match &home {
            Some((admins, _permit)) if is_fit => admins.park(session),
            _ => Some(session),
        };
        if let Some(mut session) = left {
            // The end of the socket says the same.
            let _unheard = tokio::time::timeout(Duration::from_secs(1), session.link.terminate()).await;
        }
    }
}

/// Whether it is a failure of this kind.
pub(crate) fn is(error: &EngineError, sqlstate: &str) -> bool {
    matches!(error, EngineError::Statement { native: code, .. } if *code == native(sqlstate))
}
