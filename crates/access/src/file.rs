//! Files that decide who comes in: small, plain, and changed by nobody but their owner.
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The most bytes of such a file.
const SIZE_MAX: u64 = 256 * 1024;

/// What others than the owner may not do with a file with secrets.
const READ_OR_CHANGE: u32 = 0o077;

/// What others than the owner may not do with a file that anybody may know.
const CHANGE: u32 = 0o022;

/// Why such a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may read or change it.
    #[error(
        "others than its owner may read or change {} (mode {mode:03o}): `chmod 600` it and exchange what is in it",
        file.display()
    )]
    Open {
        /// The file.
        file: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Others may change it.
    #[error(
        "others than its owner may change {} (mode {mode:03o}), and so decide who comes in: `chmod 644` it and look at what is in it",
        file.display()
    )]
    Changeable {
        /// The file.
        file: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is no plain file of such a size.
    #[error("{} is not a plain file of at most {SIZE_MAX} bytes", .0.display())]
    Odd(PathBuf),
}

/// Reads a file that nobody but its owner may read or change.
///
/// # Errors
///
/// When others may, or it cannot be read, is no plain file, or is too large.
pub fn read_secret(file: &Path) -> Result<Zeroizing<String>, FileError> {
    read(file, READ_OR_CHANGE)
}

/// Reads a file that anybody may know, and nobody but its owner may change.
///
/// # Errors
///
/// As of [`read_secret`].
pub(crate) fn read_public(file: &Path) -> Result<Zeroizing<String>, FileError> {
    read(file, CHANGE)
}

fn read(file: &Path, forbidden: u32) -> Result<Zeroizing<String>, FileError> {
    let failed = |source| FileError::Read { file: file.to_owned(), source };
    // Looked at before it is opened, for opening a pipe would wait; and again after, for it may be another.
    let looks = std::fs::metadata(file).map_err(failed)?;
    if !looks.is_file() {
        return Err(FileError::Odd(file.to_owned()));
    }
    let opened = File::open(file).map_err(failed)?;
    let looks = opened.metadata().map_err(failed)?;
    if !looks.is_file() || SIZE_MAX < looks.len() {
        return Err(FileError::Odd(file.to_owned()));
    }
    let (file, mode) = (file.to_owned(), looks.mode() & 0o777);
    match mode & forbidden {
        0 => {}
        _ if forbidden == CHANGE => return Err(FileError::Changeable { file, mode }),
        _ => return Err(FileError::Open { file, mode }),
    }
    let mut text = Zeroizing::new(String::new());
    let failed = |source| FileError::Read { file, source };
    opened.take(SIZE_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}
