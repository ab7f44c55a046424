//! The state of the registry: one small machine under one lock, no I/O, no clock, no await.
//!
//! A slot is `Opening -> Open -> Draining -> gone`, with `Leaving` before `Draining` when it is to
//! go and still in use; each takes one place from the moment it is granted until the database is
//! closed. Invariants, checked after every step:
//!
//! 1. **Never more than the limit:** `slots.len() <= max`. After the limit was lowered below what is
//!    open, it never rises until it is: the ceiling falls with each that is closed.
//! 2. **No idle place while someone waits:** a waiter exists only if `slots.len() >= max`.
//! 3. **No idle database while a place is wanted:** with more waiters and slots above the limit than
//!    drains under way, every open database is leased.
//! 4. **Idle is unleased:** `shares` has exactly the open databases without a lease as idle, the
//!    one whose last use ended first in front.
mod wishes;

use super::ghosts::Ghosts;
use super::shares::{Claim, Owner, Shares};
use super::thrash::{Thrash, Thrashing};
use crate::event::CloseReason;
use crate::limits::Limits;
use crate::tenant::Tenant;
use rowhouse_types::DatabaseName;
use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

pub(super) use wishes::Eviction;

/// The fewest and the most evicted names that are remembered; between them, as many as places.
const GHOSTS: (usize, usize) = (1024, 65_536);

#[derive(Debug)]
pub(super) struct Table {
    max: usize,
    /// The most slots there may be now: `max`, or what is left above it since it was lowered.
    ceiling: usize,
    queue_max: usize,
    slots: HashMap<DatabaseName, Slot>,
    shares: Shares,
    queue: VecDeque<Waiter>,
    draining: usize,
    next_ticket: u64,
    phase: Phase,
    tally: Tally,
    ghosts: Ghosts,
    thrash: Thrash,
}

#[derive(Debug)]
struct Slot {
    owner: Owner,
    state: State,
    /// Who is told when it is gone.
    watchers: Vec<oneshot::Sender<()>>,
    /// Whether it is to be closed as soon as it is open.
    doomed: bool,
}

#[derive(Debug)]
enum State {
    Opening,
    Open { tenant: Arc<Tenant>, leases: usize },
    Leaving { tenant: Arc<Tenant>, leases: usize, reason: CloseReason },
    Draining,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    Closing,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    name: DatabaseName,
    owner: Owner,
    granted: oneshot::Sender<()>,
}

#[derive(Debug, Default)]
struct Tally {
    opened: u64,
    created: u64,
    evicted: u64,
    replaced: u64,
    reopened: u64,
    refused: u64,
}

/// Counts of the databases opened by name, all of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistryStatus {
    /// The most that may be open.
    pub limit: usize,
    /// Places taken: opening, open or closing.
    pub places: usize,
    /// Open ones.
    pub open: usize,
    /// Open ones that nobody uses.
    pub idle: usize,
    /// Names waiting for a place.
    pub waiting: usize,
    /// Opened since the start.
    pub opened: u64,
    /// Created since the start.
    pub created: u64,
    /// Evicted since the start.
    pub evicted: u64,
    /// Closed since the start because their storage was replaced or their process ended.
    pub replaced: u64,
    /// Opened again since the start soon after they were evicted.
    pub reopened: u64,
    /// The fewest places that would have kept open what was opened again within the last minute
    /// or two; `None` if nothing was.
    pub would_fit: Option<usize>,
    /// Refused for want of room since the start.
    pub refused: u64,
}

/// How a request for a place was met.
#[derive(Debug)]
pub(super) enum Admission {
    /// It is open already; a lease has been counted.
    Open(Arc<Tenant>),
    /// A place was granted: open it, then say `opened` or `failed`.
    Place,
    /// It is being closed: ask again when that has ended.
    Closing(oneshot::Receiver<()>),
    /// A place will be granted in turn, after which it is as `Place`.
    Wait(u64, oneshot::Receiver<()>),
    /// As many wait as may wait.
    QueueFull,
    /// Nothing is opened any more.
    ShuttingDown,
}

