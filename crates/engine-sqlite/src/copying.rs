//! What backups and restores have in common: connections of the house's own, pages copied in
//! bounded steps, and a copy made sound: one plain file, checked, safe on the disk.
use crate::config::Config;
use crate::errors::{busy, translate};
use crate::files::Place;
use crate::hardening::harden_for_house;
use rowhouse_engine::{Condition, Course, EngineError, Pace, Stage};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, ffi};
use std::path::Path;
use std::time::{Duration, Instant};

/// Pages copied between two looks at the course: at most some milliseconds of work.
const STEP_PAGES: i32 = 128;

/// Virtual-machine instructions between two looks at the course while a copy is checked.
const LOOK_EVERY: i32 = 2_000;

/// Where a file tells which format is needed to write and to read it: 1 is a plain file.
const FORMAT_VERSIONS: std::ops::Range<usize> = 18..20;

/// How long a gentle copy works before it rests for as long as it has worked.
const SPELL: Duration = Duration::from_millis(2);

/// The longest rest: after a slow disk, half of the time is not needed.
const LONGEST_REST: Duration = Duration::from_millis(50);

/// How often a copy may begin anew because its source was changed, where no snapshot can be held.
const RESTARTS_MAX: u32 = 3;

/// Works and rests, as its course says.
#[derive(Debug)]
pub(crate) struct Pacer {
    course: Course,
    since: Instant,
}

// === impl Pacer ===

impl Pacer {
    pub(crate) fn new(course: &Course) -> Self {
        Self { course: course.clone(), since: Instant::now() }
    }

    /// Rests if it is time to. False when the course was stopped.
    pub(crate) fn goes_on(&mut self) -> bool {
        if self.course.must_stop() {
            return false;
        }
        let worked = self.since.elapsed();
        if self.course.pace() == Pace::Gentle && SPELL <= worked {
            std::thread::sleep(worked.min(LONGEST_REST));
            self.since = Instant::now();
        }
        !self.course.must_stop()
    }
}

/// What must hold while pages are copied.
pub(crate) type Check<'a> = &'a dyn Fn() -> Result<(), EngineError>;

/// What a file's content is to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A database.
    Matters,
    /// Nothing, whatever is there: it will be written over.
    IsDisregarded,
}

/// Opens a connection for SQL of the house's own. Blocks.
///
/// It may write: a log left by a crash must be read, and the last to leave empties it.
pub(crate) fn open(path: &Path, config: &Config) -> Result<Connection, EngineError> {
    open_for(Content::Matters, path, config)
}

/// As [`open`], saying what the content is.
pub(crate) fn open_for(content: Content, path: &Path, config: &Config) -> Result<Connection, EngineError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let opened = Connection::open_with_flags(path, flags);
    let connection = opened.map_err(|error| translate(&error))?;
    prepare(content, &connection, config).map_err(|error| translate(&error))?;
    Ok(connection)
}

fn prepare(content: Content, connection: &Connection, config: &Config) -> rusqlite::Result<()> {
    if content == Content::IsDisregarded {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_RESET_DATABASE, true)?;
    }
    harden_for_house(connection)?;
    connection.busy_timeout(config.busy_timeout)?;
    connection.execute_batch(&format!("PRAGMA synchronous={}", config.synchronous.as_str()))
}

/// Copies all pages of `from` over whatever `to` holds, in one transaction of `to`. Blocks.
///
/// `check` is asked again and again whether it goes on. Where `from` is in a transaction, it is one snapshot; else the copy begins anew when somebody
/// changes the source, and after some times that somebody waits.
pub(crate) fn copy_pages(
    (from, check): (&Connection, Check<'_>),
    to: &mut Connection,
    course: &Course,
) -> Result<(), EngineError> {
    let failed = |error: rusqlite::Error| translate(&error);
    let mut pacer = Pacer::new(course);
    let (mut restarts, mut remaining) = (0, i32::MAX);
    let mut stuck = None;
    let backup = Backup::new(from, to).map_err(failed)?;
    loop {
        if !pacer.goes_on() {
            return Err(EngineError::Cancelled);
        }
        check()?;
        let pages = if RESTARTS_MAX < restarts { -1 } else { STEP_PAGES };
        match backup.step(pages).map_err(failed)? {
            StepResult::Done => return Ok(()),
            StepResult::More => stuck = None,
            // The busy handler has been patient already; this is about locks within the process.
            _locked => {
                let since = *stuck.get_or_insert_with(Instant::now);
                if Duration::from_secs(5) < since.elapsed() {
                    return Err(busy());
                }
                std::thread::sleep(Duration::from_millis(5));
                continue;
            }
        }
        let progress = backup.progress();
        restarts += u32::from(remaining < progress.remaining);
        remaining = progress.remaining;
        let (total, left) = (progress.pagecount.unsigned_abs(), progress.remaining.unsigned_abs());
        course.tell(Stage::Copying, u64::from(total - left.min(total)), u64::from(total));
    }
}

/// Makes a copy that nobody has open one plain file, checks it, and makes it safe. Blocks.
pub(crate) fn finish(copy: &Place, config: &Config, course: &Course) -> Result<(), EngineError> {
    course.tell(Stage::Verifying, 0, 0);
    let connection = open(copy.path(), config)?;
    let plain = connection
        .execute_batch("PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=OFF;")
        .and_then(|()| connection.query_row("PRAGMA journal_mode=DELETE", [], |row| row.get::<_, String>(0)))
        .map_err(|error| translate(&error))?;
    if plain != "delete" {
        return Err(damaged("its log cannot be closed"));
    }
    verify(connection, course)?;
    // No connection to it is left, so that opening it here drops no lock of SQLite's.
    let header = copy.sync()?;
    match header.get(FORMAT_VERSIONS) {
        None | Some([1, 1]) => Ok(()),
        Some(_) => Err(damaged("its format is newer than this SQLite's")),
    }
}

/// Checks every page, index and constraint.
fn verify(mut connection: Connection, course: &Course) -> Result<(), EngineError> {
    let mut pacer = Pacer::new(course);
    connection
        .progress_handler(LOOK_EVERY, Some(move || !pacer.goes_on()))
        .map_err(|error| translate(&error))?;
    let verdict = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0));
    if course.must_stop() {
        return Err(EngineError::Cancelled);
    }
    let verdict = verdict.map_err(|error| translate(&error))?;
    connection.close().map_err(|(_, error)| translate(&error))?;
    if verdict == "ok" { Ok(()) } else { Err(damaged(&verdict)) }
}

fn damaged(verdict: &str) -> EngineError {
    let message = format!("database disk image is malformed: {}", verdict.trim().replace('\n', "; "));
    EngineError::Statement { condition: Condition::Corrupt, message, native: ffi::SQLITE_CORRUPT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_ends_when_its_source_was_replaced() {
        let (from, mut to) = (Connection::open_in_memory().unwrap(), Connection::open_in_memory().unwrap());
        from.execute_batch("CREATE TABLE t AS SELECT zeroblob(4000000)").unwrap();
        let asked = std::cell::Cell::new(0);
        let check = || {
            asked.set(asked.get() + 1);
            if asked.get() < 3 { Ok(()) } else { Err(EngineError::Replaced) }
        };
        let copied = copy_pages((&from, &check), &mut to, &Course::new(Pace::Full));
        assert!(matches!(copied, Err(EngineError::Replaced)));
        let pages: i64 = to.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        assert_eq!(pages, 0, "nothing of it counts");
    }
}
