//! What SQLite's callbacks look at while a connection works: for whom it works, and how long it
//! may.
use crate::control::Control;
use crate::spent::Spent;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Shared by a connection and its callbacks.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    state: Mutex<State>,
    /// Set while what must not be interrupted runs: housekeeping, and a commit to its end.
    masked: AtomicBool,
    /// Looks left before what runs in place has run over; [`ELSEWHERE`] when it does not run in place.
    looks: AtomicU32,
}

/// It runs where it may take long.
const ELSEWHERE: u32 = 0;

/// It runs in place, and has run over.
const RAN_OVER: u32 = 1;

/// The looks of what runs in place before it has run over, and one.
const LOOKS: u32 = RAN_OVER + 4;

#[derive(Debug, Default)]
struct State {
    /// Who asked for what runs.
    control: Option<Arc<Control>>,
    /// When those it keeps waiting have waited enough.
    patience: Option<Instant>,
    /// What it has written for them.
    spent: Spent,
}

// === impl Watch ===

impl Watch {
    /// From now on the connection works for `control`, and when others wait for it, no longer than
    /// their patience.
    pub(crate) fn attend(&self, control: &Arc<Control>, patience: Option<Instant>) {
        let mut state = self.lock();
        let before = state.control.replace(control.clone());
        state.patience = patience;
        state.spent = Spent::default();
        drop(state);
        drop(before);
    }

    /// What runs now runs in place, or does not.
    pub(crate) fn set_in_place(&self, in_place: bool) {
        self.looks.store(if in_place { LOOKS } else { ELSEWHERE }, Ordering::Relaxed);
    }

    pub(crate) fn is_in_place(&self) -> bool {
        self.looks.load(Ordering::Relaxed) != ELSEWHERE
    }

    /// Whether what ran in place had to stop because it ran over.
    pub(crate) fn ran_over(&self) -> bool {
        self.looks.load(Ordering::Relaxed) == RAN_OVER
    }

    /// Whether what meets a lock must not wait for it: it runs in place, and has run over.
    pub(crate) fn must_not_wait(&self) -> bool {
        let in_place = self.looks.load(Ordering::Relaxed) != ELSEWHERE;
        if in_place {
            self.looks.store(RAN_OVER, Ordering::Relaxed);
        }
        in_place
    }

    /// Whether SQLite must stop now; never during housekeeping.
    pub(crate) fn must_stop(&self) -> bool {
        if self.masked.load(Ordering::Relaxed) {
            return false;
        }
        match self.looks.load(Ordering::Relaxed) {
            ELSEWHERE => {}
            RAN_OVER => return true,
            looks => self.looks.store(looks - 1, Ordering::Relaxed),
        }
        let state = self.lock();
        state.control.as_ref().is_some_and(|control| control.stop().is_some())
            || state.patience.is_some_and(|until| until <= Instant::now())
    }

    /// Whether what runs has written more than `most` bytes and must stop, which its owner is told.
    pub(crate) fn overspends(&self, most: u64) -> bool {
        if self.masked.load(Ordering::Relaxed) {
            return false;
        }
        let mut state = self.lock();
        let over = state.spent.exceeds(most);
        if let Some(control) = state.control.as_ref().filter(|_| over) {
            control.overspend(most);
        }
        over
    }

    /// Whether those it keeps waiting have waited enough.
    pub(crate) fn out_of_patience(&self) -> bool {
        self.lock().patience.is_some_and(|until| until <= Instant::now())
    }

    pub(crate) fn mask(&self, masked: bool) {
        self.masked.store(masked, Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
