//! An opened database.
use crate::connection::PostgresConnection;
use crate::copies;
use crate::engine::Inner;
use crate::quota::Quota;
use crate::server::{Host, Place};
use crate::session::{Clock, Session};
use crate::wire::Canceller;
use futures::future::BoxFuture;
use rowhouse_engine::{
    Connection, Course, Database, Dialect, EngineError, Listener, Listening, Server, Stamp,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// How long it may take to find out which database a new connection is to.
const PATIENCE: Duration = Duration::from_secs(10);

/// An opened database.
#[derive(Debug)]
pub(crate) struct PostgresDatabase {
    shared: Arc<Shared>,
}

/// What a database and its connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    inner: Arc<Inner>,
    place: Place,
    /// What the server calls it, whatever its name is.
    oid: String,
    pub(crate) quota: Quota,
    tracker: TaskTracker,
    runtime: Handle,
    is_closed: AtomicBool,
    is_replaced: AtomicBool,
    /// Counts it as open, until it is closed and every connection is.
    stay: crate::occupancy::Stay,
}

// === impl Shared ===

impl Shared {
    /// Cancels what a session runs, without anybody waiting for it.
    pub(crate) fn cancel(&self, canceller: &Arc<Canceller>) {
        if let Some(cancellation) = canceller.begin() {
            self.tracker.spawn_on(cancellation, &self.runtime);
        }
    }

    /// Begins a session with the database that was opened, and with no other of its name.
    pub(crate) async fn begin(&self) -> Result<Session, EngineError> {
        if self.is_closed.load(Ordering::Relaxed) {
            return Err(EngineError::Closed);
        }
        let mut session = Session::new(self.inner.log_in(&self.place).await?);
        let mut clock = Clock::new(Some(Instant::now() + PATIENCE));
        let own = "SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()";
        let rows = session.fetch((own, &[]), &mut clock).await;
        let is_own = rows.map(|rows| rows.into_iter().flatten().flatten().next().as_ref() == Some(&self.oid));
        match is_own {
            Ok(true) => return Ok(session),
            Ok(false) => self.is_replaced.store(true, Ordering::Relaxed),
            Err(_) => {}
        }
        session.end().await;
        Err(is_own.err().unwrap_or(EngineError::Replaced))
    }
}

// === impl PostgresDatabase ===

impl PostgresDatabase {
    pub(crate) fn new(inner: Arc<Inner>, place: Place, oid: String) -> Self {
        let stay = inner.occupancy.enter(&place.location());
        let shared = Shared {
            oid,
            quota: Quota::default(),
            tracker: inner.tracker.clone(),
            runtime: Handle::current(),
            is_closed: AtomicBool::new(false),
            is_replaced: AtomicBool::new(false),
            stay,
            inner,
            place,
        };
        Self { shared: Arc::new(shared) }
    }
}

impl Database for PostgresDatabase {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Connection>, EngineError>> {
        Box::pin(async move {
            let session = self.shared.begin().await?;
            let connection: Box<dyn Connection> =
                Box::new(PostgresConnection::new(session, self.shared.clone()));
            Ok(connection)
        })
    }

    fn server(&self) -> Option<Arc<dyn Server>> {
        Some(Arc::new(Host::new(&self.shared.place.server)))
    }

    /// What is told here was found out by the last connection: a session never changes its database.
    fn verify(&self) -> Result<(), EngineError> {
        match self.shared.is_replaced.load(Ordering::Relaxed) {
            true => Err(EngineError::Replaced),
            false => Ok(()),
        }
    }

    fn size(&self) -> BoxFuture<'_, Option<u64>> {
        Box::pin(self.shared.inner.size(&self.shared.place))
    }

    fn bound(&self, max_bytes: Option<u64>) {
        self.shared.quota.set(max_bytes);
    }

    fn is_frozen(&self) -> BoxFuture<'_, Result<bool, EngineError>> {
        Box::pin(async move {
            let quota = &self.shared.quota;
            if quota.is_bounded() {
                quota.measured(self.shared.inner.size(&self.shared.place).await);
            }
            Ok(quota.frozen().is_some())
        })
    }

    /// What is committed is in the server's log, and safe there.
    fn checkpoint(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async { Ok(()) })
    }

    fn stamp(&self) -> BoxFuture<'_, Result<Option<Stamp>, EngineError>> {
        Box::pin(async move { self.shared.inner.stamp(&self.shared.place).await.map(Some) })
    }

    fn backup<'a>(&'a self, to: &'a Path, course: &'a Course) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(copies::back_up(&self.shared.inner, &self.shared.place, to, course))
    }

    fn listen(&self, _listener: Arc<dyn Listener>) -> BoxFuture<'_, Result<Box<dyn Listening>, EngineError>> {
        Box::pin(async { Err(EngineError::Unsupported { what: "a feed of changes" }) })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            self.shared.is_closed.store(true, Ordering::Relaxed);
            self.shared.stay.leave();
            Ok(())
        })
    }
}
