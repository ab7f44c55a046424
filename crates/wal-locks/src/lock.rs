//! The lock of one connection: used, kept or given up.
use crate::family::Family;
use crate::keeper::WINDOW;
use crate::methods::Shm;
use rusqlite::ffi::SQLITE_OK;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The locks under which a log is read, of the eight of a `-shm` file. The others are of those who write, of those
/// who shorten the log, and of those who read it in after a crash.
pub(crate) const READS: Range<i32> = 3..8;

/// That of who reads no log, because all of it is in the file: while it is held nobody moves anything there.
const NO_LOG: i32 = READS.start;

/// A connection that has not read for so long is not likely to read soon, and keeps nothing.
const OFTEN: Duration = WINDOW;

/// The lock of one connection.
#[derive(Debug)]
pub(crate) struct Lock {
    family: Family,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `None` once the file is closed.
    shm: Option<Shm>,
    held: Option<Held>,
    /// When it was used last.
    last: Option<Instant>,
    /// The last window at whose end the keeper releases it.
    remembered: Option<u64>,
}

/// One that the system has given.
#[derive(Clone, Copy, Debug)]
struct Held {
    slot: i32,
    /// In which window it was taken.
    window: u64,
    is_used: bool,
    /// How long the file is since then, once that was asked for; of [`NO_LOG`] only.
    length: Option<i64>,
}

// === impl Lock ===

impl Lock {
    pub(crate) fn new(family: Family, shm: Shm) -> Arc<Self> {
        let state = State { shm: Some(shm), held: None, last: None, remembered: None };
        Arc::new(Self { family, state: Mutex::new(state) })
    }

    /// Takes the shared lock `slot`, as SQLite would. What is returned is for SQLite.
    pub(crate) fn take(&self, slot: i32) -> i32 {
        let mut state = self.state();
        match &mut state.held {
            Some(held) if held.slot == slot => {
                held.is_used = true;
                return SQLITE_OK;
            }
            // A second one at once is none of ours.
            Some(Held { is_used: true, .. }) => return state.shm().take(slot),
            Some(_) => state.release(),
            None => {}
        }
        let taken = state.shm().take(slot);
        if taken == SQLITE_OK {
            state.held =
                Some(Held { slot, window: self.family.keeper().window(), is_used: true, length: None });
        }
        taken
    }

    /// Gives the shared lock `slot` back, or keeps it. What is returned is for SQLite.
    pub(crate) fn give_back(self: &Arc<Self>, slot: i32) -> i32 {
        let mut state = self.state();
        let now = Instant::now();
        let last = state.last.replace(now);
        let Some(held) = state.held.as_mut().filter(|held| held.slot == slot) else {
            return state.shm().give_back(slot);
        };
        held.is_used = false;
        let window = held.window;
        let reads_often = last.is_some_and(|last| now.saturating_duration_since(last) < OFTEN);
        if !reads_often || !self.family.keeper().allows(window) {
            state.held = None;
            return state.shm().give_back(slot);
        }
        if state.remembered != Some(window) {
            state.remembered = Some(window);
            self.family.keeper().remember(self.clone());
        }
        SQLITE_OK
    }

    /// How long the file is: `ask` tells, unless it has told and nobody can have changed it since. SQLite asks for each read
    /// as long as nothing is in the log.
    ///
    /// # Errors
    ///
    /// What `ask` says, for SQLite.
    pub(crate) fn length(&self, ask: impl FnOnce() -> Result<i64, i32>) -> Result<i64, i32> {
        let mut state = self.state();
        let mut held = state.held.as_mut().filter(|held| held.is_used && held.slot == NO_LOG);
        if let Some(length) = held.as_ref().and_then(|held| held.length) {
            return Ok(length);
        }
        let length = ask()?;
        if let Some(held) = &mut held {
            held.length = Some(length);
        }
        Ok(length)
    }

    /// Takes or gives back another lock, after the family has given up what it keeps of these: what SQLite would do.
    pub(crate) fn other(&self, slots: Range<i32>, flags: i32, is_exclusive: bool) -> i32 {
        if is_exclusive && slots.start < READS.end && READS.start < slots.end {
            self.family.release(&slots);
        }
        self.state().shm().other(slots, flags)
    }

    /// Gives up what it keeps, if it does not use it.
    pub(crate) fn release(&self) {
        self.release_if_in(&READS);
    }

    /// The same, if it is one of these.
    pub(crate) fn release_if_in(&self, these: &Range<i32>) {
        let mut state = self.state();
        if state.held.is_some_and(|held| !held.is_used && these.contains(&held.slot)) {
            state.release();
        }
    }

    /// Gives up what it keeps and does `end`, with which the file has no locks any more.
    pub(crate) fn end<T>(self: &Arc<Self>, is_closed: bool, end: impl FnOnce() -> T) -> T {
        if is_closed {
            self.family.leave(self);
        }
        let mut state = self.state();
        state.release();
        if is_closed {
            state.shm = None;
        }
        end()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn release(&mut self) {
        if let (Some(held), Some(shm)) = (self.held.take(), &self.shm) {
            // A shared lock that is held can be given back.
            let _given_back = shm.give_back(held.slot);
        }
    }

    /// The file, which is open as long as SQLite asks.
    fn shm(&self) -> &Shm {
        self.shm.as_ref().expect("SQLite asks for no lock of a file that it has closed")
    }
}
