//! Which files are open, and under which path.
//!
//! A file that was renamed while it is open must not be opened under its new name as well: SQLite
//! finds the log by the path and the locks by the file, so two paths of one file would share the
//! locks and not the log.
use crate::files::{Identity, Place};
use rowhouse_engine::EngineError;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The files that are open: as many as databases. Cloning yields another handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Occupancy {
    files: Arc<Mutex<HashMap<Identity, Occupied>>>,
}

/// One file is open, until this is dropped.
#[derive(Debug)]
pub(crate) struct Occupant {
    occupancy: Occupancy,
    identity: Identity,
}

#[derive(Debug)]
struct Occupied {
    path: PathBuf,
    times: usize,
}

impl Occupancy {
    /// Counts the file as open at `place`, unless it is open elsewhere.
    pub(crate) fn enter(&self, place: &Place, identity: Identity) -> Result<Occupant, EngineError> {
        let mut files = self.files();
        let occupied =
            files.entry(identity).or_insert_with(|| Occupied { path: place.path().to_owned(), times: 0 });
        if occupied.path != place.path() {
            return Err(EngineError::OpenElsewhere);
        }
        occupied.times += 1;
        Ok(Occupant { occupancy: self.clone(), identity })
    }

    fn files(&self) -> MutexGuard<'_, HashMap<Identity, Occupied>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Occupant {
    fn drop(&mut self) {
        let mut files = self.occupancy.files();
        if let Some(occupied) = files.get_mut(&self.identity) {
            occupied.times -= 1;
            if occupied.times == 0 {
                files.remove(&self.identity);
            }
        }
    }
}
