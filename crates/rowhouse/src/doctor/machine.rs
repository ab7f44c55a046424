//! The machine: where the data lie, and how many files may be open.
use super::Finding;
use crate::config::Config;
use crate::open_files;
use bytesize::ByteSize;
use rustix::fs::{Access, access, statvfs};
use std::fs::{File, TryLockError};
use std::path::Path;

/// Below so much room something is soon wrong, and below so much it is.
const ROOM: (u64, u64) = (1 << 30, 64 << 20);

const DIRECTORY: &str = "data directory";

/// How it is with the data directory, and whether a server uses it now.
pub(super) fn data_directory(config: &Config) -> (Vec<Finding>, bool) {
    let Some(directory) = &config.data_directory else {
        let found = "none: what the server keeps of itself ends with it";
        let advice = "give --data-directory, unless that is meant so: limits, tokens and the history of changes are kept there";
        return (vec![Finding::warning(DIRECTORY, found, advice)], false);
    };
    let shown = directory.display();
    if !directory.exists() {
        let above = directory.ancestors().find(|above| above.is_dir()).unwrap_or(Path::new("/"));
        let finding = match access(above, Access::WRITE_OK | Access::EXEC_OK) {
            Ok(()) => Finding::ok(DIRECTORY, format!("{shown} is made at the first start")),
            Err(error) => Finding::wrong(
                DIRECTORY,
                format!("{shown} is not there and cannot be made: {error}"),
                format!("make it, or let this user write to {}", above.display()),
            ),
        };
        return (vec![finding], false);
    }
    let is_served = is_served(directory);
    let writable = match access(directory, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
        _ if !directory.is_dir() => {
            Finding::wrong(DIRECTORY, format!("{shown} is no directory"), "give another --data-directory")
        }
        Err(error) => Finding::wrong(
            DIRECTORY,
            format!("{shown} cannot be used: {error}"),
            "let the user of the server read and write it",
        ),
        Ok(()) if is_served => Finding::ok(DIRECTORY, format!("{shown} is in use by a server")),
        Ok(()) => Finding::ok(DIRECTORY, format!("{shown} can be written, and no server uses it now")),
    };
    (vec![writable, file_system(directory), room(directory)], is_served)
}

/// Whether a server has the directory's state locked.
fn is_served(directory: &Path) -> bool {
    let Ok(lock) = File::open(directory.join(".rowhouse/lock")) else { return false };
    matches!(lock.try_lock(), Err(TryLockError::WouldBlock))
}

fn room(directory: &Path) -> Finding {
    let check = "free room";
    let advice = "free some, or move the data directory: a full disk stops every write";
    let Ok(about) = statvfs(directory) else {
        return Finding::warning(check, "it cannot be told", "look at the disk of the data directory");
    };
    let free = about.f_bavail.saturating_mul(about.f_frsize);
    let shown = format!("{} are free", ByteSize(free));
    match free {
        free if free < ROOM.1 => Finding::wrong(check, shown, advice),
        free if free < ROOM.0 => Finding::warning(check, shown, advice),
        _ => Finding::ok(check, shown),
    }
}

#[cfg(target_os = "linux")]
fn file_system(directory: &Path) -> Finding {
    let check = "file system";
    let Ok(about) = rustix::fs::statfs(directory) else {
        return Finding::warning(check, "it cannot be told", "look at what the data directory is on");
    };
    match kind(about.f_type as u64 & 0xffff_ffff) {
        Kind::Network(name) => Finding::wrong(
            check,
            format!("the data directory is on {name}, over a network"),
            "move it to a disk of this machine: SQLite's locks and logs do not hold over a network",
        ),
        Kind::Memory(name) => Finding::warning(
            check,
            format!("the data directory is on {name}, in memory"),
            "move it to a disk, unless everything may be lost with the machine",
        ),
        Kind::Odd(name) => Finding::warning(
            check,
            format!("the data directory is on {name}"),
            "make sure that it keeps what was synced, and that locks hold; a disk of this machine does",
        ),
        Kind::Sound => Finding::ok(check, "the data directory is on a disk of this machine"),
    }
}

#[cfg(not(target_os = "linux"))]
fn file_system(_directory: &Path) -> Finding {
    Finding::ok("file system", "it is not looked at on this system")
}

/// What a directory is on.
#[cfg(target_os = "linux")]
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Sound,
    Network(&'static str),
    Memory(&'static str),
    Odd(&'static str),
}

/// By the number that Linux has for it.
#[cfg(target_os = "linux")]
fn kind(magic: u64) -> Kind {
    match magic {
        0x6969 => Kind::Network("NFS"),
        0xff53_4d42 => Kind::Network("CIFS"),
        0xfe53_4d42 => Kind::Network("SMB"),
        0x517b => Kind::Network("SMB"),
        0x00c3_6400 => Kind::Network("Ceph"),
        0x0102_1994 => Kind::Memory("tmpfs"),
        0x8584_58f6 => Kind::Memory("ramfs"),
        0x6573_5546 => Kind::Odd("FUSE"),
        0x0102_1997 => Kind::Odd("9p"),
        _ => Kind::Sound,
    }
}

/// Whether as many files may be open as the configuration may need.
pub(super) fn open_files(config: &Config) -> Finding {
    let check = "open files";
    match open_files::examine(config) {
        Ok(limit) => {
            Finding::ok(check, format!("{} may be needed, and {limit} are allowed", config.files_needed()))
        }
        Err(error) => Finding::wrong(
            check,
            error.to_string(),
            "`ulimit -Hn`, or LimitNOFILE= in a unit of systemd, raises the limit",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use crate::config::Layers;

    fn config(directory: &Path) -> Config {
        let mut layers = Layers::new();
        layers.code("data_directory", directory.to_str().expect("UTF-8"));
        Config::resolve(&layers).expect("valid")
    }

    #[test]
    fn a_directory_is_there_or_can_be_made_or_something_is_wrong() {
        let home = tempfile::tempdir().expect("a directory");
        let verdict = |path: &Path| data_directory(&config(path)).0[0].status;
        assert_eq!(verdict(home.path()), Verdict::Ok);
        assert_eq!(verdict(&home.path().join("new/er")), Verdict::Ok);
        std::fs::write(home.path().join("file"), "").expect("writable");
        assert_eq!(verdict(&home.path().join("file")), Verdict::Wrong);
        assert!(!home.path().join("new").exists(), "nothing is made");
    }

    #[test]
    fn a_directory_in_use_is_known_by_its_lock() {
        let home = tempfile::tempdir().expect("a directory");
        let state = crate::state::State::lock(home.path()).expect("free");
        assert!(data_directory(&config(home.path())).1);
        drop(state);
        assert!(!data_directory(&config(home.path())).1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_no_disk_is_known() {
        assert_eq!(kind(0xef53), Kind::Sound);
        assert_eq!(kind(0x6969), Kind::Network("NFS"));
        assert_eq!(kind(0x0102_1994), Kind::Memory("tmpfs"));
    }
}
