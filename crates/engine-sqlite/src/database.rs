//! An open database: what its connections share.
use crate::config::Config;
use crate::connection::SqliteConnection;
use crate::executor::Executor;
use crate::files::Place;
use crate::handle::{Handle, Source};
use crate::occupancy::Occupant;
use futures::future::BoxFuture;
use rowhouse_engine::{Connection, Database, EngineError};
use rowhouse_sync::{Limiter, Permit};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What the connections of a database share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) executor: Executor,
    /// The turn to write.
    pub(crate) writer: Limiter,
    source: Source,
    config: Arc<Config>,
    closed: AtomicBool,
    /// Of a file: the connection that opening it took, for whoever connects first; or one kept
    /// because the file was moved. Of memory: the one that keeps it.
    opened: Mutex<Option<Box<Handle>>>,
    /// Of a file: it is open here, until it is closed.
    occupant: Mutex<Option<Occupant>>,
}

/// An open SQLite database.
#[derive(Debug)]
pub(crate) struct SqliteDatabase {
    shared: Arc<Shared>,
}

// === impl Shared ===

impl Shared {
    /// Waits for the turn to write where a connection cannot be opened without it.
    pub(crate) async fn turn_to_open(&self) -> Result<Option<Permit>, EngineError> {
        if !self.source.is_exclusive() {
            return Ok(None);
        }
        self.writer.acquire().await.map(Some).map_err(crate::errors::no_turn)
    }

    /// Closes a connection. Of a file that was moved, the last one stays until the database
    /// closes: SQLite would leave its log unread where it is. Blocks.
    pub(crate) fn part_with(&self, handle: Box<Handle>) -> Result<(), EngineError> {
        if matches!(handle.verify(), Err(EngineError::Replaced)) {
            let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            if opened.is_none() {
                *opened = Some(handle);
                return Ok(());
            }
        }
        handle.close()
    }

    fn take_opened(&self) -> Option<Box<Handle>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

// === impl SqliteDatabase ===

impl SqliteDatabase {
    /// Opens it. Blocks.
    pub(crate) fn open(
        source: Source,
        config: Arc<Config>,
        executor: Executor,
        occupant: Option<Occupant>,
    ) -> Result<Self, EngineError> {
        let opened = Box::new(Handle::open(&source, &config)?);
        let writer = Limiter::new(NonZeroU32::MIN, config.writers_waiting);
        let (closed, opened) = (AtomicBool::new(false), Mutex::new(Some(opened)));
        let occupant = Mutex::new(occupant);
        let shared = Shared { executor, writer, source, config, closed, opened, occupant };
        let shared = Arc::new(shared);
        Ok(Self { shared })
    }

    async fn another(&self) -> Result<Box<Handle>, EngineError> {
        if self.shared.closed.load(Ordering::SeqCst) {
            return Err(EngineError::Closed);
        }
        if matches!(self.shared.source, Source::File { .. })
            && let Some(handle) = self.shared.take_opened()
        {
            return Ok(handle);
        }
        // Memory cannot be opened while it is being written.
        let _turn = self.shared.turn_to_open().await?;
        let (source, config) = (self.shared.source.clone(), self.shared.config.clone());
        self.shared.executor.call(move || Handle::open(&source, &config).map(Box::new)).await?
    }
}

impl Database for SqliteDatabase {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Connection>, EngineError>> {
        Box::pin(async move {
            let handle = self.another().await?;
            let connection: Box<dyn Connection> =
                Box::new(SqliteConnection::new(self.shared.clone(), handle));
            Ok(connection)
        })
    }

    fn verify(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            let source = self.shared.source.clone();
            self.shared.executor.call(move || source.verify()).await?
        })
    }

    fn size(&self) -> BoxFuture<'_, Option<u64>> {
        Box::pin(async move {
            let Source::File { place, .. } = self.shared.source.clone() else { return None };
            self.shared.executor.call(move || place.size()).await.ok().flatten()
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            self.shared.closed.store(true, Ordering::SeqCst);
            self.shared.writer.close();
            let opened = self.shared.take_opened();
            let (source, config) = (self.shared.source.clone(), self.shared.config.clone());
            let settled = self.shared.executor.call(move || settle(&source, &config, opened)).await;
            drop(self.shared.occupant.lock().unwrap_or_else(PoisonError::into_inner).take());
            settled?
        })
    }
}

/// Leaves all that was committed in the main file, and nothing beside it. Blocks.
fn settle(source: &Source, config: &Arc<Config>, opened: Option<Box<Handle>>) -> Result<(), EngineError> {
    let Source::File { place, .. } = source else { return opened.map_or(Ok(()), |handle| handle.close()) };
    if matches!(source.verify(), Err(EngineError::Replaced)) {
        return opened.map_or(Ok(()), |handle| part_from_moved(handle, place));
    }
    let handle = match opened {
        Some(handle) => handle,
        // The last connection to close has emptied the log, unless something stopped it.
        None if place.has_log()? => Box::new(Handle::open(source, config)?),
        None => return Ok(()),
    };
    handle.checkpoint()?;
    handle.close()
}

/// Lets go of a file that is not where it was: what was committed goes where the file went, for a
/// log left here would be taken for that of the next file of this name. Blocks.
fn part_from_moved(handle: Box<Handle>, place: &Place) -> Result<(), EngineError> {
    let emptied = handle.checkpoint();
    let closed = handle.close();
    if emptied.is_err() {
        place.set_log_aside()?;
    }
    emptied.and(closed)
}

/// SQLite may write while it closes, so that is left to the executor.
impl Drop for SqliteDatabase {
    fn drop(&mut self) {
        if let Some(handle) = self.shared.take_opened() {
            drop(self.shared.executor.submit(handle, drop));
        }
    }
}
