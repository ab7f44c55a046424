//! An open database: what its sessions share.
use crate::backup::{self, Copier};
use crate::closing::{leaves_untouched, settle};
use crate::config::Config;
use crate::connection::SqliteConnection;
use crate::executor::Executor;
use crate::feed::Feed;
use crate::glance::Gate;
use crate::handle::{Handle, Source};
use crate::job::Guest;
use crate::kept::Kept;
use crate::log::Log;
use crate::look::Look;
use crate::occupancy::Occupant;
use crate::quota::Quota;
use crate::trust::Trust;
use crate::turn::{Asked, Turn, Turns};
use futures::future::BoxFuture;
use rowhouse_engine::{Connection, Course, Database, EngineError, Listener, Listening, Stamp};
use rowhouse_sync::Limiter;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a closing database waits for who shortens its log: a gap and a checkpoint.
const TENDED: Duration = Duration::from_secs(5);

/// What the sessions of a database share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) executor: Executor,
    /// The turn to write.
    pub(crate) turns: Turns<Guest>,
    /// Who is at work without the turn.
    pub(crate) lanes: Limiter,
    pub(crate) log: Log,
    pub(crate) feed: Arc<Feed>,
    /// Whether its short reads are run where they are asked for.
    pub(crate) trust: Trust,
    look: Look,
    /// Who makes a connection passes it first.
    pub(crate) gate: Gate,
    quota: Arc<Quota>,
    pub(crate) source: Source,
    pub(crate) config: Arc<Config>,
    copier: Copier,
    handles: Mutex<Handles>,
    pub(crate) kept: Kept,
    /// Of a file: it is open here, until it is closed.
    occupant: Mutex<Option<Occupant>>,
}

/// What a database is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) source: Source,
    pub(crate) executor: Executor,
    pub(crate) copier: Copier,
    /// Of a file: it is open here.
    pub(crate) occupant: Option<Occupant>,
    pub(crate) kept: Kept,
}

/// They travel boxed, and are not moved about here.
pub(crate) type Boxed = Vec<Box<Handle>>;

/// The connections of SQLite's that nobody uses.
///
/// Invariant: never more idle than there are sessions, one apart.
#[derive(Debug, Default)]
struct Handles {
    /// The one used last at the end.
    idle: Boxed,
    /// Of a file that was moved: kept for its log only and lent to nobody, for it may hold
    /// something of a session's.
    kept: Option<Box<Handle>>,
    sessions: usize,
    closed: bool,
}

/// An open SQLite database.
#[derive(Debug)]
pub(crate) struct SqliteDatabase {
    shared: Arc<Shared>,
    /// Of memory: the connection that keeps it.
    anchor: Mutex<Option<Box<Handle>>>,
}

// === impl Shared ===

impl Shared {
    fn new(parts: Parts, quota: Arc<Quota>, (gate, handles): (Gate, Handles)) -> Self {
        let Parts { source, executor, copier, occupant, kept } = parts;
        let config = copier.config().clone();
        let now = Instant::now();
        Self {
            executor,
            turns: Turns::new(config.writers_waiting),
            lanes: Limiter::new(config.lanes, config.writers_waiting),
            log: Log::new(config.limits.wal_pages),
            feed: Arc::default(),
            trust: Trust::new(now),
            look: Look::new(now),
            gate,
            quota,
            source,
            config,
            copier,
            handles: Mutex::new(handles),
            kept,
            occupant: Mutex::new(occupant),
        }
    }

    /// Whether only who has the turn may touch the pages, be it to read.
    pub(crate) fn is_exclusive(&self) -> bool {
        self.source.is_exclusive()
    }

    /// Fails when the database is not there any more. Blocks.
    pub(crate) fn verify(&self) -> Result<(), EngineError> {
        self.source.verify()
    }

    /// As [`Shared::verify`], for who only reads, at `now`: what was seen a moment ago counts. Blocks.
    pub(crate) fn verify_lately(&self, now: Instant) -> Result<(), EngineError> {
        if self.look.is_fresh(now) {
            return Ok(());
        }
        let sight = self.source.sight(now);
        if !self.look.was_under(sight, now) {
            self.verify()?;
            self.look.note(now, sight);
        }
        Ok(())
    }

    /// A connection that holds nothing of anybody's: one that nobody uses, or else a new one.
    /// Blocks.
    pub(crate) fn lend(&self) -> Result<Box<Handle>, EngineError> {
        let idle = {
            let mut handles = self.handles();
            if handles.closed {
                return Err(EngineError::Closed);
            }
            handles.idle.pop()
        };
        match idle {
            Some(handle) => Ok(handle),
            None => self.open_aside(),
        }
    }

    /// A connection that is lent to nobody. Blocks.
    pub(crate) fn open_aside(&self) -> Result<Box<Handle>, EngineError> {
        self.gate.pass()?;
        Handle::open(&self.source, &self.config, &self.quota).map(Box::new)
    }

