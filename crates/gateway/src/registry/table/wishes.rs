//! Steps that an operator asks for, of one database by its name or of all places.
use super::super::ghosts::Ghosts;
use super::{Effects, State, Table, ghosts};
use crate::event::CloseReason;
use crate::limits::Limits;
use crate::tenant::Tenant;
use rowhouse_types::DatabaseName;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

/// What an operator's wish to have a database closed met.
#[derive(Debug)]
pub(in crate::registry) enum Eviction {
    /// It is being closed; told when that has ended.
    Closing(oneshot::Receiver<()>),
    /// It is not open.
    NotOpen,
    /// So many use it, or it is just being opened.
    InUse,
}

// === impl Table ===

impl Table {
    /// The database is about to be dropped: it is lent no more, and closed as soon as its last use ends.
    /// Told when it has no slot any more; `None` if it has none now.
    pub(in crate::registry) fn doom(
        &mut self,
        name: &DatabaseName,
        effects: &mut Effects,
    ) -> Option<oneshot::Receiver<()>> {
        let slot = self.slots.get_mut(name)?;
        let gone = slot.watch();
        match slot.state {
            State::Opening => slot.doomed = true,
            State::Open { .. } => self.part(name, CloseReason::Dropped, effects),
            State::Leaving { .. } | State::Draining => {}
        }
        Some(gone)
    }

    /// Closes it, if nobody uses it.
    pub(in crate::registry) fn evict_named(
        &mut self,
        name: &DatabaseName,
        effects: &mut Effects,
    ) -> Eviction {
        let Some(slot) = self.slots.get_mut(name) else { return Eviction::NotOpen };
        match slot.state {
            State::Open { leases: 0, .. } => {
                let gone = slot.watch();
                self.shares.rouse(name);
                self.drain(name, CloseReason::Evicted, effects);
                self.tally.evicted += 1;
                Eviction::Closing(gone)
            }
            State::Draining => Eviction::Closing(slot.watch()),
            State::Opening | State::Open { .. } | State::Leaving { .. } => Eviction::InUse,
        }
    }

    /// The database, if it is open; it is not lent.
    pub(in crate::registry) fn find(&self, name: &DatabaseName) -> Option<Arc<Tenant>> {
        match &self.slots.get(name)?.state {
            State::Open { tenant, .. } | State::Leaving { tenant, .. } => Some(tenant.clone()),
            State::Opening | State::Draining => None,
        }
    }

    /// Goes by these limits from now on. What is open above a lower one goes when nobody uses it, the
    /// one unused for longest first.
    pub(in crate::registry) fn resize(&mut self, limits: &Limits, now: Instant, effects: &mut Effects) {
        let max = limits.max_connections.get() as usize;
        self.queue_max = limits.max_waiting as usize;
        self.shares.resize(max, limits.fair_window);
        if max == self.max {
            return;
        }
        self.max = max;
        self.ceiling = self.slots.len().max(max);
        self.thrash.resize(max);
        let ghosts = ghosts(max);
        if ghosts != self.ghosts.most() {
            self.ghosts = Ghosts::new(ghosts);
        }
        self.grant(effects);
        self.evict(now, effects);
    }

    /// Lends an open database no more, and closes it when its last use ends, which may be now.
    pub(super) fn part(&mut self, name: &DatabaseName, reason: CloseReason, effects: &mut Effects) {
        let slot = self.slots.get_mut(name).expect("it is open");
        let State::Open { tenant, leases } = &slot.state else { unreachable!("it is open") };
        let (tenant, leases) = (tenant.clone(), *leases);
        slot.state = State::Leaving { tenant, leases, reason };
        if leases == 0 {
            self.shares.rouse(name);
            self.drain(name, reason, effects);
        }
    }
}
