//! Files with secrets: small, plain, and nobody's but their owner's.
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The most bytes of such a file.
const SIZE_MAX: u64 = 256 * 1024;

/// Why a file with secrets is not read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
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
    /// It is no plain file of such a size.
    #[error("{} is not a plain file of at most {SIZE_MAX} bytes", .0.display())]
    Odd(PathBuf),
}

/// Reads a file that nobody but its owner may read or change.
pub(crate) fn read(file: &Path) -> Result<Zeroizing<String>, SecretError> {
    let failed = |source| SecretError::Read { file: file.to_owned(), source };
    // Looked at before it is opened, for opening a pipe would wait; and again after, for it may be another.
    let looks = std::fs::metadata(file).map_err(failed)?;
    if !looks.is_file() {
        return Err(SecretError::Odd(file.to_owned()));
    }
    let opened = File::open(file).map_err(failed)?;
    let looks = opened.metadata().map_err(failed)?;
    if !looks.is_file() || SIZE_MAX < looks.len() {
        return Err(SecretError::Odd(file.to_owned()));
    }
    let mode = looks.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SecretError::Open { file: file.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::new());
    opened.take(SIZE_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}
