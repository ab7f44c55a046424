//! A bounded number of things that several parties use and keep, shared fairly.
//!
//! Each party asks for things one at a time: it gets back one it has kept, or room to make one, or waits.
//! What it gives back it keeps for its next use, unless another needs the room more. When there is no
//! room, a thing kept unused is ended for whoever waits, that of the party that used none for longest.
//!
//! **Who is next.** Of the parties that wait, the one that holds the fewest; among equals the one that was
//! served least recently. Who holds more than another that waits hands on what it gives back. Among equals
//! it goes on using it for one *turn* as long as it has use for it, so that making things does not cost
//! more than using them; then it hands it on.
//!
//! A thing that is to end is still a thing: its room goes on when its [`Unit`] is dropped, and not before.
//!
//! One mutex guards one ledger (`allotment/state.rs`, where its invariants are named and asserted). Who a
//! step admits is woken, and what it takes away is told, after the lock is released.

mod member;
mod state;

#[cfg(test)]
#[cfg(loom)]
mod loom_tests;
#[cfg(test)]
#[cfg(not(loom))]
mod model_tests;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

use std::fmt;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use self::member::{Arrival, Grant, Id, Idle, Made, Ticket};
use self::state::{Effects, State};
use crate::primitives::{Arc, Mutex};

/// What becomes of a thing that is taken from the one who kept it: it ends, then the unit is dropped.
type Discard<T> = Box<dyn Fn(T, Unit<T>) + Send + Sync>;

/// A bounded number of things, shared fairly. Cloning yields another handle.
pub struct Allotment<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    discard: Discard<T>,
}

/// One of those who share.
///
/// Dropping it ends what it has kept.
pub struct Party<T> {
    allotment: Allotment<T>,
    id: Id,
}

/// The room that one thing takes, given back on drop: drop it when the thing has ended.
#[must_use = "dropping a unit says that its thing has ended"]
pub struct Unit<T> {
    /// `None` once it has gone on with its thing.
    allotment: Option<Allotment<T>>,
    id: Id,
    made: Made,
    is_ending: bool,
}

/// What a party got.
#[derive(Debug)]
pub enum Granted<T> {
    /// One that it gave back before.
    Thing(Lent<T>),
    /// Room to make one.
    Room(Unit<T>),
}

/// A thing that was kept, at its party's disposal again.
#[derive(Debug)]
pub struct Lent<T> {
    /// The thing.
    pub thing: T,
    /// Its room.
    pub unit: Unit<T>,
    /// Since when nobody has used it, if nobody has for a while.
    pub idle_since: Option<Instant>,
}

/// What a party that asks is told.
#[derive(Debug)]
#[must_use = "dropping it gives up what was granted"]
pub enum Asked<T> {
    /// It has one now.
    Granted(Granted<T>),
    /// It is to wait.
    Wait(Waiting<T>),
}

/// A place in the queue, as a future. Dropping it leaves the queue.
#[must_use = "a future does nothing unless polled"]
pub struct Waiting<T> {
    allotment: Allotment<T>,
    id: Id,
    ticket: Option<Ticket>,
}

/// What of a party's kept things is to end.
#[derive(Clone, Copy, Debug)]
pub struct Tidy {
    /// The time.
    pub now: Instant,
    /// How many are kept, however long nobody uses them.
    pub keep: u32,
    /// How long those beyond are kept.
    pub idle: Duration,
    /// How old one may be; see [`Unit::is_older_than`].
    pub lifetime: Duration,
}

/// A consistent snapshot of an [`Allotment`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllotmentStatus {
    /// How many things there may be.
    pub limit: NonZeroU32,
    /// How many there are, being made and ending included. Above `limit` only after it was lowered.
    pub held: u32,
    /// Of them, those that are kept unused.
    pub idle: u32,
    /// Of them, those that are ending.
    pub ending: u32,
    /// How many wait for one.
    pub waiting: u32,
    /// How many were ended so far because another had more need of the room.
    pub reclaimed: u64,
}

/// A consistent snapshot of a [`Party`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartyStatus {
    /// How many things it has, being made included, ending not.
    pub held: u32,
    /// Of them, those that are kept unused.
    pub idle: u32,
    /// How many of its wait.
    pub waiting: u32,
    /// How many of its things were ended so far because another had more need of the room.
    pub reclaimed: u64,
}

// === impl Allotment ===

impl<T> Allotment<T> {
    /// With nobody who shares yet. `discard` is handed what is taken away, outside of every lock, by
    /// whoever caused it: it must not block.
    pub fn new(
        limit: NonZeroU32,
        turn: Duration,
        discard: impl Fn(T, Unit<T>) + Send + Sync + 'static,
    ) -> Self {
        let shared = Shared { state: Mutex::new(State::new(limit, turn)), discard: Box::new(discard) };
        Self { shared: Arc::new(shared) }
    }

    /// One more who shares.
    pub fn join(&self) -> Party<T> {
        let id = self.step(|state, _effects| state.join());
        Party { allotment: self.clone(), id }
    }

    /// Changes how many things there may be, from now on. Above a lower limit, what is kept unused is
    /// ended, then what is given back, until so many are gone.
    pub fn resize(&self, limit: NonZeroU32) {
        self.step(|state, _effects| state.resize(limit));
    }

    /// Changes how long a turn is.
    pub fn set_turn(&self, turn: Duration) {
        self.step(|state, _effects| state.set_turn(turn));
    }

