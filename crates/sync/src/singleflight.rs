//! One flight per key: concurrent callers share one run and its outcome.
//!
//! 1. **One at a time:** a key has at most one flight that is not yet forgotten.
//! 2. **Forgotten before announced:** whoever has seen an outcome and asks again starts a new flight.
//! 3. **A flight lands by itself:** it is a task, and runs to its end though all its callers leave.
//!
//! The number of flights is bounded by the callers: at most one for each call to
//! [`Singleflight::join`] whose work has not ended. Who must bound the work itself
//! takes a permit inside the flight.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures::future::{FutureExt, Shared};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

/// Runs at most one future per key at a time. Cloning yields another handle to the same group.
pub struct Singleflight<K, T: Clone> {
    flights: Flights<K, T>,
    tasks: TaskTracker,
}

/// A caller's handle to a flight: a future of its outcome, `None` if the flight
/// panicked or its runtime ended before it landed.
///
/// # When the outcome is dropped
///
/// Matters if `T` is a guard, such as a lease. The outcome is kept for the handles
/// that are *open*: neither completed nor dropped. Each handle that completes yields
/// a clone of its own; the shared outcome is gone when the last open handle has
/// completed (which moves it out, if no other completes at the same time) or was
/// dropped. If none is open at the landing, the flight's task drops the outcome.
/// The group itself keeps none: it lets go of its handle before the announcement.
///
/// So a guard lives on while somebody keeps an open handle without polling it:
/// await a handle or drop it.
///
/// # Panics
///
/// A handle panics if polled after it completed.
#[must_use = "dropping a handle leaves the flight"]
pub struct Flight<T: Clone> {
    outcome: Shared<oneshot::Receiver<T>>,
}

/// What a call to join found.
enum Boarding<K: Eq + Hash, T: Clone> {
    Joined(Flight<T>),
    Started(Flight<T>, Landing<K, T>),
}

type Flights<K, T> = Arc<Mutex<HashMap<K, Flight<T>>>>;

/// The task's end of a flight: forgets it when it lands, also by a panic, and then announces.
struct Landing<K: Eq + Hash, T: Clone> {
    flights: Flights<K, T>,
    key: K,
    /// Dropped after [`Landing::drop`] has run, so a panic too is forgotten before it is told.
    announce: Option<oneshot::Sender<T>>,
}

// === impl Singleflight ===

impl<K, T> Singleflight<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// Creates a group without flights; `tasks` is where they run, for its owner to await.
    pub fn new(tasks: TaskTracker) -> Self {
        Self { flights: Arc::default(), tasks }
    }

    /// Joins the flight for `key`, or starts one with the future that `make` returns.
    ///
    /// The flight starts and runs whether or not the handle is polled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the handle leaves the flight, which lands all the same.
    ///
    /// # Panics
    ///
    /// If a flight is to be started outside a tokio runtime, or `make` panics; such
    /// a flight is forgotten, and who joined it meanwhile gets `None`.
    pub fn join<F>(&self, key: K, make: impl FnOnce() -> F) -> Flight<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (flight, landing) = match self.board(key) {
            Boarding::Joined(flight) => return flight,
            Boarding::Started(flight, landing) => (flight, landing),
        };
        // The caller's code runs with the lock released: it may join another flight, or panic.
        let work = make();
        self.tasks.spawn(async move { landing.land(work.await) });
        flight
    }

    /// Finds the flight for `key`, or enters a new one: one step under the lock.
    fn board(&self, key: K) -> Boarding<K, T> {
        let mut flights = self.flights.lock().expect("never panics while locked");
        if let Some(flight) = flights.get(&key) {
            return Boarding::Joined(flight.clone());
        }
        let (announce, outcome) = oneshot::channel();
        let flight = Flight { outcome: outcome.shared() };
        flights.insert(key.clone(), flight.clone());
        let landing = Landing { flights: Arc::clone(&self.flights), key, announce: Some(announce) };
        Boarding::Started(flight, landing)
    }
}

impl<K, T: Clone> Clone for Singleflight<K, T> {
    fn clone(&self) -> Self {
        Self { flights: Arc::clone(&self.flights), tasks: self.tasks.clone() }
    }
}

impl<K, T: Clone> fmt::Debug for Singleflight<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flights = self.flights.lock().expect("never panics while locked").len();
        f.debug_struct("Singleflight").field("flights", &flights).finish_non_exhaustive()
    }
}

// === impl Flight ===

impl<T: Clone> Future for Flight<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.outcome.poll_unpin(cx).map(Result::ok)
    }
}

impl<T: Clone> Clone for Flight<T> {
    fn clone(&self) -> Self {
        Self { outcome: self.outcome.clone() }
    }
}

impl<T: Clone> fmt::Debug for Flight<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight").finish_non_exhaustive()
    }
}

// === impl Landing ===

impl<K: Eq + Hash, T: Clone> Landing<K, T> {
    fn land(mut self, outcome: T) {
        let announce = self.announce.take();
        drop(self);
        if let Some(announce) = announce {
            drop(announce.send(outcome));
        }
    }
}

impl<K: Eq + Hash, T: Clone> Drop for Landing<K, T> {
    fn drop(&mut self) {
        let mut flights = self.flights.lock().expect("never panics while locked");
        let forgotten = flights.remove_entry(&self.key);
        drop(flights);
        drop(forgotten);
    }
}
