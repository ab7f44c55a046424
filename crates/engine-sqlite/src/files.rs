//! Database files: looked at without following links, made and removed through a directory handle.
//!
//! A file counts as a database when it is a regular file with one name only: a link, of either
//! kind, could lead to another tenant's file.
use crate::directory::{Directory, Sight};
use crate::errors::storage;
use crate::names::Names;
use rowhouse_engine::{EngineError, Presence};
use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Bytes of a file that tell what it is.
const BEGINNING: u64 = 100;

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
    seen: Arc<Directory>,
    names: Mutex<Names>,
}

/// One database's file: a name in an open directory.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    directory: Arc<OwnedFd>,
    name: String,
    path: PathBuf,
    /// Of the data directory: what it looks like.
    root: Option<Arc<Directory>>,
}

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

/// What changes with a file's content.
#[derive(Debug)]
pub(crate) struct Traces {
    pub(crate) parts: Vec<u64>,
    /// The latest of its times.
    pub(crate) newest: SystemTime,
}

const DIRECTORY: OFlags =
    OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::RDONLY).union(OFlags::CLOEXEC);

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
            return root.place(name, path.to_owned());
        }
        let parent = parent.canonicalize().map_err(storage)?;
        if let Some(root) = self.root.as_ref().filter(|root| root.path == parent) {
            return root.place(name, root.path.join(name));
        }
        let directory = Arc::new(open_directory(&parent)?);
        Ok(Place { directory, name: name.to_owned(), path: parent.join(name), root: None })
    }

    /// Makes an empty file at `place`.
    pub(crate) fn create(&self, place: &Place) -> Result<(), EngineError> {
        self.make_new(place, || place.make())
    }

    /// The names of the database files in the data directory, without their ending.
    pub(crate) fn stems(&self) -> Result<Vec<String>, EngineError> {
        let Some(root) = &self.root else { return Ok(Vec::new()) };
        let names = list(&*root.open()?)?;
        Ok(names.iter().filter_map(|name| name.strip_suffix(".db")).map(str::to_owned).collect())
    }

    /// Makes the finished file `file` of `directory` the database at `place`, where there must be
    /// none.
    pub(crate) fn adopt(&self, directory: &OwnedFd, file: &str, place: &Place) -> Result<(), EngineError> {
        self.make_new(place, || rename_to_new(directory, file, place))
    }

    /// Lets `make` bring a file to `place`, where there must be none, nor one whose name folds to
    /// the same.
    ///
    /// The directory stays locked meanwhile: what lies beside a missing file is stale only if nobody
    /// is just making it.
    fn make_new(
        &self,
        place: &Place,
        make: impl FnOnce() -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        // Held throughout, so that of two names that fold to one only one is made.
        let mut names = match &self.root {
            Some(root) if place.is_in_root() => Some(root.names_for_creating(place)?),
            _ => None,
        };
        // Against other processes.
        let _lock = place.lock_directory()?;
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
        make()?;
        if let Some(names) = &mut names {
            names.insert(&place.name);
        }
        rustix::fs::fsync(&place.directory).map_err(storage)
    }

    /// Removes the database at `place`, its main file last.
    pub(crate) fn destroy(&self, place: &Place) -> Result<(), EngineError> {
        let found = place.identify()?.ok_or(EngineError::NoSuchDatabase)?;
        // Else a disk that folds case would have another tenant's file removed.
        place.check_case(found)?;
        place.remove_companions()?;
        remove(place, &place.name)?;
        if let Some(root) = self.root.as_ref().filter(|_| place.is_in_root()) {
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
        let seen = Arc::new(Directory::new(&path));
        Ok(Self { path, handle: Mutex::new(None), seen, names: Mutex::default() })
    }

    fn place(&self, name: &str, path: PathBuf) -> Result<Place, EngineError> {
        Ok(Place { directory: self.open()?, name: name.to_owned(), path, root: Some(self.seen.clone()) })
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

    /// What the data directory looks like at `now`, if that is where it is and if that is known. May block for one look.
    pub(crate) fn sight(&self, now: Instant) -> Option<Sight> {
        self.root.as_ref()?.sight(now)
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

    /// The bytes of the write-ahead log beside it, if there is one.
    pub(crate) fn log_bytes(&self) -> Result<Option<u64>, EngineError> {
        let log = self.stat(&format!("{}-wal", self.name))?;
        Ok(log.map(|log| log.st_size.unsigned_abs()))
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

    /// The bytes that are free on its disk.
    pub(crate) fn free(&self) -> Option<u64> {
        let disk = rustix::fs::fstatvfs(&self.directory).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Makes an empty file where there is none, for its owner only.
    pub(crate) fn make(&self) -> Result<(), EngineError> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&self.directory, &*self.name, flags, Mode::RUSR | Mode::WUSR);
        match made {
            Ok(file) => rustix::fs::fsync(&file).map_err(storage),
            Err(Errno::EXIST) => Err(EngineError::AlreadyExists),
            Err(error) => Err(storage(error)),
        }
    }

    /// What changes with the file's content: size and times of the file and of its log.
    ///
    /// Looked at by name only. Opening the file here and closing it again would drop the locks that
    /// SQLite holds on it for this process.
    pub(crate) fn traces(&self) -> Result<Option<Traces>, EngineError> {
        let Some(main) = self.stat(&self.name)? else { return Ok(None) };
        let log = self.stat(&format!("{}-wal", self.name))?.filter(|log| log.st_size != 0);
        let nanos = |seconds: i64, nanos: i64| seconds.unsigned_abs() * 1_000_000_000 + nanos.unsigned_abs();
        let mut parts = vec![main.st_ino, main.st_size.unsigned_abs()];
        let mut newest = 0;
        for stat in [Some(main), log].into_iter().flatten() {
            let modified = nanos(stat.st_mtime, stat.st_mtime_nsec.cast_signed());
            let changed = nanos(stat.st_ctime, stat.st_ctime_nsec.cast_signed());
            parts.extend([modified, changed, stat.st_size.unsigned_abs()]);
            newest = newest.max(modified).max(changed);
        }
        Ok(Some(Traces { parts, newest: UNIX_EPOCH + Duration::from_nanos(newest) }))
    }

    /// The place `name` in `directory`, which is the directory `inner` beside this file.
    pub(crate) fn within(&self, inner: &str, directory: OwnedFd, name: &str) -> Self {
        let path = self.path.with_file_name(inner).join(name);
        Self { directory: Arc::new(directory), name: name.to_owned(), path, root: None }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn directory(&self) -> &OwnedFd {
        &self.directory
    }

    /// Whether it is in the data directory.
    pub(crate) fn is_in_root(&self) -> bool {
        self.root.is_some()
    }

    /// Keeps other processes from making files here, until the handle is dropped.
    fn lock_directory(&self) -> Result<OwnedFd, EngineError> {
        // A handle of its own: the lock belongs to the handle, and the other one is shared.
        let own = rustix::fs::openat(&self.directory, ".", DIRECTORY, Mode::empty()).map_err(storage)?;
        rustix::fs::flock(&own, FlockOperation::LockExclusive).map_err(storage)?;
        Ok(own)
    }

    /// Makes what was written here, and closed since, safe on the disk; returns how it begins.
    pub(crate) fn sync(&self) -> Result<Vec<u8>, EngineError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, &*self.name, flags, Mode::empty()).map_err(storage)?;
        rustix::fs::fsync(&file).map_err(storage)?;
        let mut beginning = Vec::new();
        std::fs::File::from(file).take(BEGINNING).read_to_end(&mut beginning).map_err(storage)?;
        Ok(beginning)
    }

    /// Removes the file and what is beside it, whatever it is.
    pub(crate) fn clear(&self) -> Result<(), EngineError> {
        self.remove_companions()?;
        remove(self, &self.name)
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
    rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty()).map_err(storage)
}

/// Moves a file to where there is none.
fn rename_to_new(directory: &OwnedFd, file: &str, place: &Place) -> Result<(), EngineError> {
    let (to, name) = (&place.directory, &*place.name);
    match rustix::fs::renameat_with(directory, file, to, name, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(EngineError::AlreadyExists),
        // Some file systems know no such renaming; a link does not replace either.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            match rustix::fs::linkat(directory, file, to, name, AtFlags::empty()) {
                Ok(()) => rustix::fs::unlinkat(directory, file, AtFlags::empty()).map_err(storage),
                Err(Errno::EXIST) => Err(EngineError::AlreadyExists),
                Err(error) => Err(storage(error)),
            }
        }
        Err(error) => Err(storage(error)),
    }
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
