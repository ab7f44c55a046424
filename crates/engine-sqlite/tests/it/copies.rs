//! Backups and restores: consistent under load, plain files, and hostile ones.
use crate::support::Files;
use rowhouse_engine::conformance::{Opened, integer, opened, query};
use rowhouse_engine::{
    Condition, Course, Database, Engine, EngineError, Location, Over, Pace, Restoration, Stamp,
};
use rusqlite::Connection as Raw;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn course() -> Course {
    Course::new(Pace::Full)
}

impl Files {
    fn backup_of(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn restore(&self, from: &Path, name: &str, over: Over) -> Result<(), EngineError> {
        self.engine.restore(&self.at(name), Restoration { from, over }, &course()).await
    }

    /// A closed database `name` with the row `n`, of some pages.
    async fn closed_with(&self, name: &str, n: i64) {
        let Opened { database, .. } = opened(self, name).await;
        let mut connection = database.connect().await.expect("the test makes it so");
        query(&mut *connection, "CREATE TABLE t (n, filling)").await;
        query(&mut *connection, &format!("INSERT INTO t VALUES ({n}, zeroblob(100000))")).await;
        connection.close().await;
        database.close().await.expect("the test makes it so");
    }

    /// The backup of such a database, which is gone afterwards.
    async fn backup_with(&self, n: i64) -> PathBuf {
        self.closed_with("source", n).await;
        let to = self.backup_of(&format!("{n}.db"));
        self.engine.backup(&self.at("source"), &to, &course()).await.expect("the test makes it so");
        self.engine.destroy(&self.at("source")).await.expect("the test makes it so");
        to
    }
}

fn row(path: &Path) -> i64 {
    let raw = Raw::open(path).expect("a database");
    raw.query_row("SELECT n FROM t", [], |row| row.get(0)).expect("it has the row")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_under_write_load_hold_one_moment_each() {
    let files = Files::open();
    let Opened { at, database } = opened(&files, "bank").await;
    let mut writer = database.connect().await.unwrap();
    query(&mut *writer, "CREATE TABLE a (n)").await;
    query(&mut *writer, "CREATE TABLE b (n)").await;
    query(&mut *writer, "INSERT INTO a VALUES (1000)").await;
    query(&mut *writer, "INSERT INTO b VALUES (0)").await;
    query(&mut *writer, "CREATE TABLE filling AS SELECT zeroblob(4000000) AS x").await;
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stop = done.clone();
    let writing = async move {
        let mut moved = 0;
        while !stop.load(std::sync::atomic::Ordering::SeqCst) {
            query(&mut *writer, "BEGIN").await;
            query(&mut *writer, "UPDATE a SET n = n - 1").await;
            query(&mut *writer, "UPDATE b SET n = n + 1").await;
            query(&mut *writer, "COMMIT").await;
            moved += 1;
        }
        moved
    };
    let copying = async {
        for n in 0..8 {
            let to = files.backup_of(&format!("bank-{n}"));
            // Gently, so that much is written meanwhile.
            files.engine.backup(&at, &to, &Course::new(Pace::Gentle)).await.unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::SeqCst);
    };
    let (moved, ()) = tokio::join!(writing, copying);
    let mut last = 1001;
    for n in 0..8 {
        let raw = Raw::open(files.backup_of(&format!("bank-{n}"))).unwrap();
        let balance =
            |table| raw.query_row(&format!("SELECT n FROM {table}"), [], |row| row.get::<_, i64>(0));
        let (a, b) = (balance("a").unwrap(), balance("b").unwrap());
        assert_eq!(a + b, 1000, "backup {n}");
        assert!(a <= last, "later backups are of later moments");
        last = a;
    }
    assert!(0 < moved && last < 1000, "{moved} transfers, {last}");
}

#[tokio::test]
async fn a_backup_is_one_plain_private_file() {
    let files = Files::open();
    let Opened { at, database } = opened(&files, "tenant").await;
    let mut connection = database.connect().await.unwrap();
    query(&mut *connection, "CREATE TABLE t (n)").await;
    query(&mut *connection, "INSERT INTO t VALUES (7)").await;
    let folder = files.directory.path().join("backups");
    std::fs::create_dir(&folder).unwrap();
    let to = folder.join("one.db");
    files.engine.backup(&at, &to, &course()).await.unwrap();
    let names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["one.db"]);
    // The file format's versions: 1 is without a log.
    assert_eq!(std::fs::read(&to).unwrap()[18..20], [1, 1]);
    assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(row(&to), 7);
}

#[tokio::test]
async fn a_database_that_closes_while_it_is_copied_leaves_no_log_when_both_are_done() {
    let files = Files::open();
    let Opened { at, database } = opened(&files, "tenant").await;
    let mut connection = database.connect().await.unwrap();
    query(&mut *connection, "CREATE TABLE t (n)").await;
    query(&mut *connection, "INSERT INTO t VALUES (7)").await;
    // Another reader stands for the backup, so that it is certainly there at the closing.
    let reader = Raw::open(files.path("tenant.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM t;").unwrap();
    query(&mut *connection, "INSERT INTO t VALUES (8)").await;
    connection.close().await;
    database.close().await.expect("closes in spite of the reader");
    assert!(files.names().contains(&"tenant.db-wal".to_owned()));
    let again = files.engine.open(&at).await.unwrap();
    let mut connection = again.connect().await.unwrap();
    assert_eq!(integer(&mut *connection, "SELECT sum(n) FROM t").await, 15);
    connection.close().await;
    again.close().await.unwrap();
    reader.close().unwrap();
    assert_eq!(files.names(), ["tenant.db"]);
    assert_eq!(row(&files.path("tenant.db")), 7);
}

#[tokio::test]
async fn a_backup_changes_nothing_about_its_source() {
    let files = Files::open();
    let path = files.path("foreign.db");
    Raw::open(&path).unwrap().execute_batch("CREATE TABLE t (n); INSERT INTO t VALUES (7);").unwrap();
    let before = std::fs::read(&path).unwrap();
    files.engine.backup(&files.at("foreign"), &files.backup_of("copy"), &course()).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), before, "it has no log, and gets none");
    assert_eq!(files.names(), ["foreign.db"]);
    assert_eq!(row(&files.backup_of("copy")), 7);
}

