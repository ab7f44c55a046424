//! Requests that may be sent again, each in one state, all under one lock.
//!
//! Nothing here waits, wakes or reads a clock; what a step gives up is collected and dropped by the
//! caller once the lock is released. A place (key and id) names one flight in one owner's hands: a
//! flight that changes hands gets a new id, so that an owner of the past can do no harm.
//!
//! 1. An outcome is handed out at most once.
//! 2. What nobody attends has a deadline, and is in the queue of its state: queues are the ledger.
//! 3. `detached <= DETACHED_MAX`, `kept <= KEPT_MAX`, `written <= WRITTEN_MAX`, `lost <= LOST_MAX`, and
//!    the replies of `kept` and `written` are `bytes <= REPLY_BYTES_MAX` together. The oldest goes first.
//! 4. After the close nothing is detached, kept, written or lost.
use super::key::{AsItIs, Key};
use bytes::Bytes;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::hash::BuildHasherDefault;
use std::mem;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long a request or its reply waits for a resend after its peer left. Clients send again at
/// once or after half a second; the rest is for a connection that takes several attempts.
pub(super) const WINDOW: Duration = Duration::from_secs(5);

/// How long it is remembered that a transaction was lost: as long as clients send again.
pub(super) const LOST_WINDOW: Duration = Duration::from_secs(30);

/// What took less was not given up by its client: half of the shortest patience that clients have.
pub(super) const SLOW: Duration = Duration::from_millis(250);

/// The most requests in flight whose peers have left.
pub(super) const DETACHED_MAX: usize = 256;

/// The most outcomes whose peers have left.
pub(super) const KEPT_MAX: usize = 256;

/// The most replies written of which it is not known yet whether they were read.
pub(super) const WRITTEN_MAX: usize = 4096;

/// The most transactions remembered as lost.
pub(super) const LOST_MAX: usize = 4096;

/// The most bytes of all replies kept.
pub(super) const REPLY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a request came to: its reply, packed, and the session it left.
#[derive(Debug)]
pub(crate) struct Outcome<S> {
    pub(crate) reply: Bytes,
    pub(crate) session: S,
    /// Whether the session holds a transaction.
    pub(crate) in_transaction: bool,
}

/// How much waits for a resend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Requests in flight whose peers have left.
    pub(crate) detached: usize,
    /// Outcomes whose peers left before they had the reply.
    pub(crate) kept: usize,
}

/// Names one flight in one owner's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    key: Key,
    id: u64,
    since: Instant,
}

/// An outcome, and the flight that its new owner has in hand.
pub(super) type Answer<S> = (Place, Outcome<S>);

/// An outcome, and to whom it is to be handed where no lock is held.
pub(super) type Handover<S> = (oneshot::Sender<Answer<S>>, Answer<S>);

/// What there is for the first request of a connection.
#[derive(Debug)]
pub(super) enum Found<S> {
    /// Nothing: it is to run.
    Nothing(Place),
    /// One like it has been in flight for long, of a peer that may be about to leave.
    Unclear,
    /// One like it is in flight, and its outcome will come here.
    InFlight(Place, oneshot::Receiver<Answer<S>>),
    /// One like it has finished.
    Finished(Place, Outcome<S>),
    /// One like it was part of a transaction, which is lost.
    Lost,
}

/// All requests that may be sent again.
#[derive(Debug)]
pub(super) struct Table<S> {
    flights: HashMap<Key, Vec<Flight<S>>, BuildHasherDefault<AsItIs>>,
    queues: [BTreeSet<(Instant, u64, Key)>; 4],
    bytes: usize,
    ids: u64,
    closed: bool,
    given_up: Vec<State<S>>,
}

#[derive(Debug)]
struct Flight<S> {
    id: u64,
    /// When the request came first.
    since: Instant,
    /// Whether it came in a transaction.
    in_transaction: bool,
    /// When it is given up; `None` while a peer attends it.
    until: Option<Instant>,
    state: State<S>,
}

#[derive(Debug)]
pub(super) enum State<S> {
    /// In flight, its peer connected.
    Attended,
    /// In flight, its peer gone. Dropping the sender interrupts it.
    Detached(oneshot::Sender<Infallible>),
    /// In flight, a resend's peer waiting for the outcome.
    Joined(oneshot::Sender<Infallible>, oneshot::Sender<Answer<S>>),
    /// Its reply written, its peer connected: whether that reads the reply is to be seen.
    Written(Bytes),
    /// Finished, its peer gone before it had the reply.
    Kept(Box<Outcome<S>>),
    /// Given up, and a transaction with it.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queue {
    Detached,
    Written,
    Kept,
    Lost,
}

