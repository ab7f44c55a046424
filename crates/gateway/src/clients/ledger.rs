//! The one ledger of client connections; its invariants are named in the module's head.
use super::change::{Change, ChangeError};
use super::host::Host;
use super::seat::Seat;
use super::strangers::Strangers;
use rowhouse_sync::{Limiter, LimiterStatus, Permit};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// A stranger may hold one permit in so many.
const STRANGERS_DIVISOR: u32 = 4;

/// The one ledger of client connections.
#[derive(Debug)]
pub(super) struct Ledger {
    /// Nobody waits at it: newcomers do by asking again when somebody has left.
    permits: Limiter,
    handshake_limit: NonZeroU32,
    /// For how long a stranger is left alone.
    grace: Duration,
    /// By number, and so by arrival.
    members: BTreeMap<u64, Member>,
    strangers: Strangers,
    /// Strangers who were told to leave and have not yet.
    leaving: u32,
    arrived: u64,
    refused: u64,
}

#[derive(Debug)]
struct Member {
    seat: Arc<Seat>,
    host: Host,
    standing: Standing,
    _permit: Permit,
}

/// What is known of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It has not said who it is.
    Stranger,
    /// It has not said who it is, and has to leave.
    Leaving,
    /// It has said who it is.
    Known,
}

/// What a newcomer is told.
#[derive(Debug)]
pub(super) enum Arrival {
    /// It is in.
    In(Arc<Seat>),
    /// Somebody has to leave first: this one was told to just now, as this limit is reached.
    Cut(Arc<Seat>, NonZeroU32),
    /// Somebody has been told to leave, and has not yet.
    Wait,
    /// Who would have to leave has only just come: it may say who it is within this time.
    Soon(Duration),
    /// As many are in as may be.
    Full { limit: NonZeroU32, active: u32 },
}

/// A change of the limit that was applied.
#[derive(Clone, Copy, Debug)]
pub(super) struct Applied {
    pub(super) from: NonZeroU32,
    pub(super) to: NonZeroU32,
    pub(super) active: u32,
}

// === impl Ledger ===

impl Ledger {
    pub(super) fn new(limit: NonZeroU32, handshake_limit: NonZeroU32, grace: Duration) -> Self {
        Self {
            permits: Limiter::new(limit, 0),
            handshake_limit,
            grace,
            members: BTreeMap::new(),
            strangers: Strangers::default(),
            leaving: 0,
            arrived: 0,
            refused: 0,
        }
    }

    /// Lets somebody in, or tells what is in the way; `cut` was told to leave for it before.
    pub(super) fn arrive(&mut self, protocol: &'static str, from: SocketAddr, cut: Option<u64>) -> Arrival {
        let LimiterStatus { limit, held: active, .. } = self.permits.status();
        let (full, most) = (limit.get() <= active, self.strangers_max());
        let crowded = most.get() <= self.unidentified();
        if !full && !crowded {
            return Arrival::In(self.enter(protocol, from));
        }
        // Somebody's leaving would make no room: nobody is cut off in vain.
        if limit.get() < active {
            return Arrival::Full { limit, active };
        }
        if cut.is_some_and(|cut| self.members.contains_key(&cut)) {
            return Arrival::Wait;
        }
        match self.strangers.first_to_go() {
            Some((_, id)) => match self.grace.checked_sub(self.members[&id].seat.age()) {
                Some(left) if !left.is_zero() => Arrival::Soon(left),
                _ => Arrival::Cut(self.send_away(id), if crowded { most } else { limit }),
            },
            None if full => Arrival::Full { limit, active },
            // All strangers are leaving for other newcomers.
            None => Arrival::Wait,
        }
    }

    /// A stranger has said who he is; `false` if he has to leave.
    pub(super) fn identify(&mut self, id: u64) -> bool {
        let member = self.members.get_mut(&id).expect("a member until it leaves");
        if member.standing != Standing::Stranger {
            return false;
        }
        member.standing = Standing::Known;
        self.strangers.leave(member.host, id);
        true
    }

