//! Whether anything was put into a directory, taken out or renamed since: one look for all the databases in it.
use rustix::fs::Stat;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How soon after a look, at a file or at the directory, another makes it count for longer: where fewer look, each looks
/// at its own file.
pub(crate) const SOON: Duration = Duration::from_micros(100);

/// For how long it counts then.
pub(crate) const FRESH: Duration = Duration::from_millis(1);

/// File systems may tell times in steps, of hundredths of a second where they tell parts of a second at all. What was changed
/// so lately may be changed again and look the same.
const STEP: Duration = Duration::from_millis(50);

/// What a directory looks like, as long as nothing in it changes. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sight(u64);

/// A directory with databases in it.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    epoch: Instant,
    /// When somebody asked last. Times are in nanoseconds after the epoch.
    asked: AtomicU64,
    looked: AtomicU64,
    /// What was seen then; zero for nothing that counts.
    seen: AtomicU64,
    /// Somebody looks.
    looking: AtomicBool,
}

// === impl Sight ===

impl Sight {
    /// `None` for zero.
    pub(crate) fn from_number(number: u64) -> Option<Self> {
        (number != 0).then_some(Self(number))
    }

    /// A number to keep it as.
    pub(crate) fn number(this: Option<Self>) -> u64 {
        this.map_or(0, |sight| sight.0)
    }

    /// Of a directory that looks so at `now`; `None` if it may be changed and look the same.
    fn of(directory: &Stat, now: SystemTime) -> Option<Self> {
        if directory.st_ctime_nsec == 0 {
            return None;
        }
        let seconds = Duration::from_secs(directory.st_ctime.unsigned_abs());
        let changed = UNIX_EPOCH + seconds + Duration::from_nanos(directory.st_ctime_nsec);
        if now.duration_since(changed).is_ok_and(|since| STEP < since) {
            let mut hasher = DefaultHasher::new();
            let Stat { st_dev, st_ino, st_ctime, st_ctime_nsec, .. } = directory;
            (st_dev, st_ino, st_ctime, st_ctime_nsec).hash(&mut hasher);
            return Some(Self(hasher.finish().max(1)));
        }
        None
    }
}

// === impl Directory ===

impl Directory {
    pub(crate) fn new(path: &Path) -> Self {
        let [asked, looked, seen] = [0; 3].map(AtomicU64::new);
        Self {
            path: path.to_owned(),
            epoch: Instant::now(),
            asked,
            looked,
            seen,
            looking: AtomicBool::new(false),
        }
    }

    /// What it looks like at `now`, or looked like a moment ago; `None` if that tells nothing, or is not worth a look.
    /// May block for one look at the file system.
    ///
    /// Whoever sees a file first and this later must not take the one for as old as the other.
    pub(crate) fn sight(&self, now: Instant) -> Option<Sight> {
        let at = self.nanos(now);
        let asked = self.asked.swap(at, Ordering::Relaxed);
        if asked == 0 || SOON <= Duration::from_nanos(at.saturating_sub(asked)) {
            return None;
        }
        // What was seen was stored before: it is as new as that, or newer.
        let looked = self.looked.load(Ordering::Acquire);
        if looked != 0 && Duration::from_nanos(at.saturating_sub(looked)) < FRESH {
            return Sight::from_number(self.seen.load(Ordering::Relaxed));
        }
        // One at a time, so that none stores what it saw long before the other.
        if self.looking.swap(true, Ordering::Acquire) {
            return None;
        }
        // By path: the directory may have been replaced.
        let seen = rustix::fs::stat(&self.path).ok().and_then(|stat| Sight::of(&stat, SystemTime::now()));
        self.seen.store(Sight::number(seen), Ordering::Relaxed);
        self.looked.store(at, Ordering::Release);
        self.looking.store(false, Ordering::Release);
        seen
    }

    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Asks, at times long after each other, twice in a row, until it looks settled.
    fn settled(directory: &Directory, now: &mut Instant) -> Sight {
        loop {
            *now += 2 * FRESH;
            directory.sight(*now);
            if let Some(sight) = directory.sight(*now + SOON / 2) {
                return sight;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_is_put_in_taken_out_or_renamed_is_seen() {
        let home = tempfile::tempdir().unwrap();
        let inside = home.path().join("inside");
        fs::create_dir(&inside).unwrap();
        fs::write(inside.join("a"), "1").unwrap();
        let directory = Directory::new(&inside);
        let mut now = Instant::now();
        let mut sight = settled(&directory, &mut now);
        fs::write(inside.join("a"), "2").unwrap();
        assert_eq!(settled(&directory, &mut now), sight, "what a file holds is its own");
        let change: [&dyn Fn(); 5] = [
            &|| fs::write(inside.join("b"), "1").unwrap(),
            &|| fs::rename(inside.join("b"), inside.join("a")).unwrap(),
            &|| fs::remove_file(inside.join("a")).unwrap(),
            &|| {
                fs::rename(&inside, home.path().join("elsewhere")).unwrap();
                fs::create_dir(&inside).unwrap();
            },
            &|| {
                fs::remove_dir(&inside).unwrap();
                fs::rename(home.path().join("elsewhere"), &inside).unwrap();
                fs::write(inside.join("a"), "1").unwrap();
            },
        ];
        for change in change {
            change();
            let changed = settled(&directory, &mut now);
            assert_ne!(changed, sight);
            sight = changed;
        }
    }

    #[test]
    fn who_asks_seldom_and_who_asks_while_it_changes_is_told_nothing() {
        let home = tempfile::tempdir().unwrap();
        let directory = Directory::new(home.path());
        let mut now = Instant::now();
        let sight = settled(&directory, &mut now);
        now += FRESH;
        assert_eq!(directory.sight(now + SOON), None, "long after the last who asked");
        assert_eq!(directory.sight(now + SOON + SOON / 2), Some(sight));
        fs::write(home.path().join("a"), "1").unwrap();
        let mut stat = rustix::fs::stat(home.path()).unwrap();
        let changed = UNIX_EPOCH
            + Duration::new(stat.st_ctime.unsigned_abs(), u32::try_from(stat.st_ctime_nsec).unwrap());
        assert_eq!(Sight::of(&stat, changed + STEP), None);
        assert_eq!(Sight::of(&stat, changed - STEP), None, "the clock was set");
        let later = changed + 2 * STEP;
        assert!(Sight::of(&stat, later).is_some());
        stat.st_ctime_nsec = 0;
        assert_eq!(Sight::of(&stat, later), None, "it may be told in seconds");
    }
}