// === impl Table ===

impl<S> Default for Table<S> {
    fn default() -> Self {
        Self {
            flights: HashMap::default(),
            queues: Default::default(),
            bytes: 0,
            ids: 0,
            closed: false,
            given_up: Vec::new(),
        }
    }
}

impl<S> Table<S> {
    /// A request begins, of a peer that is connected.
    pub(super) fn begin(&mut self, key: Key, now: Instant, in_transaction: bool) -> Place {
        let id = self.new_id();
        self.insert(key, Flight { id, since: now, in_transaction, until: None, state: State::Attended })
    }

    /// The first request of a connection looks for one like it that a peer left behind.
    ///
    /// Where several were left behind, of clients that cannot be told apart, it gets the first;
    /// but none that came in a transaction, for that may be another's.
    pub(super) fn claim(&mut self, key: Key, now: Instant, may_wait: bool) -> Found<S> {
        self.give_up_ambiguous(key, now);
        let flights = self.flights.get(&key).map_or(&[][..], Vec::as_slice);
        let orphans = flights.iter().filter(|flight| flight.state.is_orphan());
        // What is lost is told first: to run it, or to answer it with another's reply, would be worse.
        let first = orphans.min_by_key(|flight| (!matches!(flight.state, State::Lost), flight.until));
        let Some(id) = first.map(|flight| flight.id) else {
            if may_wait && flights.iter().any(|flight| is_slow(flight.since, now)) {
                return Found::Unclear;
            }
            return Found::Nothing(self.begin(key, now, false));
        };
        let mut flight = self.remove(key, id).expect("it was found above");
        flight.until = None;
        match flight.state {
            State::Detached(interrupt) => {
                let (send, receive) = oneshot::channel();
                flight.state = State::Joined(interrupt, send);
                Found::InFlight(self.insert(key, flight), receive)
            }
            State::Kept(outcome) => {
                let flight = Flight { id: self.new_id(), state: State::Attended, ..flight };
                Found::Finished(self.insert(key, flight), *outcome)
            }
            State::Lost => Found::Lost,
            State::Attended | State::Joined(..) | State::Written(_) => unreachable!("no orphans"),
        }
    }

    /// The peer of a request in flight has left. Returns what resolves when the request is to be
    /// interrupted after all, or `None` when that is now.
    pub(super) fn detach(&mut self, place: Place, now: Instant) -> Option<oneshot::Receiver<Infallible>> {
        let flight = self.remove(place.key, place.id)?;
        let (interrupt, interrupted) = oneshot::channel();
        self.leave(place.key, Flight { state: State::Detached(interrupt), ..flight }, now)
            .then_some(interrupted)
    }

    /// A peer that waits for the outcome of a request it joined has left. Returns whether it still
    /// waited: otherwise the outcome is on its way to it.
    pub(super) fn part(&mut self, place: Place, now: Instant) -> bool {
        let Some(flight) = self.remove(place.key, place.id) else { return false };
        let State::Joined(interrupt, _nobody_receives) = flight.state else {
            unreachable!("only who joined parts")
        };
        self.leave(place.key, Flight { state: State::Detached(interrupt), ..flight }, now);
        true
    }

    /// A request whose reply was not delivered has finished. Returns to whom the outcome is to be
    /// handed, if to anybody; otherwise it is kept.
    pub(super) fn finish(&mut self, place: Place, outcome: Outcome<S>, now: Instant) -> Option<Handover<S>> {
        let Some(flight) = self.remove(place.key, place.id) else {
            self.given_up.push(State::Kept(Box::new(outcome)));
            return None;
        };
        let until = match flight.state {
            State::Joined(interrupt, to) => {
                self.given_up.push(State::Detached(interrupt));
                let flight = Flight { id: self.new_id(), state: State::Attended, ..flight };
                return Some((to, (self.insert(place.key, flight), outcome)));
            }
            State::Detached(interrupt) => {
                self.given_up.push(State::Detached(interrupt));
                flight.until
            }
            State::Attended => Some(now + WINDOW),
            State::Written(_) | State::Kept(_) | State::Lost => unreachable!("it was in flight"),
        };
        let flight = Flight { until, state: State::Kept(Box::new(outcome)), ..flight };
        self.keep(place.key, flight, now);
        None
    }

