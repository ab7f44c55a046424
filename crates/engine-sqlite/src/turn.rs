//! The turn to write: one at a time, first come, first served. Whoever has it may serve those that
//! wait right behind it.
//!
//! Invariants, under one lock: somebody waits only while the turn is taken; nobody overtakes; who
//! is served leaves the queue in the same step.
use rowhouse_sync::Refused;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// The turn to write to one database. `G` is what a waiting guest wants done.
#[derive(Debug)]
pub(crate) struct Turns<G>(Arc<Mutex<State<G>>>);

/// The turn, passed on when dropped.
#[derive(Debug)]
pub(crate) struct Turn<G>(Option<Arc<Mutex<State<G>>>>);

/// A place in the queue, left when dropped.
#[derive(Debug)]
pub(crate) struct Queued<G> {
    turns: Arc<Mutex<State<G>>>,
    ticket: u64,
    granted: oneshot::Receiver<Granted<G>>,
}

/// How one who asks for the turn is met.
#[derive(Debug)]
pub(crate) enum Asked<G> {
    /// It is free.
    Now(Granted<G>),
    Later(Queued<G>),
}

/// The turn, and what its holder brought when it asked.
#[derive(Debug)]
pub(crate) struct Granted<G> {
    pub(crate) turn: Turn<G>,
    pub(crate) guest: Option<G>,
}

/// The guest was taken by who had the turn, and is served by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken;

#[derive(Debug)]
struct State<G> {
    taken: bool,
    closed: bool,
    queue_max: usize,
    next_ticket: u64,
    queue: BTreeMap<u64, Waiter<G>>,
}

#[derive(Debug)]
struct Waiter<G> {
    /// What it wants done, if another may do it.
    guest: Option<G>,
    granted: oneshot::Sender<Granted<G>>,
}

// === impl Turns ===

impl<G> Turns<G> {
    /// A turn that is free, for which up to `queue_max` may wait.
    pub(crate) fn new(queue_max: u32) -> Self {
        let queue_max = usize::try_from(queue_max).unwrap_or(usize::MAX);
        let state = State { taken: false, closed: false, queue_max, next_ticket: 0, queue: BTreeMap::new() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Takes the turn if it is free, or else a place behind all who wait. Who brings a guest may
    /// be served by another instead of getting the turn.
    pub(crate) fn ask(&self, guest: Option<G>) -> Result<Asked<G>, Refused> {
        let mut state = lock(&self.0);
        if state.closed {
            return Err(Refused::Closed);
        }
        if !state.taken {
            state.taken = true;
            return Ok(Asked::Now(Granted { turn: Turn(Some(self.0.clone())), guest }));
        }
        if state.queue_max <= state.queue.len() {
            return Err(Refused::QueueFull);
        }
        let (grant, granted) = oneshot::channel();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.queue.insert(ticket, Waiter { guest, granted: grant });
        Ok(Asked::Later(Queued { turns: self.0.clone(), ticket, granted }))
    }

    /// Takes the turn if it is free.
    pub(crate) fn take_free(&self) -> Option<Turn<G>> {
        let mut state = lock(&self.0);
        if state.closed || state.taken {
            return None;
        }
        state.taken = true;
        Some(Turn(Some(self.0.clone())))
    }

    /// Whether somebody waits to be served.
    pub(crate) fn has_guests(&self) -> bool {
        lock(&self.0).queue.first_key_value().is_some_and(|(_, waiting)| waiting.guest.is_some())
    }

    /// Nobody may ask any more; who waits still gets it.
    pub(crate) fn close(&self) {
        lock(&self.0).closed = true;
    }
}

// === impl Turn ===

impl<G> Turn<G> {
    /// Takes whoever is next in the queue, if it may be served and `fits`.
    pub(crate) fn next_guest(&self, fits: impl FnOnce(&G) -> bool) -> Option<G> {
        let mut state = lock(self.0.as_ref()?);
        let first = state.queue.first_entry()?;
        if !first.get().guest.as_ref().is_some_and(fits) {
            return None;
        }
        first.remove().guest
    }
}

impl<G> Drop for Turn<G> {
    fn drop(&mut self) {
        let Some(turns) = self.0.take() else { return };
        loop {
            let mut state = lock(&turns);
            let Some((_, waiting)) = state.queue.pop_first() else {
                state.taken = false;
                return;
            };
            drop(state);
            let turn = Self(Some(turns.clone()));
            match waiting.granted.send(Granted { turn, guest: waiting.guest }) {
                Ok(()) => return,
                // It has just left: the turn comes back, and is not to be passed on twice.
                Err(mut back) => back.turn.0 = None,
            }
        }
    }
}

// === impl Queued ===

impl<G> Queued<G> {
    /// Leaves the queue. False if it has been granted the turn, or was taken, meanwhile.
    pub(crate) fn leave(&self) -> bool {
        let left = lock(&self.turns).queue.remove(&self.ticket);
        left.is_some()
    }
}

impl<G> Future for Queued<G> {
    type Output = Result<Granted<G>, Taken>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.granted).poll(cx).map(|granted| granted.map_err(|_gone| Taken))
    }
}

