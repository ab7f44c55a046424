//! The connections to one database.
use crate::keeper::Keeper;
use crate::lock::Lock;
use crate::methods;
use rusqlite::Connection;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The connections of this process to one database that keep their locks, and give them up for one another.
/// Cloning yields another handle.
#[derive(Clone, Debug)]
pub struct Family {
    keeper: Keeper,
    locks: Arc<Mutex<Vec<Weak<Lock>>>>,
}

// === impl Family ===

impl Family {
    /// One without connections.
    pub fn new(keeper: &Keeper) -> Self {
        Self { keeper: keeper.clone(), locks: Arc::default() }
    }

    /// Takes in a connection to the family's database, until it is closed. Every connection of this process that
    /// writes the database or shortens its log is to join: one that has not is kept from it while others keep
    /// their locks.
    ///
    /// A connection that has joined is not to change to the exclusive locking mode: it would change the file without asking for
    /// a lock.
    ///
    /// One whose file has no such locks, because it is in memory, is left as it is.
    pub fn join(&self, connection: &Connection) {
        if let Some(lock) = methods::install(connection, self) {
            self.locks().push(Arc::downgrade(&lock));
        }
    }

    pub(crate) fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// All give up those of these locks that they keep and do not use. To be called without any of their locks.
    pub(crate) fn release(&self, these: &Range<i32>) {
        for lock in self.locks().iter().filter_map(Weak::upgrade) {
            lock.release_if_in(these);
        }
    }

    /// Forgets one that is closed.
    pub(crate) fn leave(&self, lock: &Arc<Lock>) {
        self.locks().retain(|other| !std::ptr::eq(other.as_ptr(), Arc::as_ptr(lock)));
    }

    fn locks(&self) -> MutexGuard<'_, Vec<Weak<Lock>>> {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
