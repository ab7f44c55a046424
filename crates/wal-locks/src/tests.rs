//! What connections see of each other while locks are kept.
use crate::{Family, Keeper, WINDOW};
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A database in a directory of its own, with a row.
struct Site {
    directory: TempDir,
    family: Family,
}

impl Site {
    fn new() -> Self {
        let (directory, family) = (tempfile::tempdir().unwrap(), Family::new(&Keeper::start().unwrap()));
        let site = Self { directory, family };
        let connection = site.stranger();
        connection
            .execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE t (n); INSERT INTO t VALUES (1)")
            .unwrap();
        drop(connection);
        site
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("t.db")
    }

    /// One that has not joined.
    fn stranger(&self) -> Connection {
        let connection = Connection::open(self.file()).unwrap();
        connection.busy_timeout(Duration::ZERO).unwrap();
        connection
    }

    /// A member that waits: whoever meets a log's header half written locks out writers for a moment, to look again.
    fn patient(&self) -> Connection {
        let connection = self.member();
        connection.busy_timeout(Duration::from_secs(30)).unwrap();
        connection
    }

    fn member(&self) -> Connection {
        let connection = self.stranger();
        self.family.join(&connection);
        connection
    }

    /// How many locks this process has on the `-shm` file that are those of readers.
    fn reading(&self) -> usize {
        let inode = fs::metadata(self.directory.path().join("t.db-shm")).unwrap().ino().to_string();
        let (locks, us) = (fs::read_to_string("/proc/locks").unwrap(), std::process::id().to_string());
        let ours = locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let is_reading = |words: &Vec<&str>| {
            let start: u32 = words[6].parse().unwrap();
            words[4] == us && words[5].ends_with(&format!(":{inode}")) && (123..128).contains(&start)
        };
        ours.filter(is_reading).count()
    }

    /// Waits until there are so many. The system's list may show one twice, or not, while others come and go.
    fn wait_until(&self, reading: usize) {
        let begun = Instant::now();
        while self.reading() != reading {
            assert!(begun.elapsed() < 100 * WINDOW, "there are {} for ever", self.reading());
            std::thread::yield_now();
        }
    }
}

fn sum(connection: &Connection) -> i64 {
    connection.prepare_cached("SELECT sum(n) FROM t").unwrap().query_row([], |row| row.get(0)).unwrap()
}

/// Reads until the connection keeps its lock: only who reads often does, and not just after a window.
fn read_often(site: &Site, connection: &Connection) {
    let begun = Instant::now();
    loop {
        sum(connection);
        sum(connection);
        if site.reading() != 0 {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing is ever kept");
    }
}

fn shorten(connection: &Connection) -> bool {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)).unwrap() == 0
}

#[test]
fn a_lock_is_kept_after_a_read_and_given_up_in_the_end() {
    let site = Site::new();
    let reader = site.member();
    read_often(&site, &reader);
    site.wait_until(0);
    assert_eq!(sum(&reader), 1);
}

#[test]
fn who_keeps_a_lock_sees_what_others_commit() {
    let site = Site::new();
    let (reader, member, stranger) = (site.member(), site.member(), site.stranger());
    let mut expected = 1;
    for writer in [&member, &stranger].into_iter().cycle().take(100) {
        assert_eq!((sum(&reader), sum(&reader)), (expected, expected));
        writer.execute("INSERT INTO t VALUES (1)", []).unwrap();
        expected += 1;
        assert_eq!(sum(&reader), expected);
    }
}

#[test]
fn a_member_shortens_the_log_at_once() {
    let site = Site::new();
    let (reader, writer) = (site.member(), site.member());
    for n in 2..20 {
        read_often(&site, &reader);
        writer.execute("INSERT INTO t VALUES (1)", []).unwrap();
        read_often(&site, &reader);
        assert!(shorten(&writer), "the reader does not read");
        assert_eq!(fs::metadata(site.directory.path().join("t.db-wal")).unwrap().len(), 0);
        assert_eq!(sum(&reader), n);
    }
}