impl<G> Drop for Queued<G> {
    fn drop(&mut self) {
        self.leave();
    }
}

fn lock<G>(turns: &Mutex<State<G>>) -> MutexGuard<'_, State<G>> {
    // Every step leaves the state whole, and drops nothing of a caller's.
    turns.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn now(asked: Result<Asked<u32>, Refused>) -> Granted<u32> {
        match asked {
            Ok(Asked::Now(granted)) => granted,
            other => panic!("{other:?}"),
        }
    }

    fn later(asked: Result<Asked<u32>, Refused>) -> Queued<u32> {
        match asked {
            Ok(Asked::Later(place)) => place,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_turn_goes_round_in_order_of_asking() {
        let turns = Turns::new(9);
        let first = now(turns.ask(Some(1)));
        assert_eq!(first.guest, Some(1));
        let (mut second, mut third) = (later(turns.ask(Some(2))), later(turns.ask(None)));
        drop(first);
        assert!((&mut third).now_or_never().is_none());
        let second = (&mut second).now_or_never().unwrap().unwrap();
        assert_eq!(second.guest, Some(2));
        drop(second);
        let third = third.now_or_never().unwrap().unwrap();
        assert_eq!(third.guest, None);
        drop(third);
        now(turns.ask(None));
    }

    #[test]
    fn guests_are_taken_from_the_front_only() {
        let turns = Turns::new(9);
        let leader = now(turns.ask(None));
        let (guest, _lone, behind) =
            (later(turns.ask(Some(1))), later(turns.ask(None)), later(turns.ask(Some(2))));
        assert!(turns.has_guests());
        assert_eq!(leader.turn.next_guest(|_| false), None);
        assert_eq!(leader.turn.next_guest(|_| true), Some(1));
        assert!(matches!(guest.now_or_never(), Some(Err(Taken))));
        assert!(!turns.has_guests());
        assert_eq!(leader.turn.next_guest(|_| true), None, "it waits behind one that wants the turn itself");
        assert!(behind.leave());
    }

    #[test]
    fn who_leaves_is_passed_over() {
        let turns = Turns::new(9);
        let leader = now(turns.ask(None));
        let (gone, stays) = (later(turns.ask(Some(1))), later(turns.ask(Some(2))));
        assert!(gone.leave());
        assert!(!gone.leave());
        drop(gone);
        drop(leader);
        assert_eq!(stays.now_or_never().unwrap().unwrap().guest, Some(2));
        assert!(matches!(turns.ask(None), Ok(Asked::Now(_))), "a turn nobody took was passed on");
    }

    #[test]
    fn a_turn_granted_to_one_who_leaves_at_that_moment_comes_free() {
        let turns = Turns::new(9);
        let leader = now(turns.ask(None));
        let granted = later(turns.ask(None));
        let behind = later(turns.ask(None));
        drop(leader);
        assert!(!granted.leave());
        drop(granted);
        assert!(behind.now_or_never().unwrap().is_ok());
    }

    #[test]
    fn a_full_queue_and_a_closed_one_refuse() {
        let turns = Turns::new(1);
        let leader = now(turns.ask(None));
        let waits = later(turns.ask(None));
        assert!(matches!(turns.ask(None), Err(Refused::QueueFull)));
        turns.close();
        assert!(matches!(turns.ask(None), Err(Refused::Closed)));
        drop(leader);
        assert!(waits.now_or_never().unwrap().is_ok());
    }
}
