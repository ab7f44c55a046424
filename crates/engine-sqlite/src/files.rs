//! Database files: looked at without following links, made and removed through a directory handle.
//!
//! A file counts as a database when it is a regular file with one name only: a link, of either
//! kind, could lead to another tenant's file.
use crate::errors::storage;
use crate::names::Names;
use rowhouse_engine::{EngineError, Presence};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What SQLite keeps beside a database's file.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The data directory, and how other places are looked at.
#[derive(Debug)]
pub(crate) struct Files {
    root: Option<Root>,
}

#[derive(Debug)]
struct Root {
    /// Canonical.
    path: PathBuf,
    handle: Mutex<Option<Arc<OwnedFd>>>,
    names: Mutex<Names>,
}

/// One database's file: a name in an open directory.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    directory: Arc<OwnedFd>,
    name: String,
    path: PathBuf,
    in_root: bool,
}

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

// === impl Files ===

impl Files {
    /// Uses `root` as the data directory, creating it if missing.
    pub(crate) fn new(root: Option<&Path>) -> io::Result<Self> {
        let root = root.map(Root::new).transpose()?;
        Ok(Self { root })
    }

    /// The file of the database `name` in the data directory.
    pub(crate) fn path_of(&self, name: &str) -> Option<PathBuf> {
        self.root.as_ref().map(|root| root.path.join(format!("{name}.db")))
    }

    /// The place at `path`, its directory open.
    pub(crate) fn place(&self, path: &str) -> Result<Place, EngineError> {
        let path = Path::new(path);
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| storage(Errno::INVAL))?;
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        if let Some(root) = self.root.as_ref().filter(|root| root.path == parent) {
            let directory = root.open()?;
            return Ok(Place { directory, name: name.to_owned(), path: path.to_owned(), in_root: true });
        }
        let parent = parent.canonicalize().map_err(storage)?;
        if let Some(root) = self.root.as_ref().filter(|root| root.path == parent) {
            let (directory, path) = (root.open()?, root.path.join(name));
            return Ok(Place { directory, name: name.to_owned(), path, in_root: true });
        }
        let directory = Arc::new(open_directory(&parent)?);
        Ok(Place { directory, name: name.to_owned(), path: parent.join(name), in_root: false })
    }

    /// Makes an empty file at `place`.
    pub(crate) fn create(&self, place: &Place) -> Result<(), EngineError> {
        // Held throughout, so that of two names that fold to one only one is made.
        let mut names = match &self.root {
            Some(root) if place.in_root => Some(root.names_for_creating(place)?),
            _ => None,
        };
        if place.stat(&place.name)?.is_some() {
            return Err(EngineError::AlreadyExists);
        }
        if let Some(names) = &names
            && let Some(twin) = names.twin(&place.name)
            && place.stat(twin)?.is_some()
        {
            return Err(EngineError::NameTaken);
        }
        place.remove_companions()?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&place.directory, &*place.name, flags, Mode::RUSR | Mode::WUSR);
        match made {
            Ok(file) => rustix::fs::fsync(&file).map_err(storage)?,
            Err(Errno::EXIST) => return Err(EngineError::AlreadyExists),
            Err(error) => return Err(storage(error)),
        }
        if let Some(names) = &mut names {
            names.insert(&place.name);
        }
        rustix::fs::fsync(&place.directory).map_err(storage)
    }

    /// Removes the database at `place`, its main file last.
    pub(crate) fn destroy(&self, place: &Place) -> Result<(), EngineError> {
        if place.probe()? == Presence::Absent {
            return Err(EngineError::NoSuchDatabase);
        }
        place.remove_companions()?;
        remove(place, &place.name)?;
        if let Some(root) = self.root.as_ref().filter(|_| place.in_root) {
            root.names().remove(&place.name);
        }
        rustix::fs::fsync(&place.directory).map_err(storage)
    }
}

// === impl Root ===

