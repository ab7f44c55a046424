//! Who is connected to management: bounded, and nobody keeps a newcomer out by doing nothing.
//!
//! Invariants: no more than [`Crowd::MOST`] are in; who has asked something that is not answered yet is
//! never sent away; of the others, the one that has done nothing for longest goes first.
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Of [`Seat::since`]: something was asked and not answered yet.
const BUSY: u64 = 0;

/// The connections there are.
#[derive(Debug)]
pub(crate) struct Crowd {
    seats: Mutex<Seats>,
    /// Somebody has left, or has stayed after all, or has nothing to do any more.
    moved: Notify,
    /// Counts moments, so that one can tell which was first.
    moments: AtomicU64,
    most: usize,
}

#[derive(Debug, Default)]
struct Seats {
    taken: BTreeMap<u64, Arc<Seat>>,
    last: u64,
}

/// One connection, as the crowd sees it. It is out when its [`Place`] is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    crowd: Arc<Crowd>,
    number: u64,
    /// The moment since which it has had nothing to do, or [`BUSY`].
    since: AtomicU64,
    leave: Notify,
}

/// The right to be connected, given back on drop.
#[derive(Debug)]
pub(crate) struct Place {
    seat: Arc<Seat>,
}

// === impl Crowd ===

impl Crowd {
    /// The most connections at once.
    pub(crate) const MOST: usize = 256;

    pub(crate) fn new(most: usize) -> Arc<Self> {
        let (seats, moments) = (Mutex::default(), AtomicU64::new(BUSY + 1));
        Arc::new(Self { seats, moved: Notify::new(), moments, most })
    }

    /// A place for a newcomer. Where there is none, who has done nothing for longest is asked to leave.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes no place; somebody may have been asked to leave in vain.
    pub(crate) async fn enter(self: &Arc<Self>) -> Place {
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            // From here on: who moves before it is awaited counts.
            moved.as_mut().enable();
            if let Some(place) = self.take() {
                return place;
            }
            if let Some(seat) = self.idlest() {
                seat.leave.notify_one();
            }
            moved.await;
        }
    }

    fn take(self: &Arc<Self>) -> Option<Place> {
        let since = AtomicU64::new(self.moment());
        let mut seats = self.seats();
        if self.most <= seats.taken.len() {
            return None;
        }
        seats.last += 1;
        let number = seats.last;
        let seat = Arc::new(Seat { crowd: self.clone(), number, since, leave: Notify::new() });
        seats.taken.insert(number, seat.clone());
        Some(Place { seat })
    }

    fn idlest(&self) -> Option<Arc<Seat>> {
        let seats = self.seats();
        let idle = seats.taken.values().filter(|seat| seat.since.load(Ordering::Relaxed) != BUSY);
        idle.min_by_key(|seat| seat.since.load(Ordering::Relaxed)).cloned()
    }

    fn moment(&self) -> u64 {
        self.moments.fetch_add(1, Ordering::Relaxed)
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Seat ===

impl Seat {
    /// Something was asked, wholly.
    pub(crate) fn begin(&self) {
        self.since.store(BUSY, Ordering::Relaxed);
    }

    /// It is answered.
    pub(crate) fn end(&self) {
        self.since.store(self.crowd.moment(), Ordering::Relaxed);
        self.crowd.moved.notify_waiters();
    }

    /// Resolves when it was asked to leave.
    pub(crate) async fn asked_to_leave(&self) {
        self.leave.notified().await;
    }

    /// Whether it may stay although it was asked to leave: it has been given something to do since.
    pub(crate) fn stays(&self) -> bool {
        let stays = self.since.load(Ordering::Relaxed) == BUSY;
        if stays {
            self.crowd.moved.notify_waiters();
        }
        stays
    }
}

// === impl Place ===

impl Place {
    /// Its seat.
    pub(crate) fn seat(&self) -> &Arc<Seat> {
        &self.seat
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let crowd = &self.seat.crowd;
        let gone = crowd.seats().taken.remove(&self.seat.number);
        crowd.moved.notify_waiters();
        drop(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_test::{assert_pending, assert_ready, task};

    #[test]
    fn who_has_done_nothing_for_longest_goes_and_who_works_stays() {
        let crowd = Crowd::new(3);
        let places: Vec<_> = (0..3).map(|_| crowd.take().expect("room")).collect();
        places[0].seat().begin();
        places[1].seat().begin();
        places[1].seat().end();
        let mut newcomer = task::spawn(crowd.enter());
        assert_pending!(newcomer.poll());
        let mut told: Vec<_> =
            places.iter().map(|place| task::spawn(place.seat().asked_to_leave())).collect();
        assert_pending!(told[0].poll());
        assert_pending!(told[1].poll());
        assert_ready!(told[2].poll());
        drop(told);
        let mut places = places;
        drop(places.pop());
        assert!(newcomer.is_woken());
        let _place = assert_ready!(newcomer.poll());
    }

    #[test]
    fn a_newcomer_waits_while_all_work_and_asks_again_when_one_has_done() {
        let crowd = Crowd::new(1);
        let place = crowd.take().expect("room");
        place.seat().begin();
        let mut newcomer = task::spawn(crowd.enter());
        assert_pending!(newcomer.poll());
        let mut told = task::spawn(place.seat().asked_to_leave());
        assert_pending!(told.poll());
        place.seat().end();
        assert!(newcomer.is_woken());
        assert_pending!(newcomer.poll());
        assert_ready!(told.poll());
        drop(told);
        // Asked to leave, and given something to do in the same moment: it stays, and another is asked.
        place.seat().begin();
        assert!(place.seat().stays());
        assert!(newcomer.is_woken());
        assert_pending!(newcomer.poll());
        drop(place);
        assert_ready!(newcomer.poll());
    }
}