    /// A connection has ended. Returns what is to be dropped outside the lock.
    pub(super) fn leave(&mut self, id: u64) -> Arc<Seat> {
        // With nobody waiting at the limiter, giving back the permit wakes nobody.
        let member = self.members.remove(&id).expect("one leaves once");
        match member.standing {
            Standing::Stranger => self.strangers.leave(member.host, id),
            Standing::Leaving => self.leaving -= 1,
            Standing::Known => {}
        }
        member.seat
    }

    /// Whose connection an operator closes, if there is one of this number.
    pub(super) fn end(&mut self, id: u64) -> Option<Arc<Seat>> {
        let member = self.members.get(&id)?;
        match member.standing {
            Standing::Stranger => Some(self.send_away(id)),
            Standing::Leaving | Standing::Known => Some(member.seat.clone()),
        }
    }

    /// Changes the limit, or tells why not and changes nothing.
    pub(super) fn change(&self, change: Change) -> Result<Applied, ChangeError> {
        let mut active = 0;
        let resized = self.permits.adjust(|status| {
            active = status.held;
            change.decide(status.limit, status.held)
        })?;
        Ok(Applied { from: resized.previous, to: self.permits.status().limit, active })
    }

    /// Changes how many strangers may be, beside a quarter of the limit. Those who are beyond stay.
    pub(super) fn set_handshake_limit(&mut self, limit: NonZeroU32) {
        self.handshake_limit = limit;
    }

    pub(super) fn count_refusal(&mut self) {
        self.refused += 1;
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    pub(super) fn permits(&self) -> LimiterStatus {
        self.permits.status()
    }

    /// How many have not said who they are.
    pub(super) fn unidentified(&self) -> u32 {
        u32::try_from(self.strangers.len()).expect("bounded by the limit") + self.leaving
    }

    /// The most that may be let in without having said who they are.
    pub(super) fn strangers_max(&self) -> NonZeroU32 {
        let quarter = self.permits.status().limit.get() / STRANGERS_DIVISOR;
        NonZeroU32::new(quarter).unwrap_or(NonZeroU32::MIN).min(self.handshake_limit)
    }

    /// Everybody, by arrival, and whether he has said who he is.
    pub(super) fn members(&self) -> impl Iterator<Item = (Arc<Seat>, bool)> {
        self.members.values().map(|member| (member.seat.clone(), member.standing == Standing::Known))
    }

    /// Asserts the invariants after a step that began with so many in and so many strangers.
    pub(super) fn check(&self, (active_before, strangers_before): (u32, u32)) {
        let (LimiterStatus { limit, held, .. }, strangers) = (self.permits.status(), self.unidentified());
        assert!(held as usize == self.members.len(), "a permit is nobody's");
        assert!(held <= active_before || held <= limit.get(), "let in above the limit");
        let few = strangers <= self.strangers_max().get();
        assert!(strangers <= strangers_before || few, "too many strangers let in");
        assert!(strangers <= held, "a stranger is not listed");
    }

    fn enter(&mut self, protocol: &'static str, from: SocketAddr) -> Arc<Seat> {
        let permit = self.permits.try_acquire().expect("one is free, and nobody else takes one");
        self.arrived += 1;
        let (id, host) = (self.arrived, Host::of(from.ip()));
        let seat = Arc::new(Seat::new(id, protocol, from));
        self.strangers.arrive(host, id);
        let member = Member { seat: seat.clone(), host, standing: Standing::Stranger, _permit: permit };
        self.members.insert(id, member);
        seat
    }

    /// Has a stranger leave, who is to be told outside the lock.
    fn send_away(&mut self, id: u64) -> Arc<Seat> {
        let member = self.members.get_mut(&id).expect("a stranger is a member");
        member.standing = Standing::Leaving;
        self.strangers.leave(member.host, id);
        self.leaving += 1;
        member.seat.clone()
    }
}
