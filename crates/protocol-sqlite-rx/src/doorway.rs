//! Connections whose peer has not been let in yet.
//!
//! Invariants: there are never more than the limit; a newcomer always gets a place, for which the oldest
//! of the address with the most of them is sent away. So those who connect and then say nothing take
//! nobody's place but each other's, and none of a client's. With IPv6, an address is its network (/64):
//! who has one has all of it.
use rowhouse_sync::{Limiter, Permit};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

/// The places for those who have not been let in yet.
#[derive(Clone, Debug)]
pub(crate) struct Doorway {
    places: Limiter,
    waiting: Arc<Mutex<Waiting>>,
}

/// One connection whose peer has not been let in yet; its place is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Guest {
    doorway: Doorway,
    host: Host,
    number: u64,
    sent_away: CancellationToken,
    _place: Permit,
}

/// An address, as far as it tells one from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Host {
    Address([u8; 4]),
    Network([u8; 8]),
}

/// By address, in the order of arrival: those who were not sent away.
#[derive(Debug, Default)]
struct Waiting {
    hosts: HashMap<Host, BTreeMap<u64, CancellationToken>>,
    arrived: u64,
}

// === impl Doorway ===

impl Doorway {
    pub(crate) fn new(limit: NonZeroU32) -> Self {
        // One waits at most: who accepts.
        Self { places: Limiter::new(limit, 1), waiting: Arc::default() }
    }

    /// Takes a place, for which somebody may have to leave; `true` if so.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes no place; somebody may have been sent away in vain.
    pub(crate) async fn enter(&self, host: IpAddr) -> (Guest, bool) {
        let (place, crowded) = match self.places.try_acquire() {
            Some(place) => (place, false),
            None => {
                self.lock().send_away_oldest();
                (self.places.acquire().await.expect("one waits at most, and nobody closes it"), true)
            }
        };
        let sent_away = CancellationToken::new();
        let host = Host::of(host);
        let number = self.lock().arrive(host, sent_away.clone());
        (Guest { doorway: self.clone(), host, number, sent_away, _place: place }, crowded)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("never panics while locked")
    }
}

// === impl Guest ===

impl Guest {
    /// Waits until this one has to leave.
    pub(crate) async fn sent_away(&self) {
        self.sent_away.cancelled().await;
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.doorway.lock().leave(self.host, self.number);
    }
}

// === impl Host ===

impl Host {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::Address(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::Network([a, b, c, d, e, f, g, h])
            }
        }
    }
}

// === impl Waiting ===

impl Waiting {
    fn arrive(&mut self, host: Host, sent_away: CancellationToken) -> u64 {
        self.arrived += 1;
        self.hosts.entry(host).or_default().insert(self.arrived, sent_away);
        self.arrived
    }

    fn leave(&mut self, host: Host, number: u64) {
        if let Some(guests) = self.hosts.get_mut(&host) {
            guests.remove(&number);
            if guests.is_empty() {
                self.hosts.remove(&host);
            }
        }
    }

    fn send_away_oldest(&mut self) {
        // Of addresses with as many, the one with the oldest.
        let rank = |guests: &BTreeMap<u64, _>| (guests.len(), Reverse(guests.keys().next().copied()));
        let crowd = self.hosts.iter_mut().max_by_key(|(_, guests)| rank(guests));
        // Those sent away before may not have left yet, and be all there are.
        let Some((&host, guests)) = crowd else { return };
        let Some((number, sent_away)) = guests.pop_first() else { return };
        sent_away.cancel();
        self.leave(host, number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Poll;

    fn doorway(limit: u32) -> Doorway {
        Doorway::new(NonZeroU32::new(limit).expect("positive"))
    }

    fn host(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    fn must_leave(guest: &Guest) -> bool {
        guest.sent_away.is_cancelled()
    }

    #[tokio::test]
    async fn nobody_leaves_while_there_is_room() {
        let doorway = doorway(2);
        let (one, crowded) = doorway.enter(host(1)).await;
        assert!(!crowded);
        let (other, crowded) = doorway.enter(host(1)).await;
        assert!(!crowded && !must_leave(&one) && !must_leave(&other));
    }

    #[tokio::test]
    async fn the_oldest_leaves_for_a_newcomer_who_waits_until_it_has_left() {
        let doorway = doorway(2);
        let (oldest, _) = doorway.enter(host(1)).await;
        let (newer, _) = doorway.enter(host(1)).await;
        let mut entering = Box::pin(doorway.enter(host(1)));
        assert!(futures::poll!(&mut entering).is_pending());
        assert!(must_leave(&oldest) && !must_leave(&newer));
        drop(oldest);
        let Poll::Ready((newest, crowded)) = futures::poll!(&mut entering) else { panic!("there is room") };
        assert!(crowded && !must_leave(&newest) && !must_leave(&newer));
    }

    #[tokio::test]
    async fn a_crowd_from_one_address_takes_no_place_of_another() {
        let doorway = doorway(3);
        let (alone, _) = doorway.enter(host(1)).await;
        let (mut crowd, _) = doorway.enter(host(2)).await;
        let (mut second, _) = doorway.enter(host(2)).await;
        for _ in 0..100 {
            let mut entering = Box::pin(doorway.enter(host(2)));
            assert!(futures::poll!(&mut entering).is_pending());
            assert!(must_leave(&crowd) && !must_leave(&alone));
            drop(crowd);
            let (guest, _) = entering.await;
            crowd = second;
            second = guest;
        }
    }

    #[tokio::test]
    async fn of_many_addresses_the_oldest_leaves_and_a_network_is_one() {
        let doorway = doorway(3);
        let (oldest, _) = doorway.enter(host(1)).await;
        let (newer, _) = doorway.enter(host(2)).await;
        let (_newest, _) = doorway.enter(host(3)).await;
        assert!(futures::poll!(Box::pin(doorway.enter(host(4)))).is_pending());
        assert!(must_leave(&oldest) && !must_leave(&newer));
        let v6 = |text: &str| Host::of(text.parse().expect("an address"));
        assert_eq!(v6("2001:db8:0:1::1"), v6("2001:db8:0:1:ffff::2"));
        assert_ne!(v6("2001:db8:0:1::1"), v6("2001:db8:0:2::1"));
        assert_eq!(v6("::ffff:10.0.0.1"), Host::of(host(1)));
    }

    #[tokio::test]
    async fn places_and_addresses_are_given_back() {
        let doorway = doorway(2);
        for number in 0..100 {
            let (_guest, crowded) = doorway.enter(host(number)).await;
            assert!(!crowded);
        }
        assert!(doorway.lock().hosts.is_empty());
    }
}
