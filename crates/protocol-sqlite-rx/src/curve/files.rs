//! The files of one key pair: `<key id>.key`, public, and `<key id>.key_secret`, in one directory.
//!
//! Invariant: a secret is written to a file that nobody else may read, and read from no other.
use super::ServerKeys;
use super::certificate::{BadKey, Certificate, public_text, secret_text};
use omq_proto::{CurveKeypair, CurvePublicKey};
use rustix::fs::OFlags;
use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The longest file that is read for a key. They have a few hundred bytes.
const FILE_BYTES_MAX: usize = 16 * 1024;

/// The permissions by which others than the owner could read or write a file.
const OTHERS: u32 = 0o077;

/// The files of one key pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFiles {
    directory: PathBuf,
    key_id: String,
}

/// Whose keys they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A client's.
    Client,
    /// The server's.
    Server,
}

/// Why the server's keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There are none.
    #[error("there is no key file {}: make one with `{make}`, or name another with --curve-dir and --key-id", path.display())]
    Missing {
        /// Which file.
        path: PathBuf,
        /// The command that makes it.
        make: String,
    },
    /// The file cannot be read.
    #[error("cannot read the key file {}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others can read the secret.
    #[error(
        "the secret key file {} is open to others than its owner (mode {mode:04o}): `chmod 600` it, and make new keys if somebody may have read it",
        path.display()
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file is no key file.
    #[error("{} is not a key file as `rowhouse keygen` or zmq.auth writes it", path.display())]
    Bad {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: BadKey,
    },
}

/// Why no keys were made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// There are some.
    #[error("{} exists: keys are never overwritten; give another --key-id, or move it away", .0.display())]
    Exists(PathBuf),
    /// They cannot be written.
    #[error("cannot write {}", path.display())]
    Unwritable {
        /// Which file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

// === impl KeyFiles ===

impl KeyFiles {
    /// Where the public keys of clients are, in a directory of keys.
    pub const CLIENTS: &str = "authorized_clients";

    /// The files of the pair `key_id`, a plain file name, in `directory`.
    pub fn new(directory: PathBuf, key_id: String) -> Self {
        Self { directory, key_id }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the public keys of clients are.
    pub fn clients(&self) -> PathBuf {
        self.directory.join(Self::CLIENTS)
    }

    /// The file to hand out.
    pub fn public(&self) -> PathBuf {
        self.directory.join(format!("{}.key", self.key_id))
    }

    /// The file to keep.
    pub fn secret(&self) -> PathBuf {
        self.directory.join(format!("{}.key_secret", self.key_id))
    }

    /// Reads the server's pair.
    ///
    /// # Errors
    ///
    /// When the secret file is missing, cannot be read, may be read by others or holds no pair; when the
    /// public file beside it is there and of another pair, for clients would look for another server.
    pub fn load(&self) -> Result<ServerKeys, KeyError> {
        let path = self.secret();
        let file = open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => KeyError::Missing { path: path.clone(), make: self.make_command() },
            _ => KeyError::Unreadable { path: path.clone(), source },
        })?;
        let unreadable = |source| KeyError::Unreadable { path: path.clone(), source };
        let mode = file.metadata().map_err(unreadable)?.mode() & 0o7777;
        if mode & OTHERS != 0 {
            return Err(KeyError::Exposed { path, mode });
        }
        let text = read_bounded(file).map_err(unreadable)?;
        let pair = text.and_then(|text| Certificate::parse(&text)?.into_pair());
        let pair = pair.map_err(|source| KeyError::Bad { path, source })?;
        match read_public(&self.public()) {
            Err(KeyError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            Ok(public) if public == pair.public => {}
            Ok(_) => return Err(KeyError::Bad { path: self.public(), source: BadKey::OtherPair }),
            Err(error) => return Err(error),
        }
        Ok(ServerKeys(pair))
    }

    /// Makes a pair, its directory and the directory for clients' keys, as far as they are missing.
    ///
    /// # Errors
    ///
    /// When a file of that name exists, or something cannot be written; then no file of the pair is left.
    pub fn make(&self) -> Result<(), MakeError> {
        let (public, secret) = (self.public(), self.secret());
        for path in [&secret, &public] {
            if path.symlink_metadata().is_ok() {
                return Err(MakeError::Exists(path.clone()));
            }
        }
        let clients = self.clients();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&clients)
            .map_err(|source| MakeError::Unwritable { path: clients, source })?;
        let pair = CurveKeypair::generate();
        write_new(&secret, secret_text(&pair).as_bytes())?;
        write_new(&public, public_text(&pair).as_bytes()).inspect_err(|_| {
            // A secret without its public half is of no use; that it stays is no harm either.
            let _left = std::fs::remove_file(&secret);
        })
    }

    fn make_command(&self) -> String {
        let directory = self.directory.display();
        format!("rowhouse keygen --mode server --curve-dir {directory} --key-id {}", self.key_id)
    }
}

/// Reads the key of a public file.
pub(super) fn read_public(path: &Path) -> Result<CurvePublicKey, KeyError> {
    let unreadable = |source| KeyError::Unreadable { path: path.to_owned(), source };
    let text = read_bounded(open(path).map_err(unreadable)?).map_err(unreadable)?;
    text.and_then(|text| Certificate::parse(&text)?.public.ok_or(BadKey::NoPublic))
        .map_err(|source| KeyError::Bad { path: path.to_owned(), source })
}

/// Opens a file, and nothing that could make its reader wait, such as a pipe.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")),
    }
}

fn read_bounded(file: File) -> io::Result<Result<Zeroizing<Vec<u8>>, BadKey>> {
    // Whole from the start, for a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX + 1));
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut text)?;
    Ok(if FILE_BYTES_MAX < text.len() { Err(BadKey::TooLong) } else { Ok(text) })
}

/// Writes a file that did not exist, whole or not at all.
fn write_new(path: &Path, text: &[u8]) -> Result<(), MakeError> {
    let beside = path.with_file_name(format!(
        ".{}.new-{}",
        path.file_name().unwrap_or_default().to_string_lossy(),
        std::process::id()
    ));
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(text)?;
        file.sync_all()?;
        // Unlike a renaming, a link never replaces what somebody else has made meanwhile.
        std::fs::hard_link(&beside, path)
    };
    let written = write();
    // It was never made, or is the second name of what was.
    let _gone = std::fs::remove_file(&beside);
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => MakeError::Exists(path.to_owned()),
        _ => MakeError::Unwritable { path: path.to_owned(), source },
    })
}

// === impl Side ===

impl Side {
    /// The name of the keys of this side on this machine, as sqlite_rx has it.
    pub fn key_id(self) -> String {
        let uname = rustix::system::uname();
        format!("id_{self}_{}_curve", uname.nodename().to_string_lossy())
    }
}

/// The word in file names.
impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

#[cfg(test)]
mod tests;