#[tokio::test]
async fn a_log_that_a_crash_left_is_in_the_backup() {
    let files = Files::open();
    let Opened { database, .. } = opened(&files, "tenant").await;
    let mut connection = database.connect().await.unwrap();
    query(&mut *connection, "CREATE TABLE t (n)").await;
    query(&mut *connection, "INSERT INTO t VALUES (7)").await;
    for suffix in ["", "-wal"] {
        let from = files.path(&format!("tenant.db{suffix}"));
        std::fs::copy(from, files.path(&format!("crashed.db{suffix}"))).unwrap();
    }
    files.engine.backup(&files.at("crashed"), &files.backup_of("copy"), &course()).await.unwrap();
    assert_eq!(row(&files.backup_of("copy")), 7);
}

#[tokio::test]
async fn a_damaged_database_is_not_backed_up() {
    let files = Files::open();
    files.closed_with("tenant", 7).await;
    let path = files.path("tenant.db");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096..8192].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let to = files.backup_of("copy");
    let error = files.engine.backup(&files.at("tenant"), &to, &course()).await.unwrap_err();
    let EngineError::Statement { condition: Condition::Corrupt, .. } = error else { panic!("{error:?}") };
    assert!(!to.exists());
}

#[tokio::test]
async fn memory_is_backed_up_by_itself_unless_it_is_empty() {
    let files = Files::open();
    let memory: Arc<dyn Database> = files.engine.open(&Location(":memory:".into())).await.unwrap();
    assert_eq!(memory.stamp().await.unwrap(), None);
    let mut connection = memory.connect().await.unwrap();
    query(&mut *connection, "CREATE TABLE t (n)").await;
    query(&mut *connection, "INSERT INTO t VALUES (7)").await;
    assert_eq!(memory.stamp().await.unwrap(), Some(Stamp::UNKNOWN));
    memory.backup(&files.backup_of("copy"), &course()).await.unwrap();
    query(&mut *connection, "INSERT INTO t VALUES (8)").await;
    assert_eq!(row(&files.backup_of("copy")), 7);
    files.restore(&files.backup_of("copy"), "kept", Over::Nothing).await.unwrap();
    assert_eq!(row(&files.path("kept.db")), 7);
}

#[tokio::test]
async fn a_backup_leaves_the_times_of_its_source_alone() {
    let files = Files::open();
    files.closed_with("tenant", 7).await;
    let modified = || std::fs::metadata(files.path("tenant.db")).unwrap().modified().unwrap();
    let before = modified();
    files.engine.backup(&files.at("tenant"), &files.backup_of("copy"), &course()).await.unwrap();
    assert_eq!(modified(), before);
    assert_eq!(files.names(), ["tenant.db"]);
}

#[tokio::test]
async fn s17_links_logs_and_other_files_are_not_restored() {
    let files = Files::open();
    let sound = files.backup_with(7).await;
    let (soft, hard) = (files.backup_of("soft"), files.backup_of("hard"));
    symlink(&sound, &soft).unwrap();
    std::fs::copy(&sound, &hard).unwrap();
    std::fs::hard_link(&hard, files.backup_of("hard-too")).unwrap();
    let (empty, logged, folder) =
        (files.backup_of("empty"), files.backup_of("logged"), files.backup_of("folder"));
    std::fs::write(&empty, "").unwrap();
    std::fs::copy(&sound, &logged).unwrap();
    std::fs::write(files.backup_of("logged-journal"), "hot").unwrap();
    std::fs::create_dir(&folder).unwrap();
    files.closed_with("neighbour", 8).await;
    for from in [soft, hard, empty, logged, folder, files.path("neighbour.db")] {
        let refused = files.restore(&from, "new", Over::Nothing).await;
        assert!(matches!(refused, Err(EngineError::BadBackup { .. })), "{from:?}: {refused:?}");
    }
    assert!(matches!(
        files.restore(&files.backup_of("nowhere"), "new", Over::Nothing).await,
        Err(EngineError::Storage(_))
    ));
    assert_eq!(files.names(), ["neighbour.db"]);
}

