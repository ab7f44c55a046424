//! The metadata database itself: opened when it is first asked, and its sessions.
use super::audit::Audit;
use super::error::MetadataError;
use super::schema;
use crate::book::Book;
use crate::budget::{Backends, Budgets};
use crate::catalog::Spec;
use crate::limits::{DatabaseLimits, Limits, PoolSize};
use crate::live::{Counts, Live};
use crate::pool::{Pool, Session};
use crate::registry::Lease;
use crate::sql;
use crate::tenant::{Tenant, TenantKind, TenantParts};
use rowhouse_engine::{Batch, Database, Dialect, Engine, EngineError, Location, Presence};
use rowhouse_types::{Target, Value};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// How long a statement may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the metadata database is made of.
#[derive(Clone, Debug)]
pub struct MetadataParts {
    /// Who opens it.
    pub engine: Arc<dyn Engine>,
    /// Where it is.
    pub location: Location,
    /// How many connections it has: more than an organization's, for all share it.
    pub pool: PoolSize,
    /// Whether nobody but this process writes to it.
    pub is_exclusive: bool,
}

/// The metadata database. Cloning yields another handle.
#[derive(Clone, Debug)]
pub struct Metadata {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    parts: MetadataParts,
    book: Book,
    /// What its server can take, shared with whatever else of this process is there.
    budgets: Budgets,
    tasks: TaskTracker,
    open: RwLock<Option<Arc<Tenant>>>,
    /// Held by who opens it.
    opening: Mutex<()>,
    /// Rows of the catalog, where nobody else makes any; negative before they were counted.
    listed: AtomicI64,
}

/// A transaction of the metadata database's. Dropping it rolls it back.
#[derive(Debug)]
pub(super) struct Change {
    session: Session,
    /// What is written before the name of each table.
    pub(super) p: &'static str,
    /// What is written after a query whose rows are to be there until the change ends.
    pub(super) keep: &'static str,
}

// === impl Metadata ===

impl Metadata {
    /// The metadata database of this place. Nothing is opened yet.
    pub fn new(parts: MetadataParts) -> Self {
        let all = Limits { metadata: parts.pool, ..Limits::default() };
        let book = Book::new(own(&all));
        let (tasks, listed) = (TaskTracker::new(), AtomicI64::new(-1));
        let (open, opening) = (RwLock::default(), Mutex::default());
        let budgets = Budgets::new(tasks.clone());
        Self { shared: Arc::new(Shared { parts, book, budgets, tasks, open, opening, listed }) }
    }

    /// Goes by the limits of a gateway from now on.
    pub(crate) fn heed(&self, all: &Limits) {
        self.shared.book.set_all(own(all));
        if let Some(tenant) = self.opened() {
            tenant.heed(&self.shared.book);
        }
    }

    /// What servers can take, for whoever shares them with it.
    pub(crate) fn budgets(&self) -> &Budgets {
        &self.shared.budgets
    }

    /// Its connections to its server, if it takes such and is open.
    pub(crate) fn backends(&self) -> Option<Backends> {
        self.opened()?.pool.backends()
    }

    /// Lends a connection to it, opening it if need be, with what it needs made if it is empty.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, a newer program has written it, or all its connections are in use.
    pub async fn session(&self) -> Result<Session, MetadataError> {
        let tenant = self.tenant().await?;
        Ok(tenant.pool.acquire(Lease::configured(tenant.clone()), None).await?)
    }

