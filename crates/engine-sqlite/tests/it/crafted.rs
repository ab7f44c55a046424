//! Files a stranger may have made: damaged at every place of the header and by chance elsewhere, with
//! a foreign log, in another encoding, with a schema that lies. Whatever they are, the process lives,
//! the deadline holds, and the database beside it works.
use crate::support::Files;
use futures::StreamExt;
use rowhouse_engine::conformance::{integer, opened, query, within};
use rowhouse_engine::{Connection, Engine, EngineError};
use rowhouse_types::Request;
use std::time::{Duration, Instant};

/// A pseudo-random sequence, the same on every machine.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).expect("below n")
    }
}

const SCHEMA: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT, b BLOB, r REAL CHECK (r > 0));
    CREATE INDEX i ON t (s, length(b));
    CREATE UNIQUE INDEX u ON t (lower(s)) WHERE r > 1;
    CREATE TABLE w (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID;
    CREATE TABLE g (a, c AS (a * 2) STORED, d AS (a || 'x'));
    CREATE VIEW v AS SELECT s, count(*) AS n FROM t GROUP BY s;
    CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT OR IGNORE INTO w VALUES (new.id, new.s); END;
    CREATE VIRTUAL TABLE f USING fts5(body);
    CREATE VIRTUAL TABLE f4 USING fts4(body);
    CREATE VIRTUAL TABLE rt USING rtree(id, x0, x1);
    INSERT INTO t SELECT value, 's' || value, zeroblob(value * 40), value + 0.5 FROM json_each('[1,2,3,4,5,6,7,8,9,200]');
    INSERT INTO t SELECT id + 1000, hex(randomblob(20)) || id, b, 1.5 FROM t;
    INSERT INTO g (a) VALUES (1), (2); INSERT INTO f VALUES ('rows of houses'), ('houses of rows');
    INSERT INTO f4 VALUES ('rows'); INSERT INTO rt VALUES (1, 0, 1), (2, 3, 4);
    ANALYZE;";

/// What a client may ask of such a file. None of it may end the process.
const QUERIES: &[&str] = &[
    "SELECT * FROM sqlite_schema",
    "SELECT * FROM t",
    "SELECT * FROM t WHERE s = 's5' OR lower(s) = 's6'",
    "SELECT * FROM v",
    "SELECT * FROM w ORDER BY b DESC",
    "SELECT * FROM g",
    "SELECT * FROM f WHERE f MATCH 'houses'",
    "SELECT snippet(f4) FROM f4 WHERE f4 MATCH 'rows'",
    "SELECT * FROM rt WHERE x0 < 2",
    "INSERT INTO t (s, b, r) VALUES ('new', x'00', 2)",
    "UPDATE t SET s = s || 'x', b = zeroblob(3000)",
    "DELETE FROM t WHERE id % 2",
    "INSERT INTO f VALUES ('more')",
    "CREATE TABLE n AS SELECT * FROM t",
    "PRAGMA integrity_check",
    "REINDEX",
    "DROP TABLE t",
];

fn original(page: u32, encoding: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().expect("works");
    let path = directory.path().join("original.db");
    let connection = rusqlite::Connection::open(&path).expect("works");
    connection
        .execute_batch(&format!("PRAGMA page_size={page}; PRAGMA encoding='{encoding}'; {SCHEMA}"))
        .expect("works");
    drop(connection);
    std::fs::read(path).expect("works")
}

/// Opens the file `name` and asks all there is to ask; whatever it answers, it answers in time.
async fn interrogate(files: &Files, name: &str) {
    let started = Instant::now();
    let Ok(database) = files.engine.open(&files.at(name)).await else { return };
    if let Ok(mut connection) = database.connect().await {
        for sql in QUERIES {
            ask(&mut *connection, sql).await;
        }
        let _undone = connection.reset().await;
        connection.close().await;
    }
    let _closed = database.close().await;
    let most = Duration::from_secs(60);
    assert!(started.elapsed() < most, "{name} took {:?}", started.elapsed());
}

async fn ask(connection: &mut dyn Connection, sql: &str) {
    let mut chunks = connection.run(Request::execute(sql), within(1_000));
    while let Some(chunk) = chunks.next().await {
        if let Err(error) = chunk {
            assert!(!matches!(error, EngineError::Lost), "{sql}: a job panicked");
            assert!(!error.to_string().contains(".db"), "{sql}: {error}");
            return;
        }
    }
}

/// Puts `bytes` where the database `tenant` would be, interrogates it, and looks after its neighbour.
async fn put(files: &Files, neighbour: &mut dyn Connection, bytes: &[u8]) {
    for file in files.names() {
        if file.starts_with("tenant.") {
            std::fs::remove_file(files.path(&file)).expect("works");
        }
    }
    std::fs::write(files.path("tenant.db"), bytes).expect("works");
    interrogate(files, "tenant").await;
    assert_eq!(integer(neighbour, "SELECT n FROM kept").await, 7);
}

async fn neighbour(files: &Files) -> Box<dyn Connection> {
    let mut connection = opened(files, "neighbour").await.database.connect().await.expect("works");
    query(&mut *connection, "CREATE TABLE kept AS SELECT 7 AS n").await;
    connection
}

/// How many times as many mutations are tried as in CI.
fn scale() -> usize {
    if std::env::var_os("ROWHOUSE_SOAK").is_some() { 50 } else { 1 }
}

#[tokio::test]
async fn s17_a_file_damaged_in_its_header_harms_nobody_else() {
    let files = Files::open();
    let mut neighbour = neighbour(&files).await;
    let original = original(4096, "UTF-8");
    for at in 0..100 {
        for value in [0x00, 0xff, original[at] ^ 0x01] {
            let mut bytes = original.clone();
            bytes[at] = value;
            put(&files, &mut *neighbour, &bytes).await;
        }
    }
}

#[tokio::test]
async fn s17_soak_a_file_damaged_anywhere_harms_nobody_else() {
    let files = Files::open();
    let mut neighbour = neighbour(&files).await;
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for (page, encoding) in [(4096, "UTF-8"), (512, "UTF-8"), (1024, "UTF-16le"), (65536, "UTF-16be")] {
        let original = original(page, encoding);
        let pages = original.len() / page as usize;
        for _ in 0..40 * scale() {
            let mut bytes = original.clone();
            match chance.below(5) {
                // Some bytes by chance.
                0 => (0..=chance.below(20)).for_each(|_| {
                    let at = chance.below(bytes.len());
                    bytes[at] = u8::try_from(chance.below(256)).expect("a byte");
                }),
                // The head of a page: its kind, its cells, its right-most child.
                1 => (0..4).for_each(|_| {
                    let at = chance.below(pages) * page as usize + chance.below(12);
                    bytes[at] = u8::try_from(chance.below(256)).expect("a byte");
                }),
                // A page in another's place, so that trees meet themselves.
                2 => {
                    let (from, to) =
                        (chance.below(pages) * page as usize, chance.below(pages) * page as usize);
                    bytes.copy_within(from..from + page as usize, to);
                }
                // Cut short.
                3 => bytes.truncate(chance.below(original.len())),
                // The pointers between pages.
                _ => (0..8).for_each(|_| {
                    let at = chance.below(bytes.len() - 4);
                    bytes[at..at + 4]
                        .copy_from_slice(&u32::try_from(chance.below(pages + 2)).expect("few").to_be_bytes());
                }),
            }
            put(&files, &mut *neighbour, &bytes).await;
        }
    }
}

#[tokio::test]
async fn s17_a_schema_that_lies_harms_nobody_else() {
    let files = Files::open();
    let mut neighbour = neighbour(&files).await;
    for tampering in [
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE t (' WHERE name = 't'",
        "UPDATE sqlite_schema SET sql = NULL WHERE name = 't'",
        "UPDATE sqlite_schema SET sql = 'DELETE FROM kept'",
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE t AS SELECT load_extension(''x'')' WHERE name = 't'",
        "UPDATE sqlite_schema SET sql = 'CREATE VIEW v AS SELECT load_extension(''x'') AS s, 1 AS n' WHERE name = 'v'",
        "UPDATE sqlite_schema SET sql = 'CREATE VIEW v AS SELECT * FROM v' WHERE name = 'v'",
        "UPDATE sqlite_schema SET sql = 'CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO t DEFAULT VALUES; END' WHERE name = 'tr'",
        "UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE f USING dbstat' WHERE name = 'f'",
        "UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE f USING fts5(a, b, c)' WHERE name = 'f'",
        "UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE rt USING rtree(id, a, b, c, d, e, f)' WHERE name = 'rt'",
        "UPDATE sqlite_schema SET rootpage = 1 WHERE name = 't'",
        "UPDATE sqlite_schema SET rootpage = 1000000 WHERE name = 't'",
        "UPDATE sqlite_schema SET rootpage = -1 WHERE name = 'i'",
        "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'w') WHERE name = 't'",
        "UPDATE sqlite_schema SET name = 'sqlite_sequence', tbl_name = 'sqlite_sequence' WHERE name = 'g'",
        "INSERT INTO sqlite_schema SELECT * FROM sqlite_schema",
        "INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 2, 'CREATE TABLE x (' || replace(hex(zeroblob(3000)), '0', 'a,') || 'z)')",
        "UPDATE sqlite_schema SET type = 'trigger'",
        "UPDATE sqlite_schema SET sql = x'ff00ff'",
        "UPDATE sqlite_stat1 SET stat = '-1 99999999999999999999'",
        "UPDATE f_data SET block = x'ffffffffff'",
        "DELETE FROM f_data",
        "UPDATE rt_node SET data = x'0005ffff'",
        "DELETE FROM f4_segdir",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("crafted.db");
        std::fs::write(&path, original(4096, "UTF-8")).unwrap();
        let raw = rusqlite::Connection::open(&path).unwrap();
        raw.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false).unwrap();
        raw.execute_batch(&format!("PRAGMA writable_schema=ON; {tampering}"))
            .unwrap_or_else(|error| panic!("{tampering}: {error}"));
        drop(raw);
        put(&files, &mut *neighbour, &std::fs::read(path).unwrap()).await;
    }
}

#[tokio::test]
async fn s17_a_log_that_is_not_the_files_own_harms_nobody_else() {
    let files = Files::open();
    let mut neighbour = neighbour(&files).await;
    let original = original(4096, "UTF-8");
    // A log with commits in it, of another database: that one stays open, so that it stays.
    let directory = tempfile::tempdir().unwrap();
    let other = rusqlite::Connection::open(directory.path().join("other.db")).unwrap();
    other.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE foreign_rows (n); INSERT INTO foreign_rows SELECT randomblob(9000)").unwrap();
    let log = std::fs::read(directory.path().join("other.db-wal")).unwrap();
    let index = std::fs::read(directory.path().join("other.db-shm")).unwrap();
    let mut chance = Chance(0x2545_f491_4f6c_dd1d);
    for round in 0..40 * scale() {
        for file in files.names() {
            if file.starts_with("tenant.") {
                std::fs::remove_file(files.path(&file)).unwrap();
            }
        }
        let mut bytes = original.clone();
        (bytes[18], bytes[19]) = (2, 2);
        std::fs::write(files.path("tenant.db"), bytes).unwrap();
        let mut log = log.clone();
        let mut index = index.clone();
        if round > 0 {
            (0..=chance.below(6)).for_each(|_| {
                let (at, at_index) = (chance.below(log.len().min(200)), chance.below(index.len()));
                log[at] ^= 1 << chance.below(8);
                index[at_index] ^= 1 << chance.below(8);
            });
            log.truncate(chance.below(log.len()) + 1);
        }
        std::fs::write(files.path("tenant.db-wal"), &log).unwrap();
        if round % 2 == 0 {
            std::fs::write(files.path("tenant.db-shm"), &index).unwrap();
        }
        if round % 3 == 0 {
            std::fs::write(files.path("tenant.db-journal"), &log).unwrap();
        }
        interrogate(&files, "tenant").await;
        assert_eq!(integer(&mut *neighbour, "SELECT n FROM kept").await, 7);
    }
}
