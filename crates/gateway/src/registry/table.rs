//! The state of the registry: one small machine under one lock, no I/O, no clock, no await.
//!
//! A slot is `Opening -> Open -> Draining -> gone`, and each takes one place from the moment it
//! is granted until the database is closed. Invariants, checked after every step:
//!
//! 1. **Never more than the limit:** `slots.len() <= max`.
//! 2. **No idle place while someone waits:** a waiter exists only if `slots.len() == max`.
//! 3. **No idle database while someone waits:** with more waiters than drains under way, every
//!    open database is leased.
//! 4. **Idle is unleased:** `idle` holds exactly the open databases without a lease, the one
//!    whose last use ended first in front.
use crate::event::CloseReason;
use crate::tenant::Tenant;
use lru::LruCache;
use rowhouse_types::DatabaseName;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::oneshot;

#[derive(Debug)]
pub(super) struct Table {
    max: usize,
    queue_max: usize,
    slots: HashMap<DatabaseName, Slot>,
    idle: LruCache<DatabaseName, ()>,
    queue: VecDeque<Waiter>,
    draining: usize,
    next_ticket: u64,
    phase: Phase,
    tally: Tally,
}

#[derive(Debug)]
enum Slot {
    Opening,
    Open { tenant: Arc<Tenant>, leases: usize },
    Draining { watchers: Vec<oneshot::Sender<()>> },
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
    granted: oneshot::Sender<()>,
}

#[derive(Debug, Default)]
struct Tally {
    opened: u64,
    created: u64,
    evicted: u64,
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
    /// Databases to close; say `closed` for each.
    pub(super) close: Vec<Arc<Tenant>>,
    /// Tasks to wake.
    pub(super) wake: Vec<oneshot::Sender<()>>,
}

impl Table {
    pub(super) fn new(max: usize, queue_max: usize) -> Self {
        Self {
            max,
            queue_max,
            slots: HashMap::new(),
            idle: LruCache::unbounded(),
            queue: VecDeque::new(),
            draining: 0,
            next_ticket: 0,
            phase: Phase::Serving,
            tally: Tally::default(),
        }
    }

    /// Lends it if it is open.
    pub(super) fn lend(&mut self, name: &DatabaseName) -> Option<Arc<Tenant>> {
        let Some(Slot::Open { tenant, leases }) = self.slots.get_mut(name) else { return None };
        if *leases == 0 {
            self.idle.pop(name);
        }
        *leases += 1;
        Some(tenant.clone())
    }

    /// Asks for a place. One caller per name at a time.
    pub(super) fn admit(&mut self, name: &DatabaseName, effects: &mut Effects) -> Admission {
        if self.phase == Phase::Closing {
            return Admission::ShuttingDown;
        }
        if let Some(tenant) = self.lend(name) {
            return Admission::Open(tenant);
        }
        match self.slots.get_mut(name) {
            Some(Slot::Draining { watchers }) => {
                let (done, closed) = oneshot::channel();
                watchers.push(done);
                return Admission::Closing(closed);
            }
            Some(Slot::Opening | Slot::Open { .. }) => unreachable!("one flight per name, and not open"),
            None => {}
        }
        if self.slots.len() < self.max && self.queue.is_empty() {
            self.slots.insert(name.clone(), Slot::Opening);
            return Admission::Place;
        }
        if self.queue_max <= self.queue.len() {
            self.tally.refused += 1;
            return Admission::QueueFull;
        }
        self.next_ticket += 1;
        let (granted, place) = oneshot::channel();
        self.queue.push_back(Waiter { ticket: self.next_ticket, name: name.clone(), granted });
        self.evict(effects);
        Admission::Wait(self.next_ticket, place)
    }

    /// Gives up waiting. False if a place has been granted meanwhile.
    pub(super) fn give_up(&mut self, ticket: u64) -> bool {
        let Some(at) = self.queue.iter().position(|waiter| waiter.ticket == ticket) else { return false };
        self.queue.remove(at);
        self.tally.refused += 1;
        true
    }