#[tokio::test]
async fn s17_every_spoilt_page_is_noticed_or_harmless_and_nothing_is_changed() {
    let files = Files::open();
    let sound = std::fs::read(files.backup_with(7).await).unwrap();
    files.closed_with("tenant", 8).await;
    for spoilt in (0..sound.len()).step_by(4093).chain(0..100) {
        let mut bytes = sound.clone();
        bytes[spoilt] ^= 0xff;
        let from = files.backup_of("spoilt");
        std::fs::write(&from, bytes).unwrap();
        match files.restore(&from, "tenant", Over::Existing).await {
            Ok(()) | Err(EngineError::BadBackup { .. }) => {}
            Err(other) => panic!("byte {spoilt}: {other:?}"),
        }
        Raw::open(files.path("tenant.db"))
            .unwrap()
            .query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))
            .map(|verdict| assert_eq!(verdict, "ok", "byte {spoilt}"))
            .unwrap();
        assert_eq!(files.names(), ["tenant.db"], "byte {spoilt}");
    }
}

#[tokio::test]
async fn a_restore_mends_whatever_is_there() {
    let files = Files::open();
    let from = files.backup_with(7).await;
    files.closed_with("healthy", 8).await;
    let bytes = std::fs::read(files.path("healthy.db")).unwrap();
    std::fs::write(files.path("text.db"), "no database at all. ".repeat(5000)).unwrap();
    std::fs::write(files.path("cut.db"), &bytes[..5000]).unwrap();
    std::fs::write(files.path("blank.db"), "").unwrap();
    std::fs::write(files.path("zeros.db"), vec![0; 20_000]).unwrap();
    let other_pages = Raw::open(files.path("pages.db")).unwrap();
    other_pages
        .execute_batch("PRAGMA page_size=1024; CREATE TABLE t (n); INSERT INTO t VALUES (9);")
        .unwrap();
    other_pages.close().unwrap();
    for name in ["healthy", "text", "cut", "blank", "zeros", "pages"] {
        files.restore(&from, name, Over::Existing).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let database = files.engine.open(&files.at(name)).await.unwrap();
        let mut connection = database.connect().await.unwrap();
        assert_eq!(integer(&mut *connection, "SELECT n FROM t").await, 7, "{name}");
        connection.close().await;
        database.close().await.unwrap();
    }
    assert_eq!(files.names(), ["blank.db", "cut.db", "healthy.db", "pages.db", "text.db", "zeros.db"]);
}

#[tokio::test]
async fn s24_no_log_of_what_was_there_before_survives_a_restore() {
    let files = Files::open();
    let from = files.backup_with(7).await;
    let Opened { database, .. } = opened(&files, "live").await;
    let mut connection = database.connect().await.unwrap();
    query(&mut *connection, "CREATE TABLE t (n, filling)").await;
    query(&mut *connection, "INSERT INTO t VALUES (8, 0)").await;
    // A crash: file and log as they lie there. And a log whose file is gone.
    std::fs::copy(files.path("live.db"), files.path("crashed.db")).unwrap();
    std::fs::copy(files.path("live.db-wal"), files.path("crashed.db-wal")).unwrap();
    std::fs::copy(files.path("live.db-wal"), files.path("orphan.db-wal")).unwrap();
    files.restore(&from, "crashed", Over::Existing).await.unwrap();
    files.restore(&from, "orphan", Over::Nothing).await.unwrap();
    for name in ["crashed", "orphan"] {
        assert!(!files.path(&format!("{name}.db-wal")).exists());
        let mut connection = files.engine.open(&files.at(name)).await.unwrap().connect().await.unwrap();
        assert_eq!(integer(&mut *connection, "SELECT n FROM t").await, 7, "{name}");
    }
}

#[tokio::test]
async fn s21_a_restore_makes_no_name_that_differs_by_case_only() {
    let files = Files::open();
    let from = files.backup_with(7).await;
    files.engine.create(&files.at("Acme")).await.unwrap();
    let refused = files.restore(&from, "acme", Over::Nothing).await;
    assert!(matches!(refused, Err(EngineError::NameTaken)), "{refused:?}");
    assert_eq!(files.names(), ["Acme.db"]);
}

#[tokio::test]
async fn two_restores_to_one_place_do_not_meet() {
    let files = Files::open();
    let from = files.backup_with(7).await;
    // As another process has it that is at it just now.
    let workshop = files.path(".new.db.restoring");
    std::fs::create_dir(&workshop).unwrap();
    std::fs::write(workshop.join("copy"), "half").unwrap();
    let other = std::fs::File::open(&workshop).unwrap();
    other.lock().unwrap();
    assert!(matches!(files.restore(&from, "new", Over::Nothing).await, Err(EngineError::InUse)));
    assert!(workshop.join("copy").exists());
    // And as a killed process leaves it.
    drop(other);
    files.restore(&from, "new", Over::Nothing).await.unwrap();
    assert_eq!(files.names(), ["new.db"]);
    assert_eq!(row(&files.path("new.db")), 7);
}
