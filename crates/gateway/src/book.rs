//! The limits in force: those of all databases, and those that a database has of its own.
//!
//! Limits of its own belong to a database's name and outlive its being closed; only databases that have
//! any take memory. A reader copies what it needs: it is asked for with every request.
use crate::limits::{DatabaseLimits, Limits, OwnLimits, Takes};
use rowhouse_types::Target;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

/// The most databases that may have limits of their own.
pub(crate) const OWN_MAX: usize = 65_536;

/// How the limits that databases have of their own are called among what is kept.
const KEPT: &str = "limits/";

/// The default database's name there: no database can be called this.
const DEFAULT: &str = "~default";

/// The limits in force. Cloning yields another handle.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    pages: Arc<RwLock<Pages>>,
}

#[derive(Debug)]
struct Pages {
    all: Limits,
    own: HashMap<Target, OwnLimits>,
}

// === impl Book ===

impl Book {
    /// With nobody's own.
    pub(crate) fn new(all: Limits) -> Self {
        Self { pages: Arc::new(RwLock::new(Pages { all, own: HashMap::new() })) }
    }

    /// What all may use.
    pub(crate) fn all(&self) -> Limits {
        self.read().all
    }

    /// What this database may use, given whose connections it takes.
    pub(crate) fn of(&self, target: &Target, takes: Takes) -> DatabaseLimits {
        let pages = self.read();
        let all = pages.all.defaults(takes);
        if pages.own.is_empty() {
            return all;
        }
        pages.own.get(target).map_or(all, |own| own.over(&all))
    }

    /// The shortest time that a connection of any database's may stay open unused.
    pub(crate) fn shortest_idle(&self) -> Duration {
        let pages = self.read();
        let own = pages.own.values().filter_map(|own| own.idle_timeout);
        own.chain([pages.all.database.idle_timeout]).min().unwrap_or_default()
    }

    /// What this database has of its own.
    pub(crate) fn own(&self, target: &Target) -> OwnLimits {
        self.read().own.get(target).copied().unwrap_or_default()
    }

    pub(crate) fn set_all(&self, all: Limits) {
        self.write().all = all;
    }

    /// Changes what a database has of its own. False when as many have some as may.
    pub(crate) fn set_own(&self, target: &Target, own: OwnLimits) -> bool {
        let mut pages = self.write();
        if own.is_empty() {
            pages.own.remove(target);
            return true;
        }
        if OWN_MAX <= pages.own.len() && !pages.own.contains_key(target) {
            return false;
        }
        pages.own.insert(target.clone(), own);
        true
    }

    /// Takes up what databases had of their own when the server ended, of all that is kept.
    pub(crate) fn take_up(&self, kept: impl IntoIterator<Item = (String, String)>) {
        for (key, value) in kept {
            let Some(name) = key.strip_prefix(KEPT) else { continue };
            let target = match name.parse() {
                Ok(name) => Target::Named(name),
                Err(_) if name == DEFAULT => Target::Default,
                Err(_) => continue,
            };
            self.set_own(&target, OwnLimits::read(&value));
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Pages> {
        self.pages.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Pages> {
        self.pages.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a database's own limits are called among what is kept.
pub(crate) fn key_of(target: &Target) -> String {
    format!("{KEPT}{}", target.name().map_or(DEFAULT, |name| name.as_str()))
}
