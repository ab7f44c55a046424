//! Exactly once for requests that are sent again.
//!
//! A client that has waited long enough closes its connection, opens another and sends the same
//! bytes, as the first request there. So the first request of a connection looks for one of the
//! same bytes whose peer has left, joins it, and adopts the session that goes with it: its
//! transactions and cursors. In flight or finished, such a request waits [`table::WINDOW`] for that;
//! then it is interrupted, or forgotten.
//!
//! What was sent again and what was asked twice look the same, so everything hangs on what the first
//! connection's end says of its reply:
//!
//! - **It ended before the reply was written, or with a reset**: the reply was not read. What comes
//!   next is a resend, and running it again would apply it twice.
//! - **It ended in order after the reply was written**: the reply was read. The same bytes next are a
//!   request of their own, and answering them from memory would lose a write that was acknowledged.
//!
//! The second rule holds always; so a reply that reached the client's machine in the very moment in
//! which the client gave up counts as read.
//!
//! Clients that were forked share their `client_id`, and may well send the same bytes at once. So
//! nobody joins a request whose peer is connected. The end of a connection may be noticed after the
//! beginning of the next, though: the resend of what has been in flight for long waits a moment
//! ([`PATIENCE`]) for the first peer to leave, and runs when it stays.
//!
//! A request that came in a transaction is never run outside it: when its session is given up, its
//! resend is told that the transaction is lost.
mod key;
mod table;

pub(crate) use key::{Key, Keys};
pub(crate) use table::{Outcome, Waiting};

use bytes::Bytes;
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use table::{Answer, Found, Place, Table};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until};

/// How long a resend waits for the first peer's end to be noticed.
const PATIENCE: Duration = Duration::from_millis(100);

/// The requests of one listener that may be sent again. `S` is a session.
pub(crate) struct Resends<S> {
    table: Mutex<Table<S>>,
    /// Told when a request changes hands, for those who wait for one to do so.
    changed: Notify,
    /// Told when the first deadline may have moved to the front.
    due: Notify,
}

/// What is to be done with the first request of a connection.
#[derive(Debug)]
pub(crate) enum Claim<S> {
    /// Run it.
    Run(Flight<S>),
    /// Wait for the outcome of the one it joined.
    Join(Joined<S>),
    /// Take the outcome of the one that has finished.
    Answer(Flight<S>, Outcome<S>),
    /// Tell that its transaction is lost.
    Lost,
}

/// A request in somebody's hands. Dropping it forgets the request.
#[derive(Debug)]
pub(crate) struct Flight<S> {
    resends: Arc<Resends<S>>,
    place: Place,
}

/// A wait for the outcome of a request that was joined. Dropping it says that this peer left, too.
#[derive(Debug)]
pub(crate) struct Joined<S> {
    resends: Arc<Resends<S>>,
    place: Place,
    answer: oneshot::Receiver<Answer<S>>,
}

/// Resolves when a request without a peer is to be interrupted.
#[derive(Debug)]
pub(crate) struct Interrupted(oneshot::Receiver<Infallible>);

// === impl Resends ===

