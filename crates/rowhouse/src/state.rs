//! The server's own state: `<data directory>/.rowhouse/`, a name no database can have.
//!
//! Invariant: while a [`State`] lives, no other process has the same directory's.
mod journal;
mod metadata;

pub(crate) use journal::Kept;
pub use journal::{Audit, JournalStartError};
pub use metadata::MetadataStartError;
pub(crate) use metadata::OwnMetadata;

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The version of the state's layout that this program writes and reads.
const FORMAT: u32 = 1;

/// The server's own state, locked.
#[derive(Debug)]
pub(crate) struct State {
    /// Held for its lock.
    _lock: File,
}

/// Why the state cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process has it.
    #[error(
        "another rowhouse process uses the data directory {}: stop it, or give another --data-directory",
        .0.display()
    )]
    InUse(PathBuf),
    /// A newer program has written it.
    #[error(
        "the data directory {} was written by a newer rowhouse (state format {found}, this one knows up to {FORMAT}): use that version",
        path.display()
    )]
    Newer {
        /// The data directory.
        path: PathBuf,
        /// The format found.
        found: u32,
    },
    /// It says nothing this program understands.
    #[error("{} does not hold a format number: restore it from a backup, or remove it if this directory was never used", .0.display())]
    Unreadable(PathBuf),
    /// The directory cannot be used.
    #[error("cannot use the data directory {}", path.display())]
    Io {
        /// The data directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl State {
    /// Creates the data directory and its state if need be, and locks it.
    pub(crate) fn lock(data_directory: &Path) -> Result<Self, StateError> {
        let failed = |source| StateError::Io { path: data_directory.to_owned(), source };
        let directory = data_directory.join(".rowhouse");
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&directory).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(directory.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::InUse(data_directory.to_owned())),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        check_format(data_directory, &directory.join("format"))?;
        Ok(Self { _lock: lock })
    }
}

fn check_format(data_directory: &Path, file: &Path) -> Result<(), StateError> {
    let failed = |source| StateError::Io { path: data_directory.to_owned(), source };
    match std::fs::read_to_string(file) {
        Ok(text) => match text.trim().parse::<u32>() {
            Ok(found) if FORMAT < found => Err(StateError::Newer { path: data_directory.to_owned(), found }),
            Ok(_) => Ok(()),
            Err(_) => Err(StateError::Unreadable(file.to_owned())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => write_format(file).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

/// Written beside and renamed, so that a crash leaves no half of it.
fn write_format(file: &Path) -> io::Result<()> {
    let beside = file.with_extension("new");
    let mut new = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    writeln!(new, "{FORMAT}")?;
    new.sync_all()?;
    std::fs::rename(&beside, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_until_the_first_is_gone() {
        let directory = tempfile::tempdir().expect("a directory");
        let first = State::lock(directory.path()).expect("free");
        assert!(matches!(State::lock(directory.path()), Err(StateError::InUse(_))));
        drop(first);
        State::lock(directory.path()).expect("free again");
    }

    #[test]
    fn a_newer_format_and_nonsense_are_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        drop(State::lock(directory.path()).expect("free"));
        let format = directory.path().join(".rowhouse/format");
        std::fs::write(&format, "2\n").expect("writable");
        assert!(matches!(State::lock(directory.path()), Err(StateError::Newer { found: 2, .. })));
        std::fs::write(&format, "x").expect("writable");
        assert!(matches!(State::lock(directory.path()), Err(StateError::Unreadable(_))));
    }
}