    /// Looks whether it answers.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub async fn ping(&self) -> Result<(), MetadataError> {
        let mut session = self.session().await?;
        sql::execute(&mut *session, "SELECT 1", []).await?;
        Ok(())
    }

    /// Which SQL it speaks.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub async fn dialect(&self) -> Result<Dialect, MetadataError> {
        Ok(self.tenant().await?.database().dialect())
    }

    /// The database itself, opened, with its tables.
    ///
    /// # Errors
    ///
    /// As [`Metadata::session`].
    pub async fn database(&self) -> Result<Arc<dyn Database>, MetadataError> {
        Ok(self.tenant().await?.database().clone())
    }

    /// Whether other processes write to it, too.
    pub(crate) fn is_shared(&self) -> bool {
        !self.shared.parts.is_exclusive
    }

    /// Closes connections that nobody has used for long.
    pub(crate) fn trim(&self, now: Instant) {
        if let Some(tenant) = self.opened() {
            tenant.pool.trim(now);
        }
    }

    /// Closes the connections to it that nobody uses; the next session has a new one.
    pub(crate) async fn rest(&self) {
        if let Some(tenant) = self.opened() {
            tenant.pool.clear().await;
        }
    }

    /// Closes it. Nothing may be asked afterwards.
    ///
    /// # Errors
    ///
    /// When it does not close cleanly; what was committed is safe.
    pub async fn close(&self) -> Result<(), EngineError> {
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
        match self.opened() {
            Some(tenant) => tenant.close().await,
            None => Ok(()),
        }
    }

    /// Whether it is known, without asking it, that the catalog has no row.
    pub(super) fn is_empty(&self) -> bool {
        self.shared.listed.load(Ordering::Acquire) == 0
    }

    /// A row was made (1) or removed (-1), or may have been.
    pub(super) fn listed(&self, by: i64) {
        let shift = |count: i64| (0 <= count).then(|| count.saturating_add(by).max(0));
        let _shifted = self.shared.listed.fetch_update(Ordering::AcqRel, Ordering::Acquire, shift);
    }

    /// The rows of a query.
    pub(super) async fn ask(
        &self,
        sql: impl FnOnce(&str) -> String,
        arguments: impl Into<Vec<Value>>,
    ) -> Result<Vec<Batch>, MetadataError> {
        let tenant = self.tenant().await?;
        let p = schema::prefix(tenant.database().dialect());
        let mut session = tenant.pool.acquire(Lease::configured(tenant.clone()), None).await?;
        in_time(sql::execute(&mut *session, sql(p), arguments)).await
    }

    /// Begins a change.
    pub(super) async fn begin(&self) -> Result<Change, MetadataError> {
        let tenant = self.tenant().await?;
        let dialect = tenant.database().dialect();
        let mut session = tenant.pool.acquire(Lease::configured(tenant.clone()), None).await?;
        let (begin, keep) = match dialect {
            Dialect::Sqlite => ("BEGIN IMMEDIATE", ""),
            Dialect::Postgres => ("BEGIN", " FOR KEY SHARE"),
        };
        in_time(sql::execute(&mut *session, begin, [])).await?;
        Ok(Change { session, p: schema::prefix(dialect), keep })
    }

    /// What is open now; what was replaced at its place is of no more use.
    fn opened(&self) -> Option<Arc<Tenant>> {
        let open = self.shared.open.read().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().filter(|tenant| tenant.verify().is_ok()).cloned()
    }

    async fn tenant(&self) -> Result<Arc<Tenant>, MetadataError> {
        if let Some(tenant) = self.opened() {
            return Ok(tenant);
        }
        let _turn = self.shared.opening.lock().await;
        if let Some(tenant) = self.opened() {
            return Ok(tenant);
        }
        let tenant = in_time(async { Ok(self.open().await) }).await??;
        *self.shared.open.write().unwrap_or_else(PoisonError::into_inner) = Some(tenant.clone());
        Ok(tenant)
    }

    async fn open(&self) -> Result<Arc<Tenant>, MetadataError> {
        let Shared { parts, book, budgets, tasks, listed, .. } = &*self.shared;
        let MetadataParts { engine, location, is_exclusive, .. } = parts;
        if engine.probe(location).await? == Presence::Absent {
            match engine.create(location).await {
                // Another process was faster.
                Err(EngineError::AlreadyExists) => {}
                created => created?,
            }
        }
        let database = engine.open(location).await?;
        let dialect = database.dialect();
        let mut connection = database.connect().await?;
        schema::prepare(&mut *connection, dialect).await?;
        if *is_exclusive {
            let sql = format!("SELECT count(*) FROM {}databases", schema::prefix(dialect));
            let rows = sql::execute(&mut *connection, sql, []).await?;
            let count =
                rows.iter().flat_map(Batch::rows).next().and_then(|row| sql::integer(row.values().next()));
            listed.store(count.unwrap_or(-1), Ordering::Release);
        }
        connection.close().await;
        let pool = Pool::new(database.clone(), book.all().database, budgets, tasks.clone());
        let live = Live::new(book.clone(), Arc::new(Counts::default()));
        let spec = Spec { target: Target::Default, location: location.clone() };
        let parts = TenantParts { database, pool, live };
        Ok(Arc::new(Tenant::new(spec, TenantKind::Static, parts)))
    }
}

/// What the metadata database may use of what a gateway may: its pool is its own, whoever's connections
/// it takes.
fn own(all: &Limits) -> Limits {
    let database = all.metadata.within(DatabaseLimits {
        idle_timeout: all.database.idle_timeout,
        max_lifetime: all.database.max_lifetime,
        pre_ping: all.database.pre_ping,
        acquire_timeout: all.database.acquire_timeout,
        ..DatabaseLimits::default()
    });
    Limits { database, organizations: all.metadata, ..Limits::default() }
}

// === impl Change ===

impl Change {
    /// Runs a statement; how many rows it changed.
    pub(super) async fn run(
        &mut self,
        sql: String,
        arguments: impl Into<Vec<Value>>,
    ) -> Result<u64, MetadataError> {
        in_time(sql::change(&mut *self.session, sql, arguments)).await
    }

    /// The rows of a statement.
    pub(super) async fn rows(
        &mut self,
        sql: String,
        arguments: impl Into<Vec<Value>>,
    ) -> Result<Vec<Batch>, MetadataError> {
        in_time(sql::execute(&mut *self.session, sql, arguments)).await
    }

    /// Makes the change last, together with what is told of it.
    pub(super) async fn commit(mut self, audit: Audit<'_>) -> Result<(), MetadataError> {
        let (sql, arguments) = audit.insert(self.p);
        self.run(sql, arguments).await?;
        self.end().await
    }

    /// Makes a change last of which there is nothing to tell.
    pub(super) async fn end(mut self) -> Result<(), MetadataError> {
        in_time(sql::execute(&mut *self.session, "COMMIT", [])).await.map(drop)
    }
}

/// A server that does not answer is not waited for.
async fn in_time<T>(asking: impl Future<Output = Result<T, EngineError>>) -> Result<T, MetadataError> {
    match timeout(PATIENCE, asking).await {
        Ok(answer) => Ok(answer?),
        Err(_elapsed) => Err(EngineError::TimedOut.into()),
    }
}