    /// A reply was written. Returns whether it is to be seen if the peer reads it.
    pub(super) fn written(&mut self, place: Place, reply: Bytes, now: Instant) -> bool {
        let Some(flight) = self.remove(place.key, place.id) else { return false };
        let seen = !self.closed && place.is_slow(now) && reply.len() <= REPLY_BYTES_MAX;
        if seen {
            let state = State::Written(reply);
            self.insert(place.key, Flight { until: Some(now + WINDOW), state, ..flight });
            self.trim(now);
        }
        seen
    }

    /// A peer has not read the reply that was written: it is kept, with the session.
    pub(super) fn unread(&mut self, place: Place, session: S, in_transaction: bool, now: Instant) {
        let outcome = |reply| Outcome { reply, session, in_transaction };
        let Some(flight) = self.remove(place.key, place.id) else {
            return self.given_up.push(State::Kept(Box::new(outcome(Bytes::new()))));
        };
        let State::Written(reply) = flight.state else { unreachable!("its reply was written") };
        let flight =
            Flight { until: Some(now + WINDOW), state: State::Kept(Box::new(outcome(reply))), ..flight };
        self.keep(place.key, flight, now);
    }

    /// Gives up a flight whose peer was ended; if it came in a transaction, its resend must learn so.
    pub(super) fn lose(&mut self, place: Place, now: Instant) {
        let Some(flight) = self.remove(place.key, place.id) else { return };
        let (interrupt, _nobody_waits) = oneshot::channel();
        self.give_up(place.key, Flight { state: State::Detached(interrupt), ..flight }, now);
    }

    /// Forgets a flight: its peer has the reply, or nobody will ask for it.
    pub(super) fn forget(&mut self, place: Place) {
        if let Some(flight) = self.remove(place.key, place.id) {
            self.given_up.extend(Some(flight.state).filter(|state| !matches!(state, State::Attended)));
        }
    }

    /// Gives up what nobody asked for in time.
    pub(super) fn expire(&mut self, now: Instant) {
        for queue in Queue::ALL {
            while self.queue(queue).first().is_some_and(|(until, ..)| *until <= now) {
                self.give_up_oldest(queue, now);
            }
        }
    }