/// What has to be done with the lock released.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Databases to close, and why; say `closed` for each.
    pub(super) close: Vec<(Arc<Tenant>, CloseReason)>,
    /// Tasks to wake.
    pub(super) wake: Vec<oneshot::Sender<()>>,
    /// What operators should know.
    pub(super) thrashing: Option<Thrashing>,
}

impl Table {
    pub(super) fn new(limits: &Limits) -> Self {
        let max = limits.max_connections.get() as usize;
        Self {
            max,
            ceiling: max,
            queue_max: limits.max_waiting as usize,
            slots: HashMap::new(),
            shares: Shares::new(max, limits.fair_window),
            queue: VecDeque::new(),
            draining: 0,
            next_ticket: 0,
            phase: Phase::Serving,
            tally: Tally::default(),
            ghosts: Ghosts::new(ghosts(max)),
            thrash: Thrash::new(max),
        }
    }

    /// Lends it if it is open.
    pub(super) fn lend(&mut self, name: &DatabaseName) -> Option<Arc<Tenant>> {
        let State::Open { tenant, leases } = &mut self.slots.get_mut(name)?.state else { return None };
        if *leases == 0 {
            self.shares.rouse(name);
        }
        *leases += 1;
        Some(tenant.clone())
    }

    /// Lends once more what is lent, though it may be leaving.
    pub(super) fn lend_again(&mut self, name: &DatabaseName) {
        match self.slots.get_mut(name).map(|slot| &mut slot.state) {
            Some(State::Open { leases, .. } | State::Leaving { leases, .. }) => *leases += 1,
            _ => unreachable!("a leased database is open"),
        }
    }

    /// Asks for a place. One caller per name at a time.
    pub(super) fn admit(&mut self, name: &DatabaseName, claim: Claim, effects: &mut Effects) -> Admission {
        if self.phase == Phase::Closing {
            return Admission::ShuttingDown;
        }
        if let Some(tenant) = self.lend(name) {
            return Admission::Open(tenant);
        }
        if let Some(slot) = self.slots.get_mut(name) {
            match slot.state {
                State::Draining | State::Leaving { .. } => return Admission::Closing(slot.watch()),
                State::Opening | State::Open { .. } => unreachable!("one flight per name, and not open"),
            }
        }
        if self.slots.len() < self.max && self.queue.is_empty() {
            self.note_reopening(name, claim.now, effects);
            self.take_place(name.clone(), claim.owner);
            return Admission::Place;
        }
        if self.queue_max <= self.queue.len() {
            self.tally.refused += 1;
            return Admission::QueueFull;
        }
        self.note_reopening(name, claim.now, effects);
        self.next_ticket += 1;
        let (ticket, owner) = (self.next_ticket, claim.owner);
        let (granted, place) = oneshot::channel();
        self.queue.push_back(Waiter { ticket, name: name.clone(), owner, granted });
        self.shares.want(owner);
        self.evict(claim.now, effects);
        Admission::Wait(ticket, place)
    }

    /// Gives up waiting. False if it waits no more: a place has been granted meanwhile, or nothing is
    /// opened any more, as the waiter is told.
    pub(super) fn give_up(&mut self, ticket: u64) -> bool {
        let Some(at) = self.queue.iter().position(|waiter| waiter.ticket == ticket) else { return false };
        if let Some(waiter) = self.queue.remove(at) {
            self.shares.forgo(waiter.owner);
        }
        self.tally.refused += 1;
        true
    }

    /// It is open now, with one lease.
    pub(super) fn opened(&mut self, name: &DatabaseName, tenant: Arc<Tenant>, created: bool) {
        let slot = self.slots.get_mut(name).expect("a place was granted");
        debug_assert!(matches!(slot.state, State::Opening));
        slot.state = match slot.doomed {
            true => State::Leaving { tenant, leases: 1, reason: CloseReason::Dropped },
            false => State::Open { tenant, leases: 1 },
        };
        self.tally.opened += 1;
        self.tally.created += u64::from(created);
    }

