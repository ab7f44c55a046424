//! The public keys of the clients that are let in: the files `*.key` of one directory.
//!
//! Invariants: what is not there or may not be read lets nobody in; a change of the directory is seen by
//! the next peer that shakes hands, a change inside a file, or of the rights of peers that are in, within
//! [`RECHECK`]. While the system fails to read at all (out of files, say), the list stays as it was: who
//! uses up what there is must not have others thrown out.
use super::files::{KeyError, read_public};
use rustix::io::Errno;
use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::fs::Metadata;
use std::hash::{Hash as _, Hasher as _};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// A client's public key.
pub(crate) type ClientKey = [u8; 32];

/// How often every file is looked at.
pub(crate) const RECHECK: Duration = Duration::from_secs(2);

/// The most keys. What is beyond, in no particular order, is not let in.
const KEYS_MAX: usize = 100_000;

/// A file system's clock may stand still for so long: what changed just before it was read may have
/// changed just after as well, without a trace.
const CLOCK_GRAIN: Duration = Duration::from_secs(2);

/// Whose keys are let in, as the directory says.
#[derive(Debug)]
pub struct AllowedClients {
    directory: PathBuf,
    read: Mutex<Reading>,
    keys: watch::Sender<Arc<HashSet<ClientKey>>>,
}

/// The list cannot be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot read {}, where the public keys of clients are: create the directory (mode 0700) and put their *.key files into it, or do without --zap",
    directory.display()
)]
pub struct AllowedError {
    /// Which directory.
    pub directory: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// What was read, and when.
#[derive(Debug)]
struct Reading {
    directory: u64,
    files: u64,
    /// The files were looked at.
    checked: Instant,
    /// Something changed so shortly before that it could change again unseen.
    unsure: bool,
}

/// The directory's state: what tells that something changed.
struct Look {
    directory: u64,
    files: u64,
    paths: Vec<PathBuf>,
    newest: Duration,
}

// === impl AllowedClients ===

impl AllowedClients {
    /// Reads the list. A file that cannot be read, or is no key, is skipped with a warning.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub fn load(directory: PathBuf) -> Result<Self, AllowedError> {
        let read = || {
            let look = Look::at(&directory)?;
            let keys = look.keys()?;
            Ok((look.into_reading(), keys))
        };
        match read() {
            Ok((reading, keys)) => {
                Ok(Self { read: Mutex::new(reading), directory, keys: watch::Sender::new(Arc::new(keys)) })
            }
            Err(source) => Err(AllowedError { directory, source }),
        }
    }

    /// How many keys there are.
    pub fn count(&self) -> usize {
        self.keys.borrow().len()
    }

    /// Where the list is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether others than the owner may change the list.
    pub fn is_open_to_others(&self) -> bool {
        self.directory.metadata().is_ok_and(|metadata| metadata.mode() & 0o022 != 0)
    }

    /// Whether a key is on the list, as it was read last.
    pub(crate) fn has(&self, key: &ClientKey) -> bool {
        self.keys.borrow().contains(key)
    }

    /// Waits until a key that was on the list is no longer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn revoked(&self, key: &ClientKey) {
        let mut keys = self.keys.subscribe();
        // It ends with the list itself, which the caller holds.
        let _gone = keys.wait_for(|keys| !keys.contains(key)).await;
    }

    /// Reads the list again if it changed. Blocks.
    pub(crate) fn refresh(&self) {
        let mut read = self.read.lock().expect("never panics while locked");
        let unchanged = self.directory.metadata().is_ok_and(|metadata| stamp(&metadata) == read.directory);
        if unchanged && !read.unsure && read.checked.elapsed() < RECHECK {
            return;
        }
        let look = match Look::at(&self.directory) {
            Ok(look) if look.files == read.files && !read.unsure => {
                *read = look.into_reading();
                return;
            }
            Ok(look) => look,
            Err(error) if is_certain(&error) => {
                if !self.keys.borrow().is_empty() {
                    tracing::warn!(%error, "the list of authorized clients cannot be read: nobody is let in");
                }
                Look::nothing()
            }
            Err(error) => return self.keep(&mut read, &error),
        };
        let keys = match look.keys() {
            Ok(keys) => keys,
            Err(error) => return self.keep(&mut read, &error),
        };
        *read = look.into_reading();
        drop(read);
        self.publish(keys);
    }

    /// Goes by what was read before, and reads again at the next occasion.
    fn keep(&self, read: &mut Reading, error: &io::Error) {
        if !read.unsure {
            tracing::warn!(%error, "the list of authorized clients cannot be read now: it stays as it was");
        }
        read.unsure = true;
    }

    fn publish(&self, keys: HashSet<ClientKey>) {
        let count = keys.len();
        let changed = self.keys.send_if_modified(|known| {
            let changed = **known != keys;
            if changed {
                *known = Arc::new(keys);
            }
            changed
        });
        if changed {
            tracing::info!(count, "the list of authorized clients changed");
        }
    }
}