    /// When the next of them is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.queues.iter().filter_map(|queue| queue.first()).map(|(until, ..)| *until).min()
    }

    /// Gives up everything that nobody attends, now and from now on.
    pub(super) fn close(&mut self) {
        self.closed = true;
        for queue in Queue::ALL {
            while let Some(&(_, id, key)) = self.queue(queue).first() {
                let flight = self.remove(key, id).expect("queues are the ledger");
                self.given_up.push(flight.state);
            }
        }
    }

    /// What waits for a resend.
    pub(super) fn waiting(&self) -> Waiting {
        let [detached, kept] = [Queue::Detached, Queue::Kept].map(|queue| self.queue(queue).len());
        Waiting { detached, kept }
    }

    /// What was given up since the last call, to be dropped where no lock is held.
    pub(super) fn given_up(&mut self) -> Vec<State<S>> {
        mem::take(&mut self.given_up)
    }

    fn new_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    fn queue(&self, queue: Queue) -> &BTreeSet<(Instant, u64, Key)> {
        &self.queues[queue as usize]
    }

    fn insert(&mut self, key: Key, flight: Flight<S>) -> Place {
        let (id, since) = (flight.id, flight.since);
        let queue = flight.state.queue();
        debug_assert_eq!(flight.until.is_some(), queue.is_some(), "what nobody attends has a deadline");
        if let (Some(until), Some(queue)) = (flight.until, queue) {
            self.queues[queue as usize].insert((until, id, key));
        }
        self.bytes += flight.state.bytes();
        self.flights.entry(key).or_default().push(flight);
        Place { key, id, since }
    }

    fn remove(&mut self, key: Key, id: u64) -> Option<Flight<S>> {
        let Entry::Occupied(mut same) = self.flights.entry(key) else { return None };
        let index = same.get().iter().position(|flight| flight.id == id)?;
        let flight = same.get_mut().swap_remove(index);
        if same.get().is_empty() {
            same.remove();
        }
        if let (Some(until), Some(queue)) = (flight.until, flight.state.queue()) {
            self.queues[queue as usize].remove(&(until, id, key));
        }
        self.bytes -= flight.state.bytes();
        Some(flight)
    }

    /// A request in flight waits for a resend, if there is room. Returns whether.
    fn leave(&mut self, key: Key, flight: Flight<S>, now: Instant) -> bool {
        let room = !self.closed && self.queue(Queue::Detached).len() < DETACHED_MAX;
        if room {
            self.insert(key, Flight { until: Some(now + WINDOW), ..flight });
        } else {
            self.give_up(key, flight, now);
        }
        room
    }

    /// An outcome waits for a resend. It may be dropped at once, for want of room.
    fn keep(&mut self, key: Key, flight: Flight<S>, now: Instant) {
        let flight = Flight { id: self.new_id(), ..flight };
        if self.closed || REPLY_BYTES_MAX < flight.state.bytes() {
            return self.give_up(key, flight, now);
        }
        self.insert(key, flight);
        self.trim(now);
    }

    /// Keeps the bounds: the oldest goes first.
    fn trim(&mut self, now: Instant) {
        for queue in [Queue::Kept, Queue::Written] {
            while queue.most() < self.queue(queue).len() {
                self.give_up_oldest(queue, now);
            }
        }
        while REPLY_BYTES_MAX < self.bytes {
            let oldest =
                [Queue::Kept, Queue::Written].into_iter().filter(|&queue| !self.queue(queue).is_empty());
            let oldest = oldest.min_by_key(|&queue| self.queue(queue).first().copied());
            self.give_up_oldest(oldest.expect("replies have bytes"), now);
        }
    }

    fn give_up_oldest(&mut self, queue: Queue, now: Instant) {
        let &(_, id, key) = self.queue(queue).first().expect("the caller looked");
        let flight = self.remove(key, id).expect("queues are the ledger");
        self.give_up(key, flight, now);
    }

    /// Gives up a flight; if a transaction goes with it, its resend must learn so rather than run.
    fn give_up(&mut self, key: Key, flight: Flight<S>, now: Instant) {
        let loses = match &flight.state {
            State::Detached(_) => true,
            State::Kept(outcome) => outcome.in_transaction,
            _ => false,
        };
        if loses && flight.in_transaction && !self.closed {
            if LOST_MAX <= self.queue(Queue::Lost).len() {
                self.give_up_oldest(Queue::Lost, now);
            }
            let (id, until) = (self.new_id(), Some(now + LOST_WINDOW));
            let Flight { since, in_transaction, .. } = flight;
            self.insert(key, Flight { id, since, in_transaction, until, state: State::Lost });
        }
        self.given_up.push(flight.state);
    }

    fn give_up_ambiguous(&mut self, key: Key, now: Instant) {
        let Some(flights) = self.flights.get(&key) else { return };
        let orphans = flights.iter().filter(|flight| flight.state.is_orphan());
        let orphans = orphans.filter(|flight| !matches!(flight.state, State::Lost));
        let (in_transaction, others): (Vec<_>, Vec<_>) = orphans.partition(|flight| flight.in_transaction);
        if in_transaction.len() + others.len() < 2 {
            return;
        }
        let ids: Vec<_> = in_transaction.iter().map(|flight| flight.id).collect();
        for id in ids {
            let flight = self.remove(key, id).expect("it was found above");
            self.give_up(key, flight, now);
        }
    }
}

/// Whether what came `since` then may have been given up by its client.
fn is_slow(since: Instant, now: Instant) -> bool {
    SLOW <= now.saturating_duration_since(since)
}

// === impl Place ===

impl Place {
    /// Whether the request may have been given up by its client.
    pub(super) fn is_slow(&self, now: Instant) -> bool {
        is_slow(self.since, now)
    }
}

// === impl State ===

impl<S> State<S> {
    /// Whether its peer has left and no other has come.
    fn is_orphan(&self) -> bool {
        matches!(self, Self::Detached(_) | Self::Kept(_) | Self::Lost)
    }

    fn queue(&self) -> Option<Queue> {
        match self {
            Self::Attended | Self::Joined(..) => None,
            Self::Detached(_) => Some(Queue::Detached),
            Self::Written(_) => Some(Queue::Written),
            Self::Kept(_) => Some(Queue::Kept),
            Self::Lost => Some(Queue::Lost),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Written(reply) => reply.len(),
            Self::Kept(outcome) => outcome.reply.len(),
            _ => 0,
        }
    }
}

// === impl Queue ===

impl Queue {
    const ALL: [Self; 4] = [Self::Detached, Self::Written, Self::Kept, Self::Lost];

    fn most(self) -> usize {
        match self {
            Self::Detached => DETACHED_MAX,
            Self::Written => WRITTEN_MAX,
            Self::Kept => KEPT_MAX,
            Self::Lost => LOST_MAX,
        }
    }
}

#[cfg(test)]
mod tests;