    /// A connection that has the file to itself. Blocks.
    pub(crate) fn open_alone(&self) -> Result<Handle, EngineError> {
        Handle::open_alone(&self.source, &self.config, &self.quota)
    }

    /// The one used last of the connections that nobody uses, if it knows `sql` as short.
    pub(crate) fn lend_knowing(&self, sql: &str) -> Option<Box<Handle>> {
        let mut handles = self.handles();
        if handles.closed || !handles.idle.last()?.knows_as_short(sql) {
            return None;
        }
        handles.idle.pop()
    }

    /// As [`Shared::give_back`], without blocking.
    pub(crate) fn give_back_later(self: &Arc<Self>, handle: Box<Handle>) {
        let surplus = self.handles().put(handle);
        if let Some(handle) = surplus {
            self.part_later(handle);
        }
    }

    /// Takes a connection back that holds nothing of anybody's. May block, to close it.
    pub(crate) fn give_back(&self, handle: Box<Handle>) {
        let surplus = self.handles().put(handle);
        if let Some(Err(error)) = surplus.map(|handle| self.part_with(handle)) {
            tracing::debug!(%error, "a connection did not close cleanly");
        }
    }

    /// Closes a connection. Of a file that was moved, the last one stays until the database
    /// closes: SQLite would leave its log unread where it is. Blocks.
    pub(crate) fn part_with(&self, mut handle: Box<Handle>) -> Result<(), EngineError> {
        if matches!(self.verify(), Err(EngineError::Replaced)) {
            // Whoever waits must not wait for the database to close.
            handle.roll_back()?;
            handle.turn = None;
            let mut handles = self.handles();
            if handles.idle.is_empty() && handles.kept.is_none() && !handles.closed {
                handles.kept = Some(handle);
                return Ok(());
            }
        }
        handle.close()
    }

    /// Closes a connection on a thread, for SQLite may write while it closes.
    pub(crate) fn part_later(self: &Arc<Self>, handle: Box<Handle>) {
        let argument = (self.clone(), handle);
        drop(self.executor.submit(argument, |(shared, handle)| drop(shared.part_with(handle))));
    }