// === impl Look ===

impl Look {
    fn at(directory: &Path) -> io::Result<Self> {
        let metadata = directory.metadata()?;
        let mut look = Self { directory: stamp(&metadata), newest: changed(&metadata), ..Self::nothing() };
        for entry in directory.read_dir()? {
            let path = entry?.path();
            if path.extension().is_none_or(|ending| ending != "key") {
                continue;
            }
            if look.paths.len() == KEYS_MAX {
                tracing::warn!(
                    limit = KEYS_MAX,
                    "more keys of clients than are read: the others are not let in"
                );
                break;
            }
            // The one that a link leads to. What cannot be looked at is said when it is read.
            if let Ok(metadata) = path.metadata() {
                look.newest = look.newest.max(changed(&metadata));
                let mut hasher = DefaultHasher::new();
                (path.as_os_str().as_bytes(), stamp(&metadata)).hash(&mut hasher);
                // The order in which a directory is read means nothing.
                look.files = look.files.wrapping_add(hasher.finish());
            }
            look.paths.push(path);
        }
        Ok(look)
    }

    fn nothing() -> Self {
        Self { directory: 0, files: 0, paths: Vec::new(), newest: Duration::ZERO }
    }

    /// Reads every file; the error is one that says nothing of the file.
    fn keys(&self) -> io::Result<HashSet<ClientKey>> {
        let mut keys = HashSet::with_capacity(self.paths.len());
        for path in &self.paths {
            match read_public(path) {
                Ok(key) => {
                    keys.insert(*key.as_bytes());
                }
                Err(KeyError::Unreadable { source, .. }) if !is_certain(&source) => return Err(source),
                Err(error) => {
                    let cause =
                        std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                    tracing::warn!("an authorized client's key is skipped: {error}: {cause}");
                }
            }
        }
        Ok(keys)
    }

    fn into_reading(self) -> Reading {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Reading {
            directory: self.directory,
            files: self.files,
            checked: Instant::now(),
            unsure: now.abs_diff(self.newest) <= CLOCK_GRAIN,
        }
    }
}

/// Whether an error is about the file itself; others are about the system, and pass.
fn is_certain(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    let certain =
        [Kind::NotFound, Kind::PermissionDenied, Kind::NotADirectory, Kind::IsADirectory, Kind::InvalidInput];
    // A circle of links, a socket and a device that is not there have no kind of their own in stable Rust.
    let numbers = [Errno::LOOP, Errno::NXIO, Errno::NODEV].map(Errno::raw_os_error);
    certain.contains(&error.kind()) || error.raw_os_error().is_some_and(|number| numbers.contains(&number))
}

/// What is another number after a change.
fn stamp(metadata: &Metadata) -> u64 {
    let mut hasher = DefaultHasher::new();
    (metadata.dev(), metadata.ino(), metadata.size(), metadata.mode()).hash(&mut hasher);
    (metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()).hash(&mut hasher);
    hasher.finish()
}

/// When something changed last, since the Unix epoch; unlike the time of writing, nobody can set it.
fn changed(metadata: &Metadata) -> Duration {
    Duration::from_secs(u64::try_from(metadata.ctime()).unwrap_or(0))
}

#[cfg(test)]
mod tests;
