//! Keeping a database open without a connection to it.
//!
//! A hold yields to everything else: whoever pauses, drops or replaces a database, or ends its sessions,
//! does not wait for holds. They are let go at once, and who has one finds out with its next request,
//! if at all.
//!
//! Invariant: a database has holds only while its gate is open and it is lent to newcomers. Whoever shuts the
//! one or ends the other does so first and lets the holds go after it; who takes a hold looks afterwards
//! whether it may. So one of the two always sees the other.
use crate::client::Client;
use crate::pool::Session;
use crate::registry::Lease;
use crate::tenant::Tenant;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

/// Keeps a database open: while it lives, the database is not evicted.
///
/// It takes neither a connection nor a place among the sessions.
#[derive(Debug)]
pub struct Hold {
    tenant: Weak<Tenant>,
    key: u64,
}

/// The holds of one database.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: HashMap<u64, Lease>,
    next: u64,
    /// Whether there are to be no more of them.
    is_over: bool,
}

// === impl Client ===

impl Client {
    /// Keeps the database of a session open when the session has ended.
    ///
    /// It does not while the database is paused, being dropped, or of no more use.
    pub fn hold(&self, session: &Session) -> Hold {
        let tenant = session.tenant();
        let key = tenant.holds.take(session.lease().clone());
        if self.gateway().shared.gates.is_shut(session.target()) {
            tenant.holds.let_go();
        }
        Hold { tenant: Arc::downgrade(tenant), key }
    }
}

// === impl Hold ===

impl Hold {
    /// Whether it still keeps the database open.
    pub fn is_held(&self) -> bool {
        self.tenant.upgrade().is_some_and(|tenant| tenant.holds.state().held.contains_key(&self.key))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let Some(tenant) = self.tenant.upgrade() else { return };
        let lease = tenant.holds.state().held.remove(&self.key);
        drop(lease);
    }
}

// === impl Holds ===

impl Holds {
    fn take(&self, lease: Lease) -> u64 {
        let mut state = self.state();
        state.next += 1;
        let key = state.next;
        if state.is_over {
            drop(state);
            drop(lease);
        } else {
            state.held.insert(key, lease);
        }
        key
    }

    /// Ends those there are.
    pub(crate) fn let_go(&self) {
        // Dropped outside the lock: a lease that ends may close the database.
        let held = std::mem::take(&mut self.state().held);
        drop(held);
    }

    /// Ends those there are and lets nobody take another.
    pub(crate) fn end(&self) {
        self.state().is_over = true;
        self.let_go();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("never panics while locked")
    }
}