    /// Returns a consistent snapshot.
    pub fn status(&self) -> AllotmentStatus {
        self.step(|state, _effects| state.status())
    }

    /// Runs one atomic step, then whatever it caused, with the lock released.
    fn step<R>(&self, step: impl FnOnce(&mut State<T>, &mut Effects<T>) -> R) -> R {
        let mut effects = Effects::default();
        let result = {
            let mut state = self.shared.state.lock().expect("no step of an allotment panics");
            let before = state.held();
            let result = step(&mut state, &mut effects);
            state.settle(&mut effects);
            state.check(before);
            result
        };
        let Effects { wake, spent, taken } = effects;
        drop(spent);
        for waker in wake {
            waker.wake();
        }
        for (thing, id, made) in taken {
            let unit = Unit { allotment: Some(self.clone()), id, made, is_ending: true };
            (self.shared.discard)(thing, unit);
        }
        result
    }
}

impl<T> Clone for Allotment<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<T> fmt::Debug for Allotment<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Allotment").field(&self.status()).finish()
    }
}

// === impl Party ===

impl<T> Party<T> {
    /// One that was kept, if there is any. The one used last comes first.
    pub fn take(&self) -> Option<Lent<T>> {
        let idle = self.allotment.step(|state, _effects| state.take(self.id))?;
        Some(self.lent(idle))
    }

    /// One that was kept, or room for one, or a place in the queue.
    pub fn ask(&self, now: Instant) -> Asked<T> {
        match self.allotment.step(|state, _effects| state.arrive(self.id, now)) {
            Arrival::Thing(idle) => Asked::Granted(Granted::Thing(self.lent(idle))),
            Arrival::Room(made) => Asked::Granted(Granted::Room(self.unit(made, false))),
            Arrival::Queued(ticket) => {
                Asked::Wait(Waiting { allotment: self.allotment.clone(), id: self.id, ticket: Some(ticket) })
            }
        }
    }

    /// Gives back a thing that may be used again: by whoever of this party waits, or later, or it is
    /// ended because another needs its room more.
    pub fn give_back(&self, thing: T, unit: Unit<T>, now: Instant) {
        let (id, made) = (unit.id, unit.made);
        unit.keep();
        self.allotment.step(|state, effects| state.give_back((thing, id, made), now, effects));
    }

    /// Ends what was kept for too long.
    pub fn tidy(&self, tidy: &Tidy) {
        self.allotment.step(|state, effects| state.tidy(self.id, tidy, effects));
    }

    /// Keeps nothing from now on: takes out all that is kept, to be ended by the caller. What is given back
    /// later and nobody of this party waits for is discarded.
    pub fn close(&self) -> Vec<(T, Unit<T>)> {
        let kept = self.allotment.step(|state, _effects| state.close(self.id));
        kept.into_iter().map(|idle| (idle.thing, self.unit(idle.made, true))).collect()
    }

    /// Returns a consistent snapshot.
    pub fn status(&self) -> PartyStatus {
        self.allotment.step(|state, _effects| state.party(self.id))
    }

    fn lent(&self, idle: Idle<T>) -> Lent<T> {
        let Idle { thing, made, since } = idle;
        Lent { thing, unit: self.unit(made, false), idle_since: Some(since) }
    }

    fn unit(&self, made: Made, is_ending: bool) -> Unit<T> {
        Unit { allotment: Some(self.allotment.clone()), id: self.id, made, is_ending }
    }
}

impl<T> Drop for Party<T> {
    fn drop(&mut self) {
        self.allotment.step(|state, effects| state.part(self.id, effects));
    }
}

impl<T> fmt::Debug for Party<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Party").field(&self.status()).finish()
    }
}

// === impl Unit ===

impl<T> Unit<T> {
    /// Whether its thing was made so long ago. Each unit finds so up to a tenth earlier than told, so that
    /// what was made at one time does not end at one time.
    pub fn is_older_than(&self, lifetime: Duration, now: Instant) -> bool {
        self.made.is_older_than(lifetime, now)
    }

    /// Another thing is made in the place of the one that was: its age is counted from now on.
    pub fn renew(&mut self, now: Instant) {
        self.made.born = now;
    }

    /// It goes on with its thing.
    fn keep(mut self) {
        self.allotment = None;
    }
}

impl<T> Drop for Unit<T> {
    fn drop(&mut self) {
        if let Some(allotment) = self.allotment.take() {
            allotment.step(|state, _effects| state.release(self.id, self.is_ending));
        }
    }
}

impl<T> fmt::Debug for Unit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unit").field("made", &self.made).field("is_ending", &self.is_ending).finish()
    }
}

// === impl Waiting ===

impl<T> Future for Waiting<T> {
    type Output = Granted<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (id, ticket) = (self.id, self.ticket.expect("polled after its outcome"));
        let Some(grant) = self.allotment.step(|state, effects| state.answer(id, ticket, cx.waker(), effects))
        else {
            return Poll::Pending;
        };
        self.ticket = None;
        let unit = |made| Unit { allotment: Some(self.allotment.clone()), id, made, is_ending: false };
        Poll::Ready(match grant {
            Grant::Room(made) => Granted::Room(unit(made)),
            Grant::Thing(thing, made) => Granted::Thing(Lent { thing, unit: unit(made), idle_since: None }),
        })
    }
}

impl<T> Drop for Waiting<T> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.allotment.step(|state, effects| state.leave(self.id, ticket, effects));
        }
    }
}

impl<T> fmt::Debug for Waiting<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}