impl<S> Resends<S> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { table: Mutex::default(), changed: Notify::new(), due: Notify::new() })
    }

    /// A request begins that cannot be a resend.
    pub(crate) fn begin(self: &Arc<Self>, key: Key, in_transaction: bool) -> Flight<S> {
        // Every request takes this way, and gives up nothing.
        let now = Instant::now().into_std();
        let place = self.lock().begin(key, now, in_transaction);
        Flight { resends: self.clone(), place }
    }

    /// The first request of a connection begins, which may be a resend.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn claim(self: &Arc<Self>, key: Key) -> Claim<S> {
        let until = Instant::now() + PATIENCE;
        loop {
            // From here on: what changes before it is awaited counts.
            let changed = self.changed.notified();
            let flight = |place| Flight { resends: self.clone(), place };
            match self.step(|table, now| table.claim(key, now, now < until.into_std())) {
                Found::Nothing(place) => return Claim::Run(flight(place)),
                Found::InFlight(place, answer) => {
                    return Claim::Join(Joined { resends: self.clone(), place, answer });
                }
                Found::Finished(place, outcome) => return Claim::Answer(flight(place), outcome),
                Found::Lost => return Claim::Lost,
                Found::Unclear => {}
            }
            tokio::select! {
                () = changed => {}
                () = sleep_until(until) => {}
            }
        }
    }

    /// Gives up, when it is time, what nobody asked for again. Never ends.
    pub(crate) async fn expire(&self) {
        loop {
            let due = self.due.notified();
            let next = self.step(|table, now| {
                table.expire(now);
                table.next_deadline()
            });
            match next {
                Some(next) => tokio::select! {
                    () = sleep_until(next.into()) => {}
                    () = due => {}
                },
                None => due.await,
            }
        }
    }

    /// Gives up what no peer attends: nobody can send it here again.
    pub(crate) fn close(&self) {
        self.step(|table, _| table.close());
    }

    /// What waits for a resend now.
    pub(crate) fn waiting(&self) -> Waiting {
        self.step(|table, _| table.waiting())
    }

    fn lock(&self) -> MutexGuard<'_, Table<S>> {
        self.table.lock().expect("never panics while locked")
    }

    /// Takes one step. What it gives up is dropped after the lock.
    fn step<T>(&self, step: impl FnOnce(&mut Table<S>, std::time::Instant) -> T) -> T {
        let now = Instant::now().into_std();
        let (result, given_up, sooner) = {
            let mut table = self.lock();
            let before = table.next_deadline();
            let result = step(&mut table, now);
            let after = table.next_deadline();
            (result, table.given_up(), after.is_some_and(|after| before.is_none_or(|before| after < before)))
        };
        drop(given_up);
        if sooner {
            self.due.notify_one();
        }
        result
    }
}

impl<S> fmt::Debug for Resends<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resends").finish_non_exhaustive()
    }
}

// === impl Flight ===

impl<S> Flight<S> {
    /// The peer has left while the request is in flight. It may go on until what this returns
    /// resolves; where this returns `None` it may not.
    pub(crate) fn detach(&self) -> Option<Interrupted> {
        let interrupted = self.resends.step(|table, now| table.detach(self.place, now));
        self.resends.changed.notify_waiters();
        interrupted.map(Interrupted)
    }

    /// The request has finished, and its own peer does not have the reply: whoever joined gets the
    /// outcome, or it is kept.
    pub(crate) fn finish(self, outcome: Outcome<S>) {
        let Some((to, answer)) = self.resends.step(|table, now| table.finish(self.place, outcome, now))
        else {
            return self.resends.changed.notify_waiters();
        };
        if let Err((place, outcome)) = to.send(answer) {
            // Who joined left in this moment.
            Self { resends: self.resends.clone(), place }.finish(outcome);
        }
    }

    /// The transaction that the request came in is rolled back, and its peer not told: a resend will be.
    pub(crate) fn lose(self) {
        self.resends.step(|table, now| table.lose(self.place, now));
    }

    /// The reply was written. Returns what is to be kept until the peer reads it or ends.
    pub(crate) fn written(self, reply: Bytes) -> Option<Self> {
        if !self.place.is_slow(Instant::now().into_std()) {
            return None;
        }
        let seen = self.resends.step(|table, now| table.written(self.place, reply, now));
        seen.then_some(self)
    }

    /// The peer ended without having read the reply that was written.
    pub(crate) fn unread(self, session: S, in_transaction: bool) {
        self.resends.step(|table, now| table.unread(self.place, session, in_transaction, now));
    }
}

impl<S> Drop for Flight<S> {
    fn drop(&mut self) {
        let given_up = {
            let mut table = self.resends.lock();
            table.forget(self.place);
            table.given_up()
        };
        drop(given_up);
        self.resends.changed.notify_waiters();
    }
}

// === impl Joined ===

impl<S> Joined<S> {
    /// Waits for the outcome; `None` when the request ended without one.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn outcome(&mut self) -> Option<(Flight<S>, Outcome<S>)> {
        let (place, outcome) = (&mut self.answer).await.ok()?;
        Some((Flight { resends: self.resends.clone(), place }, outcome))
    }
}

impl<S> Drop for Joined<S> {
    fn drop(&mut self) {
        if self.resends.step(|table, now| table.part(self.place, now)) {
            return self.resends.changed.notify_waiters();
        }
        self.answer.close();
        if let Ok((place, outcome)) = self.answer.try_recv() {
            Flight { resends: self.resends.clone(), place }.finish(outcome);
        }
    }
}

// === impl Interrupted ===

impl Interrupted {
    pub(crate) async fn wait(self) {
        // Its sender sends nothing: it is dropped.
        let _dropped = self.0.await;
    }
}

#[cfg(test)]
mod tests;
