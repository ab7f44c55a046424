//! Administering a server: connections that live for one errand.
use crate::errors::unreachable;
use crate::session::{Clock, Session};
use crate::wire::{Login, connect};
use rowhouse_engine::{EngineError, native};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};

/// How long one errand may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The most errands that may wait for a connection.
const WAITING: usize = 10_000;

/// Who lends administrative connections to one server, so many at once.
#[derive(Debug)]
pub(crate) struct Admins {
    login: Login,
    permits: Semaphore,
    waiting: Semaphore,
}

/// A connection for one errand. Dropping it closes it, whatever it is at.
#[derive(Debug)]
pub(crate) struct Admin<'a> {
    session: Session,
    clock: Clock,
    _permit: Option<SemaphorePermit<'a>>,
}

// === impl Admins ===

impl Admins {
    pub(crate) fn new(login: Login, most: usize) -> Self {
        Self { login, permits: Semaphore::new(most), waiting: Semaphore::new(WAITING) }
    }

    /// How who administers the server logs in to a database.
    pub(crate) fn login_to(&self, database: &str) -> Login {
        Login { database: database.to_owned(), ..self.login.clone() }
    }

    /// Connects, when there are few enough.
    pub(crate) async fn connect(&self) -> Result<Admin<'_>, EngineError> {
        let _waiting = self.waiting.try_acquire().map_err(|_| EngineError::TimedOut)?;
        let permit = self.permits.acquire().await.expect("it is never closed");
        self.open(&self.login.database, Some(permit)).await
    }

    /// Connects to another database, for an errand that has a connection already.
    pub(crate) async fn beside(&self, database: &str) -> Result<Admin<'_>, EngineError> {
        self.open(database, None).await
    }

    async fn open<'a>(
        &'a self,
        database: &str,
        permit: Option<SemaphorePermit<'a>>,
    ) -> Result<Admin<'a>, EngineError> {
        let login = self.login_to(database);
        let session = Session::new(connect(&login).await.map_err(unreachable)?);
        let clock = Clock::new(Some(Instant::now() + PATIENCE));
        Ok(Admin { session, clock, _permit: permit })
    }
}

// === impl Admin ===

impl Admin<'_> {
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

    /// Says goodbye.
    pub(crate) async fn end(mut self) {
        // The end of the socket says the same.
        let _unheard = tokio::time::timeout(Duration::from_secs(1), self.session.link.terminate()).await;
    }
}

/// Whether it is a failure of this kind.
pub(crate) fn is(error: &EngineError, sqlstate: &str) -> bool {
    matches!(error, EngineError::Statement { native: code, .. } if *code == native(sqlstate))
}
