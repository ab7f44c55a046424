//! Backups: a consistent copy of a database that others go on using.
//!
//! A file is copied over a connection of the backup's own, whether the database is open here, in
//! another process, or nowhere: no tenant is evicted, kept open or counted for it. In WAL mode the
//! connection holds one snapshot from the first page to the last; readers and the writer go on, and
//! the log, which cannot begin anew meanwhile, grows by what is written. If the database closes
//! meanwhile, the log is left to this connection, the last to leave.
//!
//! Memory cannot be read while it is written: it is copied to other memory within one turn to
//! write, and from there at leisure.
use crate::config::Config;
use crate::copying::{Check, copy_pages, finish, open};
use crate::errors::{storage, translate};
use crate::executor::{Executor, ExecutorConfig};
use crate::files::{Files, Place, Traces};
use crate::handle::Source;
use crate::occupancy::Occupancy;
use crate::restore::restore;
use rowhouse_engine::{Course, EngineError, Pace, Restoration, Stage, Stamp};
use rusqlite::{Connection, OpenFlags};
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The most copies that may wait for the one under way.
const COPIES_WAITING: usize = 64;

/// How old the last change must be for times to tell it from the next: more than any clock of a
/// file system's is coarse.
const SETTLED: Duration = Duration::from_secs(2);

/// Makes backups and restores, one at a time. Cloning yields another handle.
#[derive(Clone, Debug)]
pub(crate) struct Copier {
    /// One thread, while there is something to copy: many copies at once would only take the disk
    /// from each other.
    executor: Executor,
    files: Arc<Files>,
    config: Arc<Config>,
    occupancy: Occupancy,
}

/// Stops a course when it is dropped before its end.
struct StopOnDrop<'a>(Option<&'a Course>);

/// A file that is removed unless it is finished.
struct Draft<'a>(Option<&'a Place>);

// === impl Copier ===

impl Copier {
    pub(crate) fn new(files: Arc<Files>, config: Arc<Config>, occupancy: Occupancy) -> Self {
        let executor = Executor::new(ExecutorConfig {
            min_threads: 0,
            max_threads: NonZeroUsize::MIN,
            queue: COPIES_WAITING,
            keep_alive: Duration::from_secs(1),
            ..ExecutorConfig::default()
        });
        Self { executor, files, config, occupancy }
    }

    pub(crate) fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Copies the database of `source` into the new file `to`.
    ///
    /// `turn` is the turn to write where the source cannot be read without it.
    pub(crate) async fn back_up(
        &self,
        source: Source,
        turn: impl Send + 'static,
        to: &Path,
        course: &Course,
    ) -> Result<(), EngineError> {
        let to = to.to_str().map(str::to_owned).ok_or_else(not_text)?;
        let (course, Self { files, config, occupancy, .. }) = (course.clone(), self.clone());
        self.call(&course.clone(), move || {
            let to = files.place(&to)?;
            // The database counts as open meanwhile: no other path may lead to it.
            let _occupant = match &source {
                Source::File { place, identity, .. } => Some(occupancy.visit(place, *identity)?),
                Source::Memory { .. } => None,
            };
            to.make()?;
            let mut draft = Draft(Some(&to));
            copy_source(&source, turn, (&to, &config), &course)?;
            finish(&to, &config, &course)?;
            draft.0 = None;
            Ok(())
        })
        .await
    }

    /// Restores a backup to the place `at`.
    pub(crate) async fn restore(
        &self,
        at: String,
        restoration: Restoration<'_>,
        course: &Course,
    ) -> Result<(), EngineError> {
        let (from, over) = (restoration.from.to_owned(), restoration.over);
        let (course, Self { files, config, .. }) = (course.clone(), self.clone());
        self.call(&course.clone(), move || {
            let at = files.place(&at)?;
            restore((&files, &config), (&from, over), &at, &course)
        })
        .await
    }

    async fn call(
        &self,
        course: &Course,
        copy: impl FnOnce() -> Result<(), EngineError> + Send + 'static,
    ) -> Result<(), EngineError> {
        let mut stop = StopOnDrop(Some(course));
        let copied = self.executor.call(copy).await;
        stop.0 = None;
        copied?
    }
}

