//! Where backups lie: a folder for each database, a file for each moment.
//!
//! ```text
//! <root>/default/20260131T120000.000000Z-9f86d081884c7d65.db
//! <root>/databases/<name>/20260131T120000.000000Z-0000000000000000.db
//! ```
//!
//! Invariants: two databases never share a folder, on no file system (a capital letter is written
//! as `+` and its small one, which no name has); a file of such a name is whole and was checked;
//! while a file is being made it is `.partial.db` and its folder is locked, so that what is left of
//! a killed process can be told and removed. All of this blocks.
use rowhouse_engine::Stamp;
use rowhouse_types::{DatabaseName, Target};
use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::num::NonZeroU32;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

/// What is being made has this name, and others that begin with it.
const PARTIAL: &str = ".partial";

/// How long another process may make a backup of the same database before this one gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// The folder of all backups.
#[derive(Clone, Debug)]
pub struct Shelves {
    root: PathBuf,
}

/// A backup: a whole file that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Where it is.
    pub path: PathBuf,
    /// The moment it was begun: it holds all that was committed before.
    pub made_at: SystemTime,
    /// The database's stamp at that moment.
    pub stamp: Stamp,
    /// Its size.
    pub bytes: u64,
}

/// A backup in the making. Dropping it removes what there is of it.
#[derive(Debug)]
pub(super) struct Draft {
    folder: PathBuf,
    path: PathBuf,
    begun_at: SystemTime,
    /// Locked.
    _lock: File,
}

// === impl Shelves ===

impl Shelves {
    /// The backups below `root`, which need not exist.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder of all backups.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of one database's backups.
    pub fn folder(&self, target: &Target) -> PathBuf {
        match target {
            Target::Default => self.root.join("default"),
            Target::Named(name) => self.root.join("databases").join(folder_name(name)),
        }
    }

    /// The backups of one database, the oldest first.
    ///
    /// # Errors
    ///
    /// When the folder is there and cannot be read.
    pub fn list(&self, target: &Target) -> io::Result<Vec<Backup>> {
        list(&self.folder(target))
    }

    /// The databases that have a folder here, in order.
    ///
    /// # Errors
    ///
    /// When the folder of all backups is there and cannot be read.
    pub fn targets(&self) -> io::Result<Vec<Target>> {
        let mut targets: Vec<_> =
            names(&self.root.join("databases"))?.iter().filter_map(|name| target_of(name)).collect();
        if self.folder(&Target::Default).is_dir() {
            targets.push(Target::Default);
        }
        targets.sort();
        Ok(targets)
    }

    /// The database whose backup this file is, if it lies here.
    pub fn owner(&self, file: &Path) -> Option<Target> {
        let file = file.canonicalize().ok()?;
        let inner = file.strip_prefix(self.root.canonicalize().ok()?).ok()?.to_owned();
        let mut parts = inner.iter().filter_map(|part| part.to_str());
        match parts.next()? {
            "default" => Some(Target::Default),
            "databases" => target_of(parts.next()?),
            _ => None,
        }
    }

    /// Makes the folder of all backups, for its owner only.
    pub(super) fn make(&self) -> io::Result<()> {
        make_folder(&self.root)
    }

    /// Begins a backup of one database.
    pub(super) fn begin(&self, target: &Target) -> io::Result<Draft> {
        let folder = self.folder(target);
        if !folder.is_dir() {
            make_folder(&folder)?;
            // What is safe in a folder is safe only if the folder is.
            for above in folder.ancestors().skip(1).take_while(|above| above.starts_with(&self.root)) {
                File::open(above)?.sync_all()?;
            }
        }
        let lock = lock(&folder, PATIENCE)?;
        remove_partial(&folder)?;
        let path = folder.join(format!("{PARTIAL}.db"));
        Ok(Draft { folder, path, begun_at: SystemTime::now(), _lock: lock })
    }

    /// Removes what killed processes left of backups that they were making.
    pub(super) fn sweep(&self) -> io::Result<()> {
        for target in self.targets()? {
            let folder = self.folder(&target);
            // Whoever has the lock is alive.
            if let Ok(_lock) = lock(&folder, Duration::ZERO) {
                remove_partial(&folder)?;
            }
        }
        Ok(())
    }
}

// === impl Draft ===

