//! What a request's owner tells the statement that runs for it: when to stop.
use rowhouse_engine::{EngineError, SessionState};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

/// Shared by a session, the job that runs for it and, meanwhile, SQLite's callbacks.
///
/// It is armed anew for each request; requests of one session never overlap.
#[derive(Debug)]
pub(crate) struct Control {
    epoch: Instant,
    /// Nanoseconds since `epoch`; `u64::MAX` is never.
    deadline: AtomicU64,
    cancelled: AtomicBool,
    /// The bytes it might have written and has exceeded; 0 is not at all.
    overspent: AtomicU64,
    state: AtomicU8,
}

/// Why a statement must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Deadline,
    Cancelled,
    /// It has written more than the `most` bytes it may.
    Overspent {
        most: u64,
    },
}

// === impl Control ===

impl Control {
    pub(crate) fn new() -> Self {
        Self {
            epoch: Instant::now(),
            deadline: AtomicU64::new(u64::MAX),
            cancelled: AtomicBool::new(false),
            overspent: AtomicU64::new(0),
            state: AtomicU8::new(0),
        }
    }

    /// Begins a request.
    pub(crate) fn arm(&self, deadline: Option<Instant>) {
        let nanos = deadline.map_or(u64::MAX, |at| {
            u64::try_from(at.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX)
        });
        self.deadline.store(nanos, Ordering::SeqCst);
        self.cancelled.store(false, Ordering::SeqCst);
        self.overspent.store(0, Ordering::SeqCst);
    }

    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
    }

    /// Tells that it has written more than the `most` bytes it may.
    pub(crate) fn overspend(&self, most: u64) {
        self.overspent.store(most.max(1), Ordering::SeqCst);
    }

    /// Why the request must stop, if it must.
    pub(crate) fn stop(&self) -> Option<Stop> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Some(Stop::Cancelled);
        }
        let most = self.overspent.load(Ordering::Relaxed);
        if most != 0 {
            return Some(Stop::Overspent { most });
        }
        let deadline = self.deadline.load(Ordering::Relaxed);
        if deadline == u64::MAX {
            return None;
        }
        let now = u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX);
        (deadline <= now).then_some(Stop::Deadline)
    }

    /// What the session held when its last request ended.
    pub(crate) fn state(&self) -> SessionState {
        match self.state.load(Ordering::SeqCst) {
            0 => SessionState::Clean,
            1 => SessionState::Stateful,
            _ => SessionState::Transaction,
        }
    }

    pub(crate) fn set_state(&self, state: SessionState) {
        let code = match state {
            SessionState::Clean => 0,
            SessionState::Stateful => 1,
            SessionState::Transaction => 2,
        };
        self.state.store(code, Ordering::SeqCst);
    }
}

// === impl Stop ===

impl From<Stop> for EngineError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Deadline => Self::TimedOut,
            Stop::Cancelled => Self::Cancelled,
            Stop::Overspent { most } => crate::errors::overspent(most),
        }
    }
}