#[test]
fn a_member_that_reads_is_not_disturbed() {
    let site = Site::new();
    let (reader, writer) = (site.member(), site.member());
    read_often(&site, &reader);
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(sum(&reader), 1);
    writer.execute("INSERT INTO t VALUES (1)", []).unwrap();
    assert!(!shorten(&writer), "the reader reads");
    // The writer gives up what it keeps; the reader does not.
    site.wait_until(1);
    std::thread::sleep(2 * WINDOW);
    assert_eq!(sum(&reader), 1);
    site.wait_until(1);
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!((sum(&reader), shorten(&writer)), (2, true));
}

#[test]
fn a_stranger_shortens_the_log_in_the_end() {
    let site = Site::new();
    let (reader, stranger) = (site.member(), site.stranger());
    read_often(&site, &reader);
    stranger.execute("INSERT INTO t VALUES (1)", []).unwrap();
    let begun = Instant::now();
    while !shorten(&stranger) {
        assert!(begun.elapsed() < 100 * WINDOW, "it is kept from it for ever");
        std::thread::yield_now();
    }
    assert_eq!(sum(&reader), 2);
}

#[test]
fn a_connection_that_keeps_a_lock_is_closed_and_the_last_leaves_no_log() {
    let site = Site::new();
    let (one, other) = (site.member(), site.member());
    read_often(&site, &one);
    read_often(&site, &other);
    drop(one);
    assert_eq!(sum(&other), 1);
    read_often(&site, &other);
    drop(other);
    assert!(!site.directory.path().join("t.db-wal").exists());
    assert_eq!(sum(&site.member()), 1);
}

#[test]
fn a_file_that_grows_while_its_log_is_empty_is_read_to_its_end() {
    let site = Site::new();
    let (reader, member, stranger) = (site.member(), site.member(), site.stranger());
    let mut expected = 1;
    for writer in [&member, &stranger].into_iter().cycle().take(20) {
        read_often(&site, &reader);
        // Some pages more, moved into the file, and the log is empty again.
        writer
            .execute_batch(
                "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 2000) INSERT INTO t SELECT 1 FROM c",
            )
            .unwrap();
        expected += 2000;
        while !shorten(&member) {
            std::thread::yield_now();
        }
        assert_eq!((sum(&reader), sum(&reader)), (expected, expected));
        let pages: u32 = reader.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        assert_eq!(4096 * u64::from(pages), fs::metadata(site.file()).unwrap().len());
    }
}

#[test]
fn memory_has_no_such_locks() {
    let memory = Connection::open_in_memory().unwrap();
    Family::new(&Keeper::start().unwrap()).join(&memory);
    memory.execute_batch("CREATE TABLE t (n); INSERT INTO t VALUES (3)").unwrap();
    assert_eq!((sum(&memory), sum(&memory)), (3, 3));
}

#[test]
fn readers_and_writers_on_many_threads_lose_nothing() {
    const WRITES: i64 = 300;
    let site = Site::new();
    std::thread::scope(|scope| {
        let reading: Vec<_> = (0..3)
            .map(|_| {
                let reader = site.patient();
                scope.spawn(move || {
                    let mut last = 0;
                    while last < 1 + WRITES {
                        let now = sum(&reader);
                        assert!(last <= now, "what was seen is gone");
                        last = now;
                    }
                })
            })
            .collect();
        let (writer, shortens) = (site.patient(), site.member());
        for n in 0..WRITES {
            writer.execute("INSERT INTO t VALUES (1)", []).unwrap();
            assert_eq!(sum(&writer), n + 2);
            if n % 10 == 0 {
                // While others read it, it may not be possible.
                shorten(&shortens);
            }
        }
        for thread in reading {
            thread.join().unwrap();
        }
    });
    let writer = site.member();
    assert!(shorten(&writer));
    assert_eq!(sum(&writer), 1 + WRITES);
}