    /// It could not be opened.
    pub(super) fn failed(&mut self, name: &DatabaseName, effects: &mut Effects) {
        let slot = self.leave_place(name).expect("a place was granted");
        debug_assert!(matches!(slot.state, State::Opening));
        effects.wake.extend(slot.watchers);
        self.grant(effects);
    }

    /// A use has ended.
    pub(super) fn give_back(&mut self, name: &DatabaseName, now: Instant, effects: &mut Effects) {
        let slot = self.slots.get_mut(name).expect("a leased database is open");
        match &mut slot.state {
            State::Open { leases, .. } => {
                *leases -= 1;
                if *leases == 0 {
                    self.shares.rest(name, Claim { owner: slot.owner, now });
                    self.evict(now, effects);
                }
            }
            State::Leaving { leases, reason, .. } => {
                *leases -= 1;
                if *leases == 0 {
                    let reason = *reason;
                    self.drain(name, reason, effects);
                }
            }
            State::Opening | State::Draining => unreachable!("a leased database is open"),
        }
    }

    /// This opening of it is of no more use: it is lent no more, and closed when its last use ends.
    /// False if it is so already.
    pub(super) fn retire(
        &mut self,
        tenant: &Arc<Tenant>,
        name: &DatabaseName,
        effects: &mut Effects,
    ) -> bool {
        match self.slots.get(name).map(|slot| &slot.state) {
            Some(State::Open { tenant: open, .. }) if Arc::ptr_eq(open, tenant) => {
                self.tally.replaced += 1;
                self.part(name, CloseReason::Replaced, effects);
                true
            }
            _ => false,
        }
    }

    /// It is closed now.
    pub(super) fn closed(&mut self, name: &DatabaseName, effects: &mut Effects) {
        let slot = self.leave_place(name).expect("it is draining");
        assert!(matches!(slot.state, State::Draining), "only a draining database is closed");
        effects.wake.extend(slot.watchers);
        self.draining -= 1;
        self.grant(effects);
    }

    /// A client has come.
    pub(super) fn enter(&mut self, owner: Owner) {
        self.shares.enter(owner);
    }

    /// A client has left.
    pub(super) fn leave(&mut self, owner: Owner) {
        self.shares.leave(owner);
    }

    /// Opens nothing from now on, and closes what is idle, now or when it becomes so.
    pub(super) fn shut_down(&mut self, now: Instant, effects: &mut Effects) {
        self.phase = Phase::Closing;
        // Dropping the senders fails the waiters.
        for waiter in self.queue.drain(..) {
            self.shares.forgo(waiter.owner);
        }
        self.evict(now, effects);
    }

    /// The open databases.
    pub(super) fn tenants(&self) -> Vec<Arc<Tenant>> {
        let open = |slot: &Slot| match &slot.state {
            State::Open { tenant, .. } => Some(tenant.clone()),
            State::Opening | State::Leaving { .. } | State::Draining => None,
        };
        self.slots.values().filter_map(open).collect()
    }

    pub(super) fn status(&self, now: Instant) -> RegistryStatus {
        let open = self.slots.values().filter(|slot| matches!(slot.state, State::Open { .. })).count();
        RegistryStatus {
            limit: self.max,
            places: self.slots.len(),
            open,
            idle: self.shares.idle(),
            waiting: self.queue.len(),
            opened: self.tally.opened,
            created: self.tally.created,
            evicted: self.tally.evicted,
            replaced: self.tally.replaced,
            reopened: self.tally.reopened,
            would_fit: self.thrash.would_fit(now),
            refused: self.tally.refused,
        }
    }