    /// It is open now, with one lease.
    pub(super) fn opened(&mut self, name: &DatabaseName, tenant: Arc<Tenant>, created: bool) {
        let slot = self.slots.get_mut(name).expect("a place was granted");
        debug_assert!(matches!(slot, Slot::Opening));
        *slot = Slot::Open { tenant, leases: 1 };
        self.tally.opened += 1;
        self.tally.created += u64::from(created);
    }

    /// It could not be opened.
    pub(super) fn failed(&mut self, name: &DatabaseName, effects: &mut Effects) {
        let slot = self.slots.remove(name);
        debug_assert!(matches!(slot, Some(Slot::Opening)));
        self.grant(effects);
    }

    /// A use has ended.
    pub(super) fn give_back(&mut self, name: &DatabaseName, effects: &mut Effects) {
        let Some(Slot::Open { leases, .. }) = self.slots.get_mut(name) else {
            unreachable!("a leased database is open")
        };
        *leases -= 1;
        if *leases == 0 {
            self.idle.put(name.clone(), ());
            self.evict(effects);
        }
    }

    /// It is closed now.
    pub(super) fn closed(&mut self, name: &DatabaseName, effects: &mut Effects) {
        let Some(Slot::Draining { watchers }) = self.slots.remove(name) else {
            unreachable!("only a draining database is closed")
        };
        effects.wake.extend(watchers);
        self.draining -= 1;
        self.grant(effects);
    }

    /// Opens nothing from now on, and closes what is idle, now or when it becomes so.
    pub(super) fn shut_down(&mut self, effects: &mut Effects) {
        self.phase = Phase::Closing;
        // Dropping the senders fails the waiters.
        self.queue.clear();
        self.evict(effects);
    }

    /// Why databases are being closed now.
    pub(super) fn close_reason(&self) -> CloseReason {
        match self.phase {
            Phase::Serving => CloseReason::Evicted,
            Phase::Closing => CloseReason::Shutdown,
        }
    }

    /// The open databases.
    pub(super) fn tenants(&self) -> Vec<Arc<Tenant>> {
        let open = |slot: &Slot| match slot {
            Slot::Open { tenant, .. } => Some(tenant.clone()),
            Slot::Opening | Slot::Draining { .. } => None,
        };
        self.slots.values().filter_map(open).collect()
    }

    pub(super) fn status(&self) -> RegistryStatus {
        let open = self.slots.values().filter(|slot| matches!(slot, Slot::Open { .. })).count();
        RegistryStatus {
            limit: self.max,
            places: self.slots.len(),
            open,
            idle: self.idle.len(),
            waiting: self.queue.len(),
            opened: self.tally.opened,
            created: self.tally.created,
            evicted: self.tally.evicted,
            refused: self.tally.refused,
        }
    }

    /// Starts as many drains as there are waiters that no drain will serve.
    fn evict(&mut self, effects: &mut Effects) {
        while self.draining < self.queue.len() || self.phase == Phase::Closing {
            let Some((name, ())) = self.idle.pop_lru() else { break };
            let slot = self.slots.get_mut(&name).expect("idle is open");
            let Slot::Open { tenant, leases: 0 } =
                std::mem::replace(slot, Slot::Draining { watchers: Vec::new() })
            else {
                unreachable!("idle is open and unleased")
            };
            self.draining += 1;
            self.tally.evicted += u64::from(self.phase == Phase::Serving);
            effects.close.push(tenant);
        }
    }

    /// Gives free places to those who wait, in order.
    fn grant(&mut self, effects: &mut Effects) {
        while self.slots.len() < self.max {
            let Some(waiter) = self.queue.pop_front() else { break };
            let before = self.slots.insert(waiter.name, Slot::Opening);
            debug_assert!(before.is_none(), "one waiter per name, and only when it has no slot");
            effects.wake.push(waiter.granted);
        }
    }

    /// Asserts the invariants that are cheap enough for every step.
    pub(super) fn check(&self) {
        assert!(self.slots.len() <= self.max, "more databases open than allowed");
        debug_assert!(self.queue.is_empty() || self.slots.len() == self.max);
        debug_assert!(self.idle.is_empty() || self.queue.len() <= self.draining);
    }
}