    /// Takes a connection back after undoing what its session left. Blocks.
    pub(crate) fn restore(&self, mut handle: Box<Handle>) -> Result<(), EngineError> {
        match handle.reset() {
            Ok(()) => self.give_back(handle),
            Err(error) => {
                self.part_with(handle)?;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Waits for the turn to write.
    pub(crate) async fn turn(self: Arc<Self>) -> Result<Turn<Guest>, EngineError> {
        match self.turns.ask(None).map_err(crate::errors::no_turn)? {
            Asked::Now(granted) => Ok(granted.turn),
            Asked::Later(queued) => Ok(queued.await.expect("it brought no guest to take").turn),
        }
    }

    /// One session more.
    pub(crate) fn enter(&self) {
        self.handles().sessions += 1;
    }

    /// One session less.
    pub(crate) fn leave(self: &Arc<Self>) {
        let surplus = {
            let mut handles = self.handles();
            handles.sessions -= 1;
            handles.surplus()
        };
        if let Some(handle) = surplus {
            self.part_later(handle);
        }
    }

    fn handles(&self) -> MutexGuard<'_, Handles> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Handles ===

impl Handles {
    /// Takes out all that nobody uses, the one used last at the end.
    fn take_all(&mut self) -> Boxed {
        self.kept.take().into_iter().chain(std::mem::take(&mut self.idle)).collect()
    }

    /// Keeps a connection, or gives back one that is too many.
    fn put(&mut self, handle: Box<Handle>) -> Option<Box<Handle>> {
        if self.closed {
            return Some(handle);
        }
        self.idle.push(handle);
        self.surplus()
    }

    /// The one that has been idle longest, if there are more than sessions.
    fn surplus(&mut self) -> Option<Box<Handle>> {
        (self.sessions.max(1) < self.idle.len()).then(|| self.idle.remove(0))
    }
}

// === impl SqliteDatabase ===

impl SqliteDatabase {
    /// Opens it; what waits for a thread on its behalf does so as a party of its own. Blocks.
    pub(crate) fn open(parts: Parts) -> Result<Self, EngineError> {
        let quota = Arc::new(Quota::default());
        let opened = Box::new(Handle::open(&parts.source, parts.copier.config(), &quota)?);
        if let Source::File { place, .. } = &parts.source {
            parts.kept.reuse(place);
        }
        let (anchor, idle) =
            if parts.source.is_exclusive() { (Some(opened), Vec::new()) } else { (None, vec![opened]) };
        let handles = Handles { idle, ..Handles::default() };
        let shared = Shared::new(parts, quota, (Gate::connected(), handles));
        Ok(Self { shared: Arc::new(shared), anchor: Mutex::new(anchor) })
    }

    /// One of a file that left its log when it was closed, without a connection yet.
    pub(crate) fn unread(parts: Parts) -> Self {
        let shared = Shared::new(parts, Arc::default(), (Gate::unread(), Handles::default()));
        Self { shared: Arc::new(shared), anchor: Mutex::default() }
    }

    /// The turn to write, where nothing can be read without it.
    async fn turn_to_read(&self) -> Result<Option<Turn<Guest>>, EngineError> {
        if !self.shared.is_exclusive() {
            return Ok(None);
        }
        self.shared.clone().turn().await.map(Some)
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// A session.
    #[cfg(test)]
    pub(crate) fn session(&self) -> SqliteConnection {
        SqliteConnection::new(self.shared.clone())
    }

    fn take_anchor(&self) -> Option<Box<Handle>> {
        self.anchor.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Database for SqliteDatabase {
    /// A session costs nothing until it works.
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Connection>, EngineError>> {
        Box::pin(async move {
            if self.shared.handles().closed {
                return Err(EngineError::Closed);
            }
            let connection: Box<dyn Connection> = Box::new(SqliteConnection::new(self.shared.clone()));
            Ok(connection)
        })
    }

    fn verify(&self) -> Result<(), EngineError> {
        self.shared.verify()
    }

    fn size(&self) -> BoxFuture<'_, Option<u64>> {
        Box::pin(async move {
            let Source::File { place, .. } = self.shared.source.clone() else { return None };
            self.shared.executor.call(move || place.size()).await.ok().flatten()
        })
    }

    fn bound(&self, max_bytes: Option<u64>) {
        self.shared.quota.set(max_bytes);
    }

    fn is_frozen(&self) -> BoxFuture<'_, Result<bool, EngineError>> {
        Box::pin(async move {
            if !self.shared.quota.was_frozen() {
                return Ok(false);
            }
            let turn = self.turn_to_read().await?;
            let shared = self.shared.clone();
            let look = move || {
                let _turn = turn;
                let handle = shared.lend()?;
                let frozen = handle.look_at_quota();
                shared.give_back(handle);
                frozen
            };
            self.shared.executor.call(look).await?
        })
    }

    /// With the turn to write, so that nothing is added meanwhile. Memory has no log.
    fn checkpoint(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            if self.shared.is_exclusive() {
                return Ok(());
            }
            let turn = self.shared.clone().turn().await?;
            let shared = self.shared.clone();
            let work = move || {
                let _turn = turn;
                shared.verify()?;
                let handle = shared.lend()?;
                shared.log.make_gap(&handle);
                let emptied = handle.checkpoint();
                shared.give_back(handle);
                emptied
            };
            self.shared.executor.call(work).await?
        })
    }

    fn stamp(&self) -> BoxFuture<'_, Result<Option<Stamp>, EngineError>> {
        Box::pin(async move {
            let turn = self.turn_to_read().await?;
            let source = self.shared.source.clone();
            let look = move || {
                let _turn = turn;
                match source {
                    Source::File { place, .. } => backup::stamp(&place).map(Some),
                    Source::Memory { name } => Ok((!backup::is_empty(&name)?).then_some(Stamp::UNKNOWN)),
                }
            };
            self.shared.executor.call(look).await?
        })
    }

    fn backup<'a>(&'a self, to: &'a Path, course: &'a Course) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(async move {
            let turn = self.turn_to_read().await?;
            self.shared.copier.back_up(self.shared.source.clone(), turn, to, course).await
        })
    }

    fn listen(&self, listener: Arc<dyn Listener>) -> BoxFuture<'_, Result<Box<dyn Listening>, EngineError>> {
        Box::pin(async move {
            let turn = self.shared.clone().turn().await?;
            let shared = self.shared.clone();
            let begin = move || {
                let _turn = turn;
                Feed::begin(&shared, listener)
            };
            self.shared.executor.call(begin).await?
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            // Who shortens the log has answered, so that no session waits for it: were it left
            // behind, its connection would be open after the close. A session that is still there
            // may keep the turn.
            let tended = tokio::time::timeout(TENDED, self.shared.clone().turn()).await;
            let idle = {
                let mut handles = self.shared.handles();
                handles.closed = true;
                handles.take_all()
            };
            self.shared.turns.close();
            self.shared.lanes.close();
            // Before the last of the others, which leaves nothing in the log.
            let witness = self.shared.feed.end();
            let anchor = self.take_anchor();
            let shared = self.shared.clone();
            let settled = if leaves_untouched(&shared) {
                Ok(Ok(()))
            } else {
                let settle = move || {
                    drop(witness);
                    settle(&shared, idle, anchor)
                };
                self.shared.executor.call(settle).await
            };
            drop(self.shared.occupant.lock().unwrap_or_else(PoisonError::into_inner).take());
            drop(tended);
            settled?
        })
    }
}

/// SQLite may write while it closes, so that is left to the executor.
impl Drop for SqliteDatabase {
    fn drop(&mut self) {
        let (idle, closed) = {
            let mut handles = self.shared.handles();
            (handles.take_all(), handles.closed)
        };
        if !closed {
            leaves_untouched(&self.shared);
        }
        for handle in idle.into_iter().chain(self.take_anchor()).chain(self.shared.feed.end()) {
            drop(self.shared.executor.submit(handle, drop));
        }
    }
}