    /// Starts as many drains as there are waiters that no drain will serve.
    fn evict(&mut self, now: Instant, effects: &mut Effects) {
        if self.phase == Phase::Closing {
            while let Some(name) = self.shares.give_up_oldest() {
                self.drain(&name, CloseReason::Shutdown, effects);
            }
            return;
        }
        loop {
            let excess = self.slots.len().saturating_sub(self.max);
            let given_up = match self.draining.checked_sub(excess).map(|at| self.queue.get(at)) {
                None => self.shares.give_up_oldest(),
                Some(Some(waiter)) => self.shares.give_up(Claim { owner: waiter.owner, now }),
                Some(None) => break,
            };
            let Some(name) = given_up else { break };
            self.drain(&name, CloseReason::Evicted, effects);
            self.tally.evicted += 1;
            self.ghosts.add(name);
        }
    }

    /// Starts to close an open database that nobody uses and that is no more among the idle ones.
    fn drain(&mut self, name: &DatabaseName, reason: CloseReason, effects: &mut Effects) {
        let slot = self.slots.get_mut(name).expect("it is open");
        let tenant = match std::mem::replace(&mut slot.state, State::Draining) {
            State::Open { tenant, leases: 0 } | State::Leaving { tenant, leases: 0, .. } => tenant,
            _ => unreachable!("it is open and unleased"),
        };
        self.draining += 1;
        effects.close.push((tenant, reason));
    }

    /// Gives free places to those who wait, in order.
    fn grant(&mut self, effects: &mut Effects) {
        while self.slots.len() < self.max {
            let Some(waiter) = self.queue.pop_front() else { break };
            self.take_place(waiter.name, waiter.owner);
            self.shares.forgo(waiter.owner);
            effects.wake.push(waiter.granted);
        }
    }

    fn take_place(&mut self, name: DatabaseName, owner: Owner) {
        self.shares.take(owner);
        let slot = Slot { owner, state: State::Opening, watchers: Vec::new(), doomed: false };
        let before = self.slots.insert(name, slot);
        debug_assert!(before.is_none(), "one waiter per name, and only when it has no slot");
    }

    fn leave_place(&mut self, name: &DatabaseName) -> Option<Slot> {
        let slot = self.slots.remove(name)?;
        self.shares.free(slot.owner);
        self.ceiling = self.ceiling.min(self.slots.len()).max(self.max);
        Some(slot)
    }

    /// Whether it was evicted a moment ago.
    pub(super) fn was_open_lately(&self, name: &DatabaseName) -> bool {
        self.ghosts.has(name)
    }

    /// It is not there any more.
    pub(super) fn forget(&mut self, name: &DatabaseName) {
        self.ghosts.take(name);
    }

    /// Counts it if it was evicted a moment ago: all that was used since its last use, and itself,
    /// would have had to fit.
    fn note_reopening(&mut self, name: &DatabaseName, now: Instant, effects: &mut Effects) {
        let Some(newer) = self.ghosts.take(name) else { return };
        self.tally.reopened += 1;
        let open = self.slots.len() - self.draining;
        effects.thrashing = self.thrash.note(open + self.queue.len() + newer + 1, now);
    }

    /// Asserts the invariants that are cheap enough for every step.
    pub(super) fn check(&self) {
        assert!(self.slots.len() <= self.ceiling, "more databases open than allowed");
        debug_assert!(self.queue.is_empty() || self.max <= self.slots.len());
        let excess = self.slots.len().saturating_sub(self.max);
        debug_assert!(self.shares.idle() == 0 || self.queue.len() + excess <= self.draining);
    }
}

// === impl Slot ===

impl Slot {
    /// Told when it is gone.
    fn watch(&mut self) -> oneshot::Receiver<()> {
        self.watchers.retain(|watcher| !watcher.is_closed());
        let (done, gone) = oneshot::channel();
        self.watchers.push(done);
        gone
    }
}

/// How many evicted names are remembered with so many places.
fn ghosts(places: usize) -> NonZeroUsize {
    NonZeroUsize::new(places.clamp(GHOSTS.0, GHOSTS.1)).expect("clamped above zero")
}
