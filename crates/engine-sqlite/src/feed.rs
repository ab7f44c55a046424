//! The feed of changes: what was committed, told before the turn to write is passed on.
//!
//! Whoever writes notes each row it touches before it changes ([`notes`]); when its transaction is over,
//! a connection of the feed's own compares the notes with what is there ([`witness`]). So what a
//! savepoint, a failed statement or `OR IGNORE` took back is not told, and what triggers, cascades
//! and `OR REPLACE` did is.
//!
//! Invariants: it begins and is told of only with the turn to write, so that nobody of ours writes
//! meanwhile; whoever has the turn notes all it writes, for the hook is there before it writes. What
//! another process writes shows in the version of the database as one of two connections sees it:
//! the witness between two turns of ours, the writer during its own.
//!
//! While nobody listens it costs one look at a flag per turn.
mod notes;
mod shape;
mod witness;

use crate::database::Shared;
use crate::handle::Handle;
use futures::future::BoxFuture;
use notes::Notes;
use rowhouse_engine::{EngineError, Listener, Listening, News, Untold};
use rusqlite::hooks::PreUpdateCase;
use shape::Shape;
use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use witness::Witness;

/// The feed of one database.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    /// Whether somebody listens.
    on: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ear: Option<Ear>,
    /// How many have ever listened.
    serial: u64,
}

/// Who listens now, and what compares for it.
#[derive(Debug)]
struct Ear {
    listener: Arc<dyn Listener>,
    witness: Witness,
}

/// What a connection that writes keeps for the feed.
pub(crate) struct Hearing {
    feed: Arc<Feed>,
    notes: Arc<Mutex<Notes>>,
    /// The version of the database when it took the turn to write.
    version: Cell<Option<u64>>,
}

/// Somebody listens, until this is dropped.
#[derive(Debug)]
pub(crate) struct Listened {
    shared: Arc<Shared>,
    serial: u64,
}

// === impl Feed ===

impl Feed {
    /// Tells `listener` from now on. To be called with the turn to write. Blocks.
    pub(crate) fn begin(
        shared: &Arc<Shared>,
        listener: Arc<dyn Listener>,
    ) -> Result<Box<dyn Listening>, EngineError> {
        let witness = Witness::new(shared.open_aside()?).map_err(|error| crate::errors::translate(&error))?;
        let mut state = shared.feed.state();
        state.serial += 1;
        let serial = state.serial;
        let before = state.ear.replace(Ear { listener, witness });
        shared.feed.on.store(true, Ordering::SeqCst);
        drop(state);
        drop(before);
        Ok(Box::new(Listened { shared: shared.clone(), serial }))
    }

    /// Nobody listens any more. Returns what is to be closed.
    pub(crate) fn end(&self) -> Option<Box<Handle>> {
        let mut state = self.state();
        self.on.store(false, Ordering::SeqCst);
        state.ear.take().map(|ear| ear.witness.into_handle())
    }

    /// Whoever was the `serial`th to listen does so no more.
    fn end_of(&self, serial: u64) -> Option<Box<Handle>> {
        let is_it = self.state().serial == serial;
        if is_it { self.end() } else { None }
    }

    /// Whether somebody listens.
    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    /// Makes a connection that has just taken the turn to write note what it writes, or note
    /// nothing. Blocks.
    pub(crate) fn attend(self: &Arc<Self>, handle: &mut Handle) {
        if !self.is_on() {
            if handle.hearing.take().is_some() {
                stop_noting(handle);
            }
            return;
        }
        let noting = handle.hearing.is_some() || note(self, handle).is_ok();
        let version = handle.version();
        self.look();
        match &handle.hearing {
            Some(hearing) if noting => hearing.version.set(version),
            // Whatever it writes is not told, which is.
            _ => self.tell(News::Gap(Untold::Unreadable)),
        }
    }