impl Draft {
    /// Where it is to be written.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it a backup, for good, and then removes those beyond the newest `keep`.
    pub(super) fn keep(self, stamp: Stamp, keep: NonZeroU32) -> io::Result<Backup> {
        let older = list(&self.folder)?;
        // The order of names is the order of making, whatever the clock does.
        let next = older.last().map(|last| last.made_at + Duration::from_micros(1));
        let made_at = next.map_or(self.begun_at, |next| next.max(self.begun_at));
        let path = self.folder.join(file_name(made_at, stamp));
        let bytes = std::fs::symlink_metadata(&self.path)?.len();
        std::fs::rename(&self.path, &path)?;
        File::open(&self.folder)?.sync_all()?;
        let keep = usize::try_from(keep.get()).unwrap_or(usize::MAX);
        for old in older.iter().rev().skip(keep - 1) {
            remove(&old.path)?;
        }
        Ok(Backup { path, made_at, stamp, bytes })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Nothing is left of it when it was kept; what cannot be removed now is removed by the next.
        let _left = remove_partial(&self.folder);
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Locks a folder against other processes that would write into it.
fn lock(folder: &Path, patience: Duration) -> io::Result<File> {
    let since = Instant::now();
    let handle = File::open(folder)?;
    loop {
        match handle.try_lock() {
            Ok(()) => return Ok(handle),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if patience <= since.elapsed() => {
                let message = "another process is making a backup of this database; try again later";
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, message));
            }
            Err(TryLockError::WouldBlock) => sleep(Duration::from_millis(20)),
        }
    }
}

fn remove_partial(folder: &Path) -> io::Result<()> {
    for name in names(folder)?.iter().filter(|name| name.starts_with(PARTIAL)) {
        remove(&folder.join(name))?;
    }
    Ok(())
}

fn remove(file: &Path) -> io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

