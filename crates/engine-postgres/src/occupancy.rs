//! Which databases this process has open.
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How often each location is open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Occupancy(Arc<Mutex<HashMap<String, u32>>>);

/// Counts one opening of a database, until it is left or dropped.
#[derive(Debug)]
pub(crate) struct Stay {
    occupancy: Occupancy,
    location: String,
    has_left: AtomicBool,
}

// === impl Occupancy ===

impl Occupancy {
    pub(crate) fn enter(&self, location: &str) -> Stay {
        self.change(location, |count| count + 1);
        Stay { occupancy: self.clone(), location: location.to_owned(), has_left: AtomicBool::new(false) }
    }

    pub(crate) fn is_open(&self, location: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(location)
    }

    fn change(&self, location: &str, change: impl Fn(u32) -> u32) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = change(open.get(location).copied().unwrap_or(0));
        match count {
            0 => open.remove(location),
            _ => open.insert(location.to_owned(), count),
        };
    }
}

// === impl Stay ===

impl Stay {
    pub(crate) fn leave(&self) {
        if !self.has_left.swap(true, Ordering::Relaxed) {
            self.occupancy.change(&self.location, |count| count.saturating_sub(1));
        }
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.leave();
    }
}