impl Root {
    fn new(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let path = path.canonicalize()?;
        if path.to_str().is_none() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the data directory's path is not UTF-8",
            ));
        }
        Ok(Self { path, handle: Mutex::new(None), names: Mutex::default() })
    }

    /// The directory's handle, opened anew when the directory was replaced.
    fn open(&self) -> Result<Arc<OwnedFd>, EngineError> {
        let mut handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        let there = rustix::fs::lstat(&self.path).map_err(storage)?;
        if let Some(open) = &*handle
            && rustix::fs::fstat(open).map(|stat| identity(&stat)) == Ok(identity(&there))
        {
            return Ok(open.clone());
        }
        let opened = Arc::new(open_directory(&self.path)?);
        *handle = Some(opened.clone());
        Ok(opened)
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn names_for_creating(&self, place: &Place) -> Result<MutexGuard<'_, Names>, EngineError> {
        let mut names = self.names();
        if names.is_stale() {
            names.refresh(list(&place.directory)?);
        }
        Ok(names)
    }
}

// === impl Place ===

impl Place {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is a database.
    pub(crate) fn probe(&self) -> Result<Presence, EngineError> {
        Ok(if self.identify()?.is_some() { Presence::Present } else { Presence::Absent })
    }

    /// Which file is there, if there is one and it could be a database.
    pub(crate) fn identify(&self) -> Result<Option<Identity>, EngineError> {
        let Some(stat) = self.stat(&self.name)? else { return Ok(None) };
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink != 1 {
            return Err(EngineError::NotADatabase);
        }
        Ok(Some(identity(&stat)))
    }

    /// Fails when the file of this identity is not at its path any more, whatever was moved.
    pub(crate) fn verify(&self, identity: Identity) -> Result<(), EngineError> {
        // By path, not by the directory's handle: the directory may have been replaced too.
        match rustix::fs::lstat(&self.path) {
            Ok(stat) if self::identity(&stat) == identity => Ok(()),
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => Err(EngineError::Replaced),
            Err(error) => Err(storage(error)),
        }
    }

    /// Fails when the file is there only because the disk takes another name for this one.
    pub(crate) fn check_case(&self, found: Identity) -> Result<(), EngineError> {
        let swapped: String = self.name.chars().map(swap_case).collect();
        let same = self.stat(&swapped)?.is_some_and(|stat| identity(&stat) == found);
        if !same || list(&self.directory)?.contains(&self.name) {
            return Ok(());
        }
        Err(EngineError::NameTaken)
    }

    /// Whether there is a write-ahead log beside it.
    pub(crate) fn has_log(&self) -> Result<bool, EngineError> {
        Ok(self.stat(&format!("{}-wal", self.name))?.is_some())
    }

    /// Renames the log, if there is one, so that no database takes it for its own.
    pub(crate) fn set_log_aside(&self) -> Result<(), EngineError> {
        let (log, aside) = (format!("{}-wal", self.name), format!("{}-wal-set-aside", self.name));
        match rustix::fs::renameat(&self.directory, log, &self.directory, aside) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(storage(error)),
        }
    }

    /// The bytes it takes on disk.
    pub(crate) fn size(&self) -> Option<u64> {
        let size = |name: &str| self.stat(name).ok().flatten().map(|stat| stat.st_size.unsigned_abs());
        Some(size(&self.name)? + size(&format!("{}-wal", self.name)).unwrap_or(0))
    }

    fn stat(&self, name: &str) -> Result<Option<Stat>, EngineError> {
        match rustix::fs::statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(storage(error)),
        }
    }

    fn remove_companions(&self) -> Result<(), EngineError> {
        COMPANIONS.iter().try_for_each(|suffix| remove(self, &format!("{}{suffix}", self.name)))
    }
}

fn remove(place: &Place, name: &str) -> Result<(), EngineError> {
    match rustix::fs::unlinkat(&place.directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(storage(error)),
    }
}

fn open_directory(path: &Path) -> Result<OwnedFd, EngineError> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(storage)
}

/// The names of the databases in a directory; what is not UTF-8 is none of ours.
fn list(directory: &OwnedFd) -> Result<Vec<String>, EngineError> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory).map_err(storage)? {
        let entry = entry.map_err(storage)?;
        if let Ok(name) = entry.file_name().to_str()
            && name.to_ascii_lowercase().ends_with(".db")
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

fn identity(stat: &Stat) -> Identity {
    Identity { device: stat.st_dev, inode: stat.st_ino }
}

fn swap_case(c: char) -> char {
    if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
}