    /// Tells of what another process has written since the last turn. To be called with the turn, before
    /// anything is begun. Blocks.
    fn look(&self) {
        let mut state = self.state();
        let Some(ear) = &mut state.ear else { return };
        if let Some(untold) = ear.witness.catch_up() {
            ear.listener.hear(News::Gap(untold));
        }
    }

    fn tell(&self, news: News) {
        if let Some(ear) = &self.state().ear {
            ear.listener.hear(news);
        }
    }

    fn shape(&self, table: &str) -> Result<Option<Arc<Shape>>, Untold> {
        self.state().ear.as_mut().map_or(Ok(None), |ear| ear.witness.shape(table))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has the connection note what it writes from now on.
fn note(feed: &Arc<Feed>, handle: &mut Handle) -> rusqlite::Result<()> {
    let notes = Arc::new(Mutex::new(Notes::default()));
    let (of, into) = (feed.clone(), notes.clone());
    handle.connection.preupdate_hook(Some(
        move |_: rusqlite::hooks::Action, database: &str, table: &str, case: &PreUpdateCase| {
            if database == "main" && of.on.load(Ordering::Relaxed) {
                lock(&into).note(case, || of.shape(table));
            }
        },
    ))?;
    let undone = notes.clone();
    handle.connection.rollback_hook(Some(move || drop(std::mem::take(&mut *lock(&undone)))))?;
    // What was compiled before empties whole tables without looking at rows.
    handle.connection.flush_prepared_statement_cache();
    handle.hearing = Some(Hearing { feed: feed.clone(), notes, version: Cell::new(None) });
    Ok(())
}

fn stop_noting(handle: &mut Handle) {
    let stopped = handle
        .connection
        .preupdate_hook(None::<fn(rusqlite::hooks::Action, &str, &str, &PreUpdateCase)>)
        .and_then(|()| handle.connection.rollback_hook(None::<fn()>));
    if let Err(error) = stopped {
        tracing::debug!(%error, "a connection still notes what nobody listens to");
    }
}

// === impl Handle ===

impl Handle {
    /// Tells of what was committed since it was asked last, if it has the turn to write and its transaction
    /// is over. Blocks.
    pub(crate) fn report(&self) {
        let Some(hearing) = &self.hearing else { return };
        if self.turn.is_none() || !self.connection.is_autocommit() {
            return;
        }
        let notes = std::mem::take(&mut *lock(&hearing.notes));
        let mut state = hearing.feed.state();
        let Some(ear) = &mut state.ear else { return };
        let Some(news) = ear.witness.compare(&notes) else { return };
        // Nobody else has committed between our commit and the look at it, if to this connection it is
        // still the database it was when it began: its own commits do not count.
        let (before, now) = (hearing.version.take(), self.version());
        hearing.version.set(now);
        let alone = before.is_some() && before == now;
        match news {
            News::Committed(changes) if alone && changes.is_empty() => {}
            news if alone => ear.listener.hear(news),
            _ => ear.listener.hear(News::Gap(Untold::Elsewhere)),
        }
    }

    fn version(&self) -> Option<u64> {
        self.tell_as_house("data_version").ok()
    }
}

// === impl Hearing ===

impl fmt::Debug for Hearing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hearing").finish_non_exhaustive()
    }
}

// === impl Listened ===

impl Listening for Listened {
    fn look(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let Ok(turn) = self.shared.clone().turn().await else { return };
            let feed = self.shared.feed.clone();
            let look = move || {
                let _turn = turn;
                feed.look();
            };
            // Without a thread it is seen later.
            drop(self.shared.executor.call(look).await);
        })
    }
}

impl Drop for Listened {
    fn drop(&mut self) {
        if let Some(handle) = self.shared.feed.end_of(self.serial) {
            self.shared.part_later(handle);
        }
    }
}

fn lock(notes: &Mutex<Notes>) -> MutexGuard<'_, Notes> {
    // Each note is whole or is not there.
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}