/// Copies the content of `source` into the empty file at `to`. Blocks.
fn copy_source(
    source: &Source,
    turn: impl Sized,
    (to, config): (&Place, &Config),
    course: &Course,
) -> Result<(), EngineError> {
    course.tell(Stage::Copying, 0, 0);
    match source {
        Source::File { place, .. } => {
            let from = open(place.path(), config)?;
            // SQLite opened it by its path: still the same file?
            source.verify()?;
            let goes_on = || source.verify();
            let copied = hold_snapshot(&from).and_then(|()| copy((&from, &goes_on), to, config, course));
            // Closing may empty the log, if all others have left meanwhile.
            if let Err((_, error)) = from.close() {
                tracing::debug!(%error, "a connection for a backup did not close cleanly");
            }
            copied
        }
        Source::Memory { name } => {
            let from = duplicate(name, course)?;
            drop(turn);
            copy((&from, &|| Ok(())), to, config, course)
        }
    }
}

/// The stamp of the file at `place`. Blocks.
pub(crate) fn stamp(place: &Place) -> Result<Stamp, EngineError> {
    let traces = place.traces()?.ok_or(EngineError::NoSuchDatabase)?;
    Ok(judge(&traces, SystemTime::now()))
}

fn judge(traces: &Traces, now: SystemTime) -> Stamp {
    // What was changed a moment ago may be changed again within the same tick of the clock.
    let age = now.duration_since(traces.newest).unwrap_or_default();
    if age < SETTLED { Stamp::UNKNOWN } else { Stamp::of(&traces.parts) }
}

/// Whether a database in memory holds nothing. Blocks; needs the turn to write.
pub(crate) fn is_empty(name: &str) -> Result<bool, EngineError> {
    let pages = open_memory(name)
        .and_then(|memory| memory.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)));
    pages.map(|pages| pages == 0).map_err(|error| translate(&error))
}

/// Begins to read, so that all that follows sees one moment.
///
/// Not where there is no log: there, who reads keeps others from writing.
fn hold_snapshot(connection: &Connection) -> Result<(), EngineError> {
    let begin = || {
        let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
        if mode == "wal" {
            connection.execute_batch("BEGIN; SELECT 1 FROM sqlite_schema;")?;
        }
        Ok(())
    };
    begin().map_err(|error: rusqlite::Error| translate(&error))
}

/// Copies from a connection, as long as the check beside it holds.
fn copy(
    from: (&Connection, Check<'_>),
    to: &Place,
    config: &Config,
    course: &Course,
) -> Result<(), EngineError> {
    let mut target = open(to.path(), config)?;
    // Nothing of it counts before it is finished, so nothing need be undone or safe until then.
    target
        .execute_batch("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;")
        .map_err(|error| translate(&error))?;
    copy_pages(from, &mut target, course)?;
    target.close().map_err(|(_, error)| translate(&error))
}

/// A copy in memory of its own of the memory `name`.
fn duplicate(name: &str, course: &Course) -> Result<Connection, EngineError> {
    let failed = |error: rusqlite::Error| translate(&error);
    let from = open_memory(name).map_err(failed)?;
    let mut to = Connection::open_in_memory().map_err(failed)?;
    // Somebody waits for the turn: no rest.
    let hurried = Course::new(Pace::Full);
    if course.must_stop() {
        return Err(EngineError::Cancelled);
    }
    copy_pages((&from, &|| Ok(())), &mut to, &hurried)?;
    Ok(to)
}

fn open_memory(name: &str) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags_and_vfs(name, flags, c"memdb")
}

fn not_text() -> EngineError {
    storage(io::Error::new(io::ErrorKind::InvalidInput, "the path of the backup is not UTF-8"))
}

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(course) = self.0 {
            course.stop();
        }
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.0
            && let Err(error) = place.clear()
        {
            tracing::debug!(%error, "an unfinished backup could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn a_stamp_says_unchanged_only_when_the_clock_has_moved_on() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::new(Some(directory.path())).unwrap();
        let path = directory.path().join("tenant.db");
        let place = files.place(path.to_str().unwrap()).unwrap();
        std::fs::write(&path, "one").unwrap();
        let traces = || place.traces().unwrap().unwrap();
        assert_eq!(judge(&traces(), SystemTime::now()), Stamp::UNKNOWN);
        let later = SystemTime::now() + 2 * SETTLED;
        let before = judge(&traces(), later);
        assert!(judge(&traces(), later).is_unchanged_since(before));
        // What is committed to the log leaves the file itself as it is.
        std::fs::write(directory.path().join("tenant.db-wal"), "commit").unwrap();
        let logged = judge(&traces(), later);
        assert!(!logged.is_unchanged_since(before));
        // A clock that was set back tells nothing.
        assert_eq!(judge(&traces(), UNIX_EPOCH), Stamp::UNKNOWN);
        std::fs::remove_file(directory.path().join("tenant.db-wal")).unwrap();
        assert!(judge(&traces(), later).is_unchanged_since(before));
    }
}
