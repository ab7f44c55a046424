//! Restores: a backup becomes a database, wholly or not at all.
//!
//! The backup may be anybody's file. It is copied byte by byte into a workshop, a directory beside
//! the database, without SQLite ever opening the original; the copy is made plain and checked there.
//! Over nothing, it is then renamed to where nothing may be. Over an existing database it is copied
//! page by page into that very file, alone with it and in one transaction: whoever comes after a
//! crash finds SQLite's journal and rolls back. The file is never exchanged for another, for a
//! server that is just opening it would go on with the old one.
use crate::config::Config;
use crate::copying::{Content, Pacer, copy_pages, finish, open, open_for};
use crate::errors::{storage, translate};
use crate::files::{Files, Place};
use rowhouse_engine::{Condition, Course, EngineError, Over, Presence, Stage};
use rusqlite::Connection;
use rustix::fs::{AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

/// Bytes copied between two looks at the course.
const STEP_BYTES: usize = 1 << 20;

/// The copy's name in its workshop.
const COPY: &str = "copy";

/// A directory for one restore at a time to one place; removed when it is dropped.
struct Workshop<'a> {
    place: &'a Place,
    name: String,
    /// Locked.
    directory: OwnedFd,
}

/// Restores the backup `from` to `at`. Blocks.
pub(crate) fn restore(
    (files, config): (&Files, &Config),
    (from, over): (&Path, Over),
    at: &Place,
    course: &Course,
) -> Result<(), EngineError> {
    let there = at.probe()?;
    match (over, there) {
        (Over::Nothing, Presence::Present) => return Err(EngineError::AlreadyExists),
        (Over::Existing, Presence::Absent) => return Err(EngineError::NoSuchDatabase),
        (Over::Existing, Presence::Present) => {
            at.check_case(at.identify()?.ok_or(EngineError::NoSuchDatabase)?)?;
        }
        (Over::Nothing, Presence::Absent) => {}
    }
    if let Some(path) = from.to_str()
        && files.place(path).is_ok_and(|place| place.is_in_root())
    {
        return Err(bad("it is a database of the data directory; move a copy of it elsewhere first"));
    }
    let workshop = Workshop::open(at)?;
    let copy = workshop.take_in(from, course)?;
    finish(&copy, config, course).map_err(of_backup)?;
    match over {
        Over::Nothing => files.adopt(&workshop.directory, COPY, at),
        Over::Existing => replace(at, &copy, config, course),
    }
}

/// Writes the copy's content over the database's, which nobody may have open.
fn replace(at: &Place, copy: &Place, config: &Config, course: &Course) -> Result<(), EngineError> {
    let from = open(copy.path(), config)?;
    let mut to = open_alone(at, config)?;
    copy_pages((&from, &|| Ok(())), &mut to, course)?;
    to.close().map_err(|(_, error)| translate(&error))
}

/// Opens a database so that nobody else has it open until it is closed.
///
/// Who has a database in WAL mode open holds a lock on its file all the time.
fn open_alone(at: &Place, config: &Config) -> Result<Connection, EngineError> {
    match lock(Content::Matters, at, config) {
        // Damaged, or of a format that this SQLite does not write.
        Err(EngineError::Statement {
            condition: Condition::Corrupt | Condition::NotADatabase | Condition::ReadOnly,
            ..
        }) => lock(Content::IsDisregarded, at, config),
        sensible => sensible,
    }
}

fn lock(content: Content, at: &Place, config: &Config) -> Result<Connection, EngineError> {
    let locked = |to: &Connection| {
        // Whoever has it open will have it for long.
        to.busy_timeout(Duration::ZERO)?;
        to.execute_batch("PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=EXTRA;")?;
        if content == Content::Matters {
            // Takes what is in the log into the file, and the log away.
            to.query_row("PRAGMA journal_mode=DELETE", [], |_| Ok(()))?;
        }
        to.execute_batch("BEGIN EXCLUSIVE; ROLLBACK;")
    };
    let opened = open_for(content, at.path(), config)
        .and_then(|to| locked(&to).map(|()| to).map_err(|error| translate(&error)));
    opened.map_err(|error| match error {
        EngineError::Statement { condition: Condition::Busy | Condition::Locked, .. } => EngineError::InUse,
        error => error,
    })
}