fn list(folder: &Path) -> io::Result<Vec<Backup>> {
    let mut found = Vec::new();
    for name in names(folder)? {
        let Some((made_at, stamp)) = parse(&name) else { continue };
        let path = folder.join(&name);
        match std::fs::symlink_metadata(&path) {
            Ok(about) if about.is_file() => found.push(Backup { path, made_at, stamp, bytes: about.len() }),
            Ok(_) => {}
            // Another process keeps order here too.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    found.sort_by(|a, b| (a.made_at, &a.path).cmp(&(b.made_at, &b.path)));
    Ok(found)
}

/// The names in a folder, none if it is not there. What is not UTF-8 is none of ours.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    entries.map(|entry| Ok(entry?.file_name().into_string().ok())).filter_map(Result::transpose).collect()
}

fn folder_name(name: &DatabaseName) -> String {
    let mut folder = String::with_capacity(name.as_str().len());
    for c in name.as_str().chars() {
        if c.is_ascii_uppercase() {
            folder.push('+');
        }
        folder.push(c.to_ascii_lowercase());
    }
    folder
}

fn target_of(folder: &str) -> Option<Target> {
    let mut name = String::with_capacity(folder.len());
    let mut chars = folder.chars();
    while let Some(c) = chars.next() {
        match c {
            '+' => name.push(chars.next().filter(char::is_ascii_lowercase)?.to_ascii_uppercase()),
            // Another folder's name, on a disk that tells capital letters from small ones.
            c if c.is_ascii_uppercase() => return None,
            c => name.push(c),
        }
    }
    name.parse().ok().map(Target::Named)
}

fn file_name(made_at: SystemTime, stamp: Stamp) -> String {
    let time = humantime::format_rfc3339_micros(made_at).to_string().replace(['-', ':'], "");
    format!("{time}-{:016x}.db", stamp.as_u64())
}

fn parse(name: &str) -> Option<(SystemTime, Stamp)> {
    let (time, stamp) = name.strip_suffix(".db")?.split_once('-')?;
    if time.len() != 23 || stamp.len() != 16 || !name.is_ascii() {
        return None;
    }
    let (date, clock) = time.split_once('T')?;
    let (date, clock) = (
        (date.get(..4)?, date.get(4..6)?, date.get(6..)?),
        (clock.get(..2)?, clock.get(2..4)?, clock.get(4..)?),
    );
    let text = format!("{}-{}-{}T{}:{}:{}", date.0, date.1, date.2, clock.0, clock.1, clock.2);
    let made_at = humantime::parse_rfc3339(&text).ok()?;
    Some((made_at, Stamp::from_u64(u64::from_str_radix(stamp, 16).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::time::UNIX_EPOCH;

    const THREE: NonZeroU32 = NonZeroU32::new(3).expect("not zero");

    fn named(name: &str) -> Target {
        Target::Named(name.parse().expect("a valid name"))
    }

    fn shelves() -> (tempfile::TempDir, Shelves) {
        let directory = tempfile::tempdir().expect("a directory");
        let shelves = Shelves::new(directory.path().join("backups"));
        (directory, shelves)
    }

    fn put(shelves: &Shelves, target: &Target, content: &str) -> Backup {
        let draft = shelves.begin(target).expect("begins");
        std::fs::write(draft.path(), content).expect("writable");
        draft.keep(Stamp::of(&[1]), THREE).expect("kept")
    }

    #[test]
    fn names_that_try_to_collide_have_folders_of_their_own() {
        let (_directory, shelves) = shelves();
        let names =
            ["default", "Default", "DEFAULT", "databases", "a", "A", "a_backup", "aA", "Aa", "AA", "-", "_"];
        let targets: Vec<_> = names.iter().map(|name| named(name)).chain([Target::Default]).collect();
        let folders: BTreeSet<_> = targets
            .iter()
            .map(|target| shelves.folder(target).to_str().expect("UTF-8").to_lowercase())
            .collect();
        assert_eq!(folders.len(), targets.len());
        for target in &targets {
            put(&shelves, target, &format!("{target:?}"));
        }
        for target in &targets {
            let backups = shelves.list(target).expect("lists");
            assert_eq!(backups.len(), 1, "{target:?}");
            assert_eq!(std::fs::read_to_string(&backups[0].path).expect("readable"), format!("{target:?}"));
            assert_eq!(shelves.owner(&backups[0].path).as_ref(), Some(target));
        }
        let found: BTreeSet<_> = shelves.targets().expect("lists").into_iter().collect();
        assert_eq!(found, targets.into_iter().collect());
    }

    #[test]
    fn the_newest_are_kept_and_in_order_though_the_clock_stands_still() {
        let (_directory, shelves) = shelves();
        let target = named("a");
        let far = UNIX_EPOCH + Duration::from_secs(10_000_000_000);
        let mut made = Vec::new();
        for n in 0..5 {
            let mut draft = shelves.begin(&target).expect("begins");
            std::fs::write(draft.path(), n.to_string()).expect("writable");
            // The first from a clock that ran far ahead.
            draft.begun_at = if n == 0 { far } else { draft.begun_at };
            made.push(draft.keep(Stamp::UNKNOWN, THREE).expect("kept"));
        }
        assert_eq!(shelves.list(&target).expect("lists"), made[2..]);
    }

    #[test]
    fn what_was_being_made_is_no_backup_and_is_removed_by_the_next_or_at_the_start() {
        let (_directory, shelves) = shelves();
        let target = named("a");
        put(&shelves, &target, "sound");
        let leave = || {
            for suffix in [".db", ".db-journal", ".db-wal"] {
                let path = shelves.folder(&target).join(format!("{PARTIAL}{suffix}"));
                std::fs::write(path, "half").expect("writable");
            }
        };
        leave();
        assert_eq!(shelves.list(&target).expect("lists").len(), 1);
        shelves.sweep().expect("sweeps");
        assert_eq!(names(&shelves.folder(&target)).expect("lists").len(), 1);
        leave();
        drop(shelves.begin(&target).expect("begins"));
        assert_eq!(names(&shelves.folder(&target)).expect("lists").len(), 1);
    }

    #[test]
    fn what_a_living_process_is_making_is_left_alone() {
        let (_directory, shelves) = shelves();
        let target = named("a");
        let draft = shelves.begin(&target).expect("begins");
        std::fs::write(draft.path(), "half").expect("writable");
        shelves.sweep().expect("sweeps");
        assert!(draft.path().exists());
        let refused = lock(&shelves.folder(&target), Duration::ZERO).map(|_| ());
        assert_eq!(refused.map_err(|error| error.kind()), Err(io::ErrorKind::ResourceBusy));
    }

    #[test]
    fn other_files_are_no_backups_and_stay() {
        let (_directory, shelves) = shelves();
        let target = named("a");
        put(&shelves, &target, "sound");
        let others =
            ["README", "x.db", "20260131T120000.000000Z-.db", "20260131T120000.000000Z-zzzzzzzzzzzzzzzz.db"];
        for other in others {
            std::fs::write(shelves.folder(&target).join(other), "").expect("writable");
        }
        assert_eq!(shelves.list(&target).expect("lists").len(), 1);
        for _ in 0..3 {
            put(&shelves, &target, "sound");
        }
        assert!(others.iter().all(|other| shelves.folder(&target).join(other).exists()));
    }

    proptest! {
        #[test]
        fn a_folder_leads_back_to_its_database(name in "[A-Za-z0-9_-]{1,64}") {
            prop_assume!(name.parse::<DatabaseName>().is_ok());
            let parsed: DatabaseName = name.parse().expect("valid");
            prop_assert_eq!(target_of(&folder_name(&parsed)), Some(Target::Named(parsed)));
        }

        #[test]
        fn a_file_name_tells_its_moment(micros in 0..4_000_000_000_000_000u64, stamp: u64) {
            let (moment, stamp) = (UNIX_EPOCH + Duration::from_micros(micros), Stamp::from_u64(stamp));
            prop_assert_eq!(parse(&file_name(moment, stamp)), Some((moment, stamp)));
        }
    }
}
