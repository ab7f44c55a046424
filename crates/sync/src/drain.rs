//! Telling the parts of a server to take no new work, and waiting for the old work to end.
//!
//! Two facts of two tokio-util types make up one exact state:
//!
//! 1. **No guard after the beginning:** once [`Drain::begin`] has returned, no guard is given.
//! 2. **No end before the last guard:** [`Drain::drained`] ends only after every guard given is gone.
//!
//! Both follow from the order of two steps on either side. A guard is counted
//! first and checked against the signal second; a beginning signals first and
//! lets the wait end second. So a guard that saw no signal was counted before
//! the wait could end, and one counted later sees the signal and is withdrawn.

#[cfg(test)]
mod tests;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// A handle to one drain. Cloning yields another handle to the same drain.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    begun: CancellationToken,
    guards: TaskTracker,
}

/// Work in flight, which a drain waits for. The work has ended when its guard is dropped.
#[derive(Debug)]
#[must_use = "dropping a guard says that its work has ended"]
pub struct Guard {
    _counted: TaskTrackerToken,
}

// === impl Drain ===

impl Drain {
    /// Creates a drain that has not begun and has no work in flight.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a piece of work as in flight, or returns `None` if the drain has begun.
    pub fn try_guard(&self) -> Option<Guard> {
        let guard = Guard { _counted: self.guards.token() };
        (!self.is_draining()).then_some(guard)
    }

    /// Begins the drain: no guard is given from now on. Beginning again does nothing.
    pub fn begin(&self) {
        self.begun.cancel();
        self.guards.close();
    }

    /// Returns whether the drain has begun.
    pub fn is_draining(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Waits until the drain begins.
    ///
    /// The future borrows nothing.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub fn draining(&self) -> impl Future<Output = ()> + Send + use<> {
        self.begun.clone().cancelled_owned()
    }

    /// Returns a token that is cancelled when the drain begins, for code that takes a token.
    ///
    /// Cancelling it cancels itself only; it begins no drain.
    pub fn signal(&self) -> CancellationToken {
        self.begun.child_token()
    }

    /// Waits until the drain has begun and every guard is gone.
    ///
    /// Does not begin the drain. Returns at once if all that is so already.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn drained(&self) {
        self.guards.wait().await;
    }
}