/// What is wrong with the copy's content is wrong with the backup.
fn of_backup(error: EngineError) -> EngineError {
    use Condition::{Busy, CannotOpen, Full, Io, NoMemory, Permission, ReadOnly};
    match error {
        EngineError::Statement {
            condition: Busy | CannotOpen | Full | Io | NoMemory | Permission | ReadOnly,
            ..
        } => error,
        EngineError::Statement { message, .. } => EngineError::BadBackup { reason: message },
        error => error,
    }
}

fn bad(reason: &str) -> EngineError {
    EngineError::BadBackup { reason: reason.to_owned() }
}

// === impl Workshop ===

impl<'a> Workshop<'a> {
    /// Makes it, or takes over what a killed process left.
    fn open(place: &'a Place) -> Result<Self, EngineError> {
        let name = format!(".{}.restoring", place.name());
        match rustix::fs::mkdirat(place.directory(), &name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(storage(error)),
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(place.directory(), &name, flags, Mode::empty());
        let directory = opened.map_err(storage)?;
        match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            // Another restore.
            Err(Errno::WOULDBLOCK) => return Err(EngineError::InUse),
            Err(error) => return Err(storage(error)),
        }
        let workshop = Self { place, name, directory };
        workshop.sweep().map_err(storage)?;
        Ok(workshop)
    }

    /// Copies the backup's bytes here.
    fn take_in(&self, from: &Path, course: &Course) -> Result<Place, EngineError> {
        for suffix in ["-wal", "-journal"] {
            let mut beside = from.as_os_str().to_owned();
            beside.push(suffix);
            if rustix::fs::lstat(&*beside).is_ok_and(|stat| stat.st_size != 0) {
                return Err(bad("a log lies beside it: it is a database that was not closed, not a backup"));
            }
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut source = match rustix::fs::openat(CWD, from, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::LOOP) => return Err(bad("it is a link")),
            Err(error) => return Err(storage(error)),
        };
        let stat = rustix::fs::fstat(&source).map_err(storage)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink != 1 {
            return Err(bad("it is a link, a directory or another kind of file"));
        }
        if stat.st_size == 0 {
            return Err(bad("it is empty"));
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&self.directory, COPY, flags, Mode::RUSR | Mode::WUSR);
        let mut copy = File::from(made.map_err(storage)?);
        let (total, mut done) = (stat.st_size.unsigned_abs(), 0);
        let (mut pacer, mut buffer) = (Pacer::new(course), vec![0; STEP_BYTES]);
        while pacer.goes_on() {
            let read = source.read(&mut buffer).map_err(storage)?;
            if read == 0 {
                return self.copy();
            }
            copy.write_all(&buffer[..read]).map_err(storage)?;
            done += read as u64;
            course.tell(Stage::Copying, done, total);
        }
        Err(EngineError::Cancelled)
    }

    fn copy(&self) -> Result<Place, EngineError> {
        Ok(self.place.within(&self.name, self.directory.try_clone().map_err(storage)?, COPY))
    }

    /// Empties it.
    fn sweep(&self) -> rustix::io::Result<()> {
        for entry in Dir::read_from(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                rustix::fs::unlinkat(&self.directory, name, AtFlags::empty())?;
            }
        }
        Ok(())
    }
}

impl Drop for Workshop<'_> {
    fn drop(&mut self) {
        let removed = self
            .sweep()
            .and_then(|()| rustix::fs::unlinkat(self.place.directory(), &self.name, AtFlags::REMOVEDIR));
        if let Err(error) = removed {
            tracing::debug!(%error, "the workshop of a restore could not be removed");
        }
    }
}
