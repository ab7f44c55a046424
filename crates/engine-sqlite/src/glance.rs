//! The first read of a database that was closed a moment ago, on a connection that has the file to itself.
//!
//! To open a log that connections share is most of what opening costs, and where databases are evicted and
//! opened again and again, most are read once. So what left its log ([`Kept`](crate::kept::Kept)) is opened
//! without a connection. If the first that is asked of it is a short `SELECT`, that is run in SQLite's exclusive
//! mode, which shares nothing, and the connection is closed before the answer is given. Whatever else is asked,
//! or asked then, makes connections as ever.
//!
//! Invariants: a glance reads only, and there is at most one while a database is open. While it lasts, which is for
//! as many instructions as a read in place may take, nobody else of this process gets a connection through
//! the database. It waits for no lock: where anybody else, of this process or not, uses the file, there is no
//! glance. What fails, writes, runs over or leaves anything behind is run again as any other request: nothing of it
//! has been seen.
use crate::database::Shared;
use crate::in_place::{ARGUMENT_BYTES, bytes};
use crate::job::{Aim, End, Errand};
use crate::perform::perform;
use crate::text::begins_with;
use rowhouse_engine::{Chunk, EngineError, SessionState};
use rowhouse_types::Request;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Whether a database has had connections since it was opened.
#[derive(Debug)]
pub(crate) struct Gate {
    stage: Mutex<Stage>,
    /// A glance has ended.
    over: Condvar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nobody has had one.
    Unread,
    /// One has one to itself.
    Glancing,
    /// One has had one, and nobody has one.
    Glanced,
    /// Any number.
    Connected,
    /// It is closed, and nobody had one but to glance.
    Ended,
}

/// One glances, until this is dropped.
#[derive(Debug)]
struct Glancing<'a>(&'a Gate);

// === impl Gate ===

impl Gate {
    /// Of a database that may be glanced at.
    pub(crate) fn unread() -> Self {
        Self::new(Stage::Unread)
    }

    /// Of a database that has connections.
    pub(crate) fn connected() -> Self {
        Self::new(Stage::Connected)
    }

    fn new(stage: Stage) -> Self {
        Self { stage: Mutex::new(stage), over: Condvar::new() }
    }

    /// Nobody glances from now on. To be called by who is about to make a connection. Blocks while somebody
    /// glances; fails when it has ended.
    pub(crate) fn pass(&self) -> Result<(), EngineError> {
        let mut stage = self.wait();
        if *stage == Stage::Ended {
            return Err(EngineError::Closed);
        }
        *stage = Stage::Connected;
        Ok(())
    }

    /// Nobody connects from now on, if nobody has but to glance; whether that is so.
    pub(crate) fn end(&self) -> bool {
        let mut stage = self.stage();
        let untouched = matches!(*stage, Stage::Unread | Stage::Glanced | Stage::Ended);
        if untouched {
            *stage = Stage::Ended;
        }
        untouched
    }

    /// Blocks while somebody glances.
    pub(crate) fn rest(&self) {
        drop(self.wait());
    }

    fn begin(&self) -> Option<Glancing<'_>> {
        let mut stage = self.stage();
        if *stage != Stage::Unread {
            return None;
        }
        *stage = Stage::Glancing;
        Some(Glancing(self))
    }

    fn wait(&self) -> MutexGuard<'_, Stage> {
        let waited = self.over.wait_while(self.stage(), |stage| *stage == Stage::Glancing);
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Glancing ===

impl Drop for Glancing<'_> {
    fn drop(&mut self) {
        *self.0.stage() = Stage::Glanced;
        self.0.over.notify_all();
    }
}

/// Answers a request by a glance, or gives it back to be run as any other. Blocks.
pub(crate) fn answer(errand: Errand, shared: &Arc<Shared>) -> Option<Errand> {
    if errand.aim != Aim::Run || !is_fit(&errand.request) {
        return Some(errand);
    }
    let Some(glancing) = shared.gate.begin() else { return Some(errand) };
    let glanced = glance(&errand, shared);
    drop(glancing);
    let Some(chunk) = glanced else { return Some(errand) };
    errand.end(None, End::Finished(chunk));
    None
}

