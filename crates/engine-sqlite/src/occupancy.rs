//! Which files are open, and under which path.
//!
//! A file that was renamed while it is open must not be opened under its new name as well: SQLite
//! finds the log by the path and the locks by the file, so two paths of one file would share the
//! locks and not the log. Nor may another file be opened under a path whose former file is still
//! open: it would be given that one's log.
use crate::files::{Identity, Place};
use rowhouse_engine::EngineError;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a file waits for the former one of its path: a backup leaves it as soon as it notices.
const FORMER_LEAVES: Duration = Duration::from_secs(2);

/// The files that are open: as many as databases and backups. Cloning yields another handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Occupancy {
    state: Arc<Mutex<State>>,
}

/// One file is open, until this is dropped.
#[derive(Debug)]
pub(crate) struct Occupant {
    occupancy: Occupancy,
    identity: Identity,
    kind: Kind,
}

/// Who has a file open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Database,
    Backup,
}

#[derive(Debug, Default)]
struct State {
    files: HashMap<Identity, Occupied>,
    /// Of all files: while there are none, nobody looks for any.
    backups: usize,
}

#[derive(Debug)]
struct Occupied {
    path: PathBuf,
    databases: usize,
    backups: usize,
}

impl Occupancy {
    /// Counts the file as open at `place`, unless it is open elsewhere. Blocks while a backup of the
    /// former file of this place notices that it was replaced.
    pub(crate) fn enter(&self, place: &Place, identity: Identity) -> Result<Occupant, EngineError> {
        let since = Instant::now();
        loop {
            match self.try_enter(place, identity, Kind::Database) {
                Err(EngineError::Replaced) if since.elapsed() < FORMER_LEAVES => {
                    sleep(Duration::from_millis(5));
                }
                outcome => return outcome,
            }
        }
    }

    /// As [`Occupancy::enter`], without waiting.
    pub(crate) fn enter_now(&self, place: &Place, identity: Identity) -> Result<Occupant, EngineError> {
        self.try_enter(place, identity, Kind::Database)
    }

    /// As [`Occupancy::enter`], for a backup, which comes when it will: it does not wait.
    pub(crate) fn visit(&self, place: &Place, identity: Identity) -> Result<Occupant, EngineError> {
        self.try_enter(place, identity, Kind::Backup)
    }

    fn try_enter(&self, place: &Place, identity: Identity, kind: Kind) -> Result<Occupant, EngineError> {
        let mut state = self.lock();
        let is_former = |(other, occupied): (&Identity, &Occupied)| {
            // Databases see for themselves that they never overlap.
            let overlaps = kind == Kind::Backup || 0 < occupied.backups;
            overlaps && *other != identity && occupied.path == place.path()
        };
        if (kind == Kind::Backup || 0 < state.backups) && state.files.iter().any(is_former) {
            return Err(EngineError::Replaced);
        }
        let occupied = state.files.entry(identity).or_insert_with(|| Occupied {
            path: place.path().to_owned(),
            databases: 0,
            backups: 0,
        });
        if occupied.path != place.path() {
            return Err(EngineError::OpenElsewhere);
        }
        *occupied.count(kind) += 1;
        state.backups += usize::from(kind == Kind::Backup);
        Ok(Occupant { occupancy: self.clone(), identity, kind })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Occupied {
    fn count(&mut self, kind: Kind) -> &mut usize {
        match kind {
            Kind::Database => &mut self.databases,
            Kind::Backup => &mut self.backups,
        }
    }
}

impl Drop for Occupant {
    fn drop(&mut self) {
        let mut state = self.occupancy.lock();
        state.backups -= usize::from(self.kind == Kind::Backup);
        if let Some(occupied) = state.files.get_mut(&self.identity) {
            *occupied.count(self.kind) -= 1;
            if occupied.databases + occupied.backups == 0 {
                state.files.remove(&self.identity);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Files;
    use std::sync::Barrier;

    /// A place, and two files that were there one after the other.
    fn replaced(directory: &std::path::Path) -> (Place, Identity, Identity) {
        let path = directory.join("tenant.db");
        let place = Files::new(None).unwrap().place(path.to_str().unwrap()).unwrap();
        std::fs::write(&path, "").unwrap();
        let former = place.identify().unwrap().unwrap();
        std::fs::rename(&path, directory.join("moved.db")).unwrap();
        std::fs::write(&path, "").unwrap();
        let present = place.identify().unwrap().unwrap();
        (place, former, present)
    }

    #[test]
    fn a_backup_keeps_off_a_path_whose_former_file_is_still_open() {
        let directory = tempfile::tempdir().unwrap();
        let (place, former, present) = replaced(directory.path());
        let occupancy = Occupancy::default();
        let open = occupancy.enter(&place, former).unwrap();
        drop(occupancy.visit(&place, former).expect("the file itself"));
        assert!(matches!(occupancy.visit(&place, present), Err(EngineError::Replaced)));
        drop(open);
        drop(occupancy.visit(&place, present).expect("the former one is closed"));
    }

    #[test]
    fn a_database_waits_for_a_backup_to_leave_the_former_file() {
        let directory = tempfile::tempdir().unwrap();
        let (place, former, present) = replaced(directory.path());
        let occupancy = Occupancy::default();
        let visit = occupancy.visit(&place, former).unwrap();
        let together = Barrier::new(2);
        std::thread::scope(|scope| {
            let opening = scope.spawn(|| {
                together.wait();
                occupancy.enter(&place, present).map(drop)
            });
            together.wait();
            drop(visit);
            assert!(opening.join().unwrap().is_ok());
        });
        assert!(occupancy.lock().files.is_empty());
    }
}