/// Whether it may be a short read.
fn is_fit(request: &Request) -> bool {
    match request {
        Request::Execute { sql, arguments } => {
            begins_with(sql, &["SELECT"]) && bytes(arguments) <= ARGUMENT_BYTES
        }
        Request::Repeat { .. } | Request::Script { .. } | Request::Sequence { .. } => false,
    }
}

/// What the request yields; `None` if it is none for a glance.
fn glance(errand: &Errand, shared: &Shared) -> Option<Chunk> {
    let mut handle = shared.open_alone().ok()?;
    // It stays, empty, as the connection found it.
    handle.leave_log();
    handle.attend_in_place(&errand.control);
    let is_cheap = handle.compiles_cheap(errand.request.sql(), &errand.options);
    let performed = is_cheap.then(|| perform(&mut handle, &errand.request, &errand.options, None));
    let is_over = handle.ran_over() || handle.settle() != SessionState::Clean;
    let closed = handle.close();
    match performed? {
        Ok(chunk) if !is_over && closed.is_ok() => Some(chunk),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use crate::database::SqliteDatabase;
    use crate::house::House;
    use rowhouse_engine::conformance::{query, run, unlimited};
    use rowhouse_engine::{Connection as _, Database, Engine, Options, SqlPolicy};
    use rowhouse_types::Value;
    use rusqlite::Connection;
    use rusqlite::config::DbConfig;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    const FIND: &str = "SELECT n FROM t";

    impl House {
        /// Opens `tenant`, of which something was read and which was closed a moment ago, with the row 1 in it.
        async fn reopened(&self) -> SqliteDatabase {
            let database = self.open("tenant").await;
            let mut session = database.session();
            query(&mut session, "CREATE TABLE t (n)").await;
            query(&mut session, "INSERT INTO t VALUES (1)").await;
            drop(session);
            database.close().await.unwrap();
            self.open("tenant").await
        }

        fn file(&self, suffix: &str) -> PathBuf {
            self.directory.path().join(format!("tenant.db{suffix}"))
        }

        /// Another's connection to it, which waits for no lock.
        fn stranger(&self) -> Connection {
            let stranger = Connection::open(self.file("")).unwrap();
            stranger.busy_timeout(Duration::ZERO).unwrap();
            stranger
        }
    }

    fn stage(database: &SqliteDatabase) -> Stage {
        *database.shared().gate.stage()
    }

    async fn rows(database: &SqliteDatabase, sql: &str) -> Vec<Vec<Value>> {
        run(&mut database.session(), Request::execute(sql), unlimited()).await.unwrap().0
    }

    #[tokio::test]
    async fn the_first_short_read_has_the_file_to_itself_and_leaves_it_closed() {
        let house = House::new(2);
        let database = house.reopened().await;
        std::fs::remove_file(house.file("-shm")).unwrap();
        assert_eq!(rows(&database, FIND).await, [[Value::Integer(1)]]);
        assert_eq!(stage(&database), Stage::Glanced);
        assert!(!house.file("-shm").exists(), "it shared nothing");
        // Nobody has a lock.
        house.stranger().execute_batch("PRAGMA locking_mode=EXCLUSIVE; INSERT INTO t VALUES (2)").unwrap();
        assert_eq!(rows(&database, FIND).await.len(), 2);
        assert_eq!(stage(&database), Stage::Connected, "who reads again keeps a connection");
        query(&mut database.session(), "INSERT INTO t VALUES (3)").await;
        assert_eq!(rows(&database, FIND).await.len(), 3);
    }

    #[tokio::test]
    async fn what_was_not_closed_a_moment_ago_has_a_connection_from_the_first() {
        let house = House::new(0);
        let database = house.reopened().await;
        assert_eq!(stage(&database), Stage::Connected);
        let file = house.file("");
        database.close().await.unwrap();
        let house = House::new(2);
        let database = house.reopened().await;
        database.close().await.unwrap();
        // The name leads to another file now.
        std::fs::copy(file, house.file("-new")).unwrap();
        std::fs::rename(house.file("-new"), house.file("")).unwrap();
        assert_eq!(stage(&house.open("tenant").await), Stage::Connected);
    }

    #[tokio::test]
    async fn what_is_no_short_read_makes_a_connection() {
        let house = House::new(2);
        let mut database = house.reopened().await;
        let many = "SELECT x FROM (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 20000) \
                    SELECT x FROM c)";
        for (sql, expected) in [
            ("INSERT INTO t VALUES (2)", 0),
            ("WITH c AS (SELECT n FROM t) SELECT n FROM c", 2),
            ("VALUES (1), (2), (3)", 3),
            ("PRAGMA user_version", 1),
            ("BEGIN", 0),
            ("SELECT replace(n, 1, 2) FROM t", 2),
            (many, 20_000),
            ("CREATE TEMP TABLE u (n)", 0),
            ("", 0),
        ] {
            assert_eq!(stage(&database), Stage::Unread);
            let mut session = database.session();
            let rows = run(&mut session, Request::execute(sql), unlimited()).await.unwrap().0;
            assert_eq!(rows.len(), expected, "{sql}");
            assert_eq!(stage(&database), Stage::Connected, "{sql}");
            session.reset().await.unwrap();
            drop(session);
            database.close().await.unwrap();
            database = house.open("tenant").await;
        }
        let mut session = database.session();
        let twice = Request::execute_with("SELECT ?1", vec![Value::Text("x".repeat(ARGUMENT_BYTES + 1))]);
        run(&mut session, twice, unlimited()).await.unwrap();
        assert_eq!(stage(&database), Stage::Connected);
    }

    #[tokio::test]
    async fn what_fails_fails_as_ever() {
        let house = House::new(2);
        let mut database = house.reopened().await;
        for sql in
            ["SELECT file FROM pragma_database_list", "SELECT load_extension('x')", "SELECT * FROM nowhere"]
        {
            let failed = |database: SqliteDatabase| async move {
                let failed =
                    run(&mut database.session(), Request::execute(sql), unlimited()).await.unwrap_err();
                (database, failed.to_string())
            };
            let (first, second);
            (database, first) = failed(database).await;
            (database, second) = failed(database).await;
            assert_eq!(first, second);
            database.close().await.unwrap();
            database = house.open("tenant").await;
        }
        let late = Options { deadline: Some(Instant::now() - Duration::from_millis(1)), ..unlimited() };
        let failed = run(&mut database.session(), Request::execute(FIND), late).await;
        assert!(matches!(failed, Err(EngineError::TimedOut)), "{failed:?}");
    }

    #[tokio::test]
    async fn a_limit_and_a_policy_hold_for_it() {
        let house = House::new(2);
        let database = house.reopened().await;
        let options = Options { policy: SqlPolicy::ReadOnly, ..unlimited() };
        run(&mut database.session(), Request::execute(FIND), options).await.unwrap();
        assert_eq!(stage(&database), Stage::Glanced);
        database.close().await.unwrap();
        let database = house.open("tenant").await;
        let none = Options { max_rows: Some(0), ..unlimited() };
        let failed = run(&mut database.session(), Request::execute(FIND), none).await;
        assert!(matches!(failed, Err(EngineError::TooManyRows { limit: 0 })), "{failed:?}");
    }

    #[tokio::test]
    async fn where_others_use_the_file_there_is_no_glance() {
        // Whoever waited for a lock would not be back today.
        let busy_timeout = Duration::from_secs(100_000);
        let house = House::with(Config { kept_logs: 2, busy_timeout, ..Config::default() });
        let database = house.reopened().await;
        let stranger = house.stranger();
        stranger.execute_batch("INSERT INTO t VALUES (2)").unwrap();
        assert_eq!(rows(&database, FIND).await.len(), 2, "what they have committed is seen");
        assert_eq!(stage(&database), Stage::Connected);
        stranger.execute_batch("BEGIN; DELETE FROM t").unwrap();
        assert_eq!(rows(&database, FIND).await.len(), 2);
    }

    #[tokio::test]
    async fn what_others_left_in_the_log_is_read_and_goes_into_the_file() {
        let house = House::new(2);
        let database = house.reopened().await;
        let stranger = house.stranger();
        stranger.execute_batch("INSERT INTO t VALUES (2)").unwrap();
        stranger.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
        drop(stranger);
        assert_ne!(house.file("-wal").metadata().unwrap().len(), 0);
        assert_eq!(rows(&database, FIND).await.len(), 2);
        assert_eq!(stage(&database), Stage::Glanced);
        std::fs::copy(house.file(""), house.file("-copy")).unwrap();
        let copy = Connection::open(house.file("-copy")).unwrap();
        let count = copy.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
        assert_eq!(count, Ok(2));
        database.close().await.unwrap();
        assert_eq!(rows(&house.open("tenant").await, FIND).await.len(), 2);
    }

    #[tokio::test]
    async fn what_nobody_used_is_closed_without_a_connection_and_cleared_later() {
        let house = House::new(2);
        let database = house.reopened().await;
        database.close().await.unwrap();
        assert!(matches!(database.connect().await, Err(EngineError::Closed)));
        assert!(house.file("-wal").exists());
        house.engine.clear_leftovers(Duration::ZERO).await;
        assert!(!house.file("-wal").exists() && !house.file("-shm").exists());
        // Dropped, without being closed.
        drop(house.reopened_again().await);
        assert!(house.file("-wal").exists());
        house.engine.clear_leftovers(Duration::ZERO).await;
        assert!(!house.file("-wal").exists());
    }

    impl House {
        async fn reopened_again(&self) -> SqliteDatabase {
            let database = self.open("tenant").await;
            assert_eq!(rows(&database, FIND).await.len(), 1);
            database.close().await.unwrap();
            self.open("tenant").await
        }
    }

    #[tokio::test]
    async fn where_there_is_no_room_for_its_log_any_more_it_leaves_none() {
        let house = House::new(1);
        let database = house.reopened().await;
        let other = house.open("other").await;
        other.close().await.unwrap();
        assert_eq!(rows(&database, FIND).await.len(), 1);
        database.close().await.unwrap();
        assert!(!house.file("-wal").exists() && !house.file("-shm").exists());
    }

    #[tokio::test]
    async fn its_settings_are_those_of_a_connection_that_only_reads() {
        let house = House::new(2);
        let database = house.reopened().await;
        let handle = database.shared().open_alone().unwrap();
        let told = |pragma: &str| handle.tell_as_house(pragma).unwrap();
        // `FULL`, though nobody said so; none of the file is mapped into memory.
        assert_eq!((told("synchronous"), told("cell_size_check"), told("mmap_size")), (2, 1, 0));
        // What does not fit in memory goes where this SQLite puts it by itself: into files.
        assert_eq!(told("temp_store"), 0);
        let temporaries =
            "SELECT count(*) FROM pragma_compile_options WHERE compile_options = 'TEMP_STORE=1'";
        let by_itself = handle.connection.query_row(temporaries, [], |row| row.get::<_, bool>(0));
        assert_eq!(by_itself, Ok(true));
    }

    #[test]
    fn who_makes_a_connection_waits_until_a_glance_is_over() {
        let (gate, over) = (Gate::unread(), AtomicBool::new(false));
        let glancing = gate.begin().unwrap();
        assert!(gate.begin().is_none() && !gate.end());
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                gate.pass().unwrap();
                over.load(Ordering::SeqCst)
            });
            over.store(true, Ordering::SeqCst);
            drop(glancing);
            assert!(other.join().unwrap());
        });
        assert!(gate.begin().is_none() && !gate.end());
    }

    #[test]
    fn nobody_connects_to_what_was_closed_without_a_connection() {
        let gate = Gate::unread();
        drop(gate.begin());
        assert!(gate.begin().is_none(), "there is one glance");
        assert!(gate.end() && gate.end());
        assert!(matches!(gate.pass(), Err(EngineError::Closed)));
        assert!(gate.begin().is_none());
    }
}
