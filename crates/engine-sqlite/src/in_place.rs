//! Short reads, run on the thread that asks for them: no hand-over, no pipe, no queue.
//!
//! Invariants: only what was short before, only reads, and only where nothing has to be waited for.
//! What runs over its budget of instructions, rows or bytes is stopped, and run again as any other
//! request: nothing of it has been seen. Nobody sleeps here: what is locked is run as any other.
use crate::connection::{Slot, SqliteConnection};
use crate::database::Shared;
use crate::handle::Handle;
use crate::job::Guest;
use crate::log::Inside;
use crate::perform::{Halt, perform};
use crate::trust::TooLong;
use crate::turn::Turn;
use rowhouse_engine::{Chunk, EngineError, Options};
use rowhouse_types::{Arguments, Request, Value};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// The most bytes of all arguments together: one instruction of SQLite's may go through all of them.
pub(crate) const ARGUMENT_BYTES: usize = 16 << 10;

/// What a read here needs beside the connection, given back after it.
struct Room<'a> {
    handle: Box<Handle>,
    _inside: Option<Inside<'a>>,
}

impl SqliteConnection {
    /// Runs a request here and now, if it is known to be short and nothing is in its way. `None`: it did
    /// not run, or as if it had not.
    pub(crate) fn run_in_place(
        &mut self,
        request: &Request,
        options: &Options,
    ) -> Option<Result<Chunk, EngineError>> {
        let Request::Execute { sql, arguments } = request else { return None };
        if ARGUMENT_BYTES < bytes(arguments) {
            return None;
        }
        let shared = self.shared().clone();
        let hold = shared.trust.hold(Instant::now())?;
        let Room { mut handle, _inside } = self.room(&shared, sql)?;
        if shared.verify_lately(hold.began()).is_err() {
            // Told as for any other request.
            self.leave_room(handle, &shared);
            return None;
        }
        let control = self.arm(options);
        let performed = catch_unwind(AssertUnwindSafe(|| {
            handle.attend_in_place(control);
            let performed = perform(&mut handle, request, options, None);
            (performed, handle.ran_over(), handle)
        }));
        // The first that was long may only have been interrupted by others on a busy machine.
        let too_long = matches!(shared.trust.let_go(&hold), Some(TooLong::Busy | TooLong::Idle));
        let Ok((performed, ran_over, handle)) = performed else {
            self.set_slot(Slot::Lost);
            return Some(Err(EngineError::Lost));
        };
        let result = match performed {
            Ok(chunk) => Some(Ok(chunk)),
            Err(Halt::Failed(error)) if !ran_over => Some(Err(error)),
            Err(Halt::Failed(_) | Halt::TooLong | Halt::NeedsWriter) => None,
        };
        if too_long || result.is_none() {
            handle.distrust(sql);
        }
        self.leave_room(handle, &shared);
        result
    }

    /// A connection that knows `sql` as short, and what it may read with; `None` if there is none at once.
    fn room<'a>(&mut self, shared: &'a Shared, sql: &str) -> Option<Room<'a>> {
        let kept = match self.slot() {
            Slot::Free => None,
            Slot::Kept(handle) if handle.knows_as_short(sql) => Some(handle.turn.is_some()),
            Slot::Kept(_) | Slot::Away(_) | Slot::Lost => return None,
        };
        let turn: Option<Turn<Guest>> = match kept {
            Some(true) => None,
            // Whoever takes the turn while somebody listens has to look what others wrote before.
            _ if shared.is_exclusive() && shared.feed.is_on() => return None,
            _ if shared.is_exclusive() => Some(shared.turns.take_free()?),
            _ => None,
        };
        let reads_freely = turn.is_none() && kept != Some(true);
        let _inside = if reads_freely { Some(shared.log.enter_now()?) } else { None };
        let mut handle = match kept {
            Some(_) => self.take_kept()?,
            None => shared.lend_knowing(sql)?,
        };
        if turn.is_some() {
            handle.turn = turn;
        }
        Some(Room { handle, _inside })
    }

    /// Gives the connection back to the database unless it holds something of the session's.
    fn leave_room(&mut self, mut handle: Box<Handle>, shared: &std::sync::Arc<Shared>) {
        if handle.settle() == rowhouse_engine::SessionState::Clean {
            shared.give_back_later(handle);
        } else {
            self.set_slot(Slot::Kept(handle));
        }
    }
}

pub(crate) fn bytes(arguments: &Arguments) -> usize {
    let length = |value: &Value| match value {
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
        Value::Null | Value::Integer(_) | Value::Real(_) => 0,
    };
    match arguments {
        Arguments::None => 0,
        Arguments::Positional(values) => values.iter().map(length).sum(),
        Arguments::Named(values) => values.iter().map(|(_, value)| length(value)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::House;
    use rowhouse_engine::conformance::{query, run, unlimited};
    use rowhouse_engine::{Connection, SessionState};
    use rowhouse_types::ValueRef;
    use std::time::Duration;

    fn find(n: i64) -> Request {
        Request::execute_with("SELECT n, s FROM t WHERE n <= ?1", vec![Value::Integer(n)])
    }

    /// Has it run elsewhere, until it is trusted enough to be run in place: on a busy machine a read may
    /// seem to take long.
    async fn in_place(
        session: &mut SqliteConnection,
        request: &Request,
        options: Options,
    ) -> Result<Chunk, EngineError> {
        loop {
            if let Some(done) = session.run_in_place(request, &options) {
                return done;
            }
            run(session, request.clone(), unlimited()).await.unwrap();
        }
    }

    async fn learn(session: &mut SqliteConnection, request: &Request) -> Chunk {
        in_place(session, request, unlimited()).await.unwrap()
    }

    async fn filled(session: &mut SqliteConnection, rows: u32) {
        query(session, "CREATE TABLE t (n INTEGER PRIMARY KEY, s TEXT)").await;
        let fill = format!(
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT {rows}) \
             INSERT INTO t SELECT x, 'text' FROM c"
        );
        query(session, &fill).await;
    }

    fn firsts(chunk: &Chunk) -> Vec<i64> {
        let first = |row: rowhouse_engine::Row<'_>| match row.values().next() {
            Some(ValueRef::Integer(n)) => n,
            other => panic!("{other:?}"),
        };
        chunk.rows.rows().map(first).collect()
    }

    #[tokio::test]
    async fn what_was_short_is_run_in_place_and_tells_all_the_same() {
        let house = House::new(0);
        let database = house.open("tenant").await;
        let mut session = database.session();
        filled(&mut session, 10).await;
        assert!(session.run_in_place(&find(2), &unlimited()).is_none(), "nothing is known of it yet");
        let chunk = learn(&mut session, &find(2)).await;
        assert_eq!(firsts(&chunk), [1, 2]);
        let columns: Vec<_> = chunk.columns.unwrap().iter().map(|column| column.name.clone()).collect();
        assert_eq!(columns, ["n", "s"]);
        assert_eq!((chunk.outcome.unwrap().changed, chunk.outcome.unwrap().rows_read), (0, 2));
        assert_eq!(session.state(), SessionState::Clean);
        // Another session of the database has the same connection.
        learn(&mut database.session(), &find(3)).await;
    }

    #[tokio::test]
    async fn what_runs_over_is_run_again_elsewhere() {
        let house = House::new(0);
        let database = house.open("tenant").await;
        let mut session = database.session();
        filled(&mut session, 20_000).await;
        learn(&mut session, &find(2)).await;
        // Too many rows for one chunk, and too many steps with but one row.
        assert!(session.run_in_place(&find(20_000), &unlimited()).is_none());
        assert!(session.run_in_place(&find(2), &unlimited()).is_none(), "it is trusted less now");
        let rows = run(&mut session, find(20_000), unlimited()).await.unwrap().0;
        assert_eq!(rows.len(), 20_000);
        let count =
            |n| Request::execute_with("SELECT count(s) FROM t WHERE n <= ?1", vec![Value::Integer(n)]);
        assert_eq!(firsts(&learn(&mut session, &count(2)).await), [2]);
        assert!(session.run_in_place(&count(20_000), &unlimited()).is_none());
        let (rows, outcome) = run(&mut session, count(20_000), unlimited()).await.unwrap();
        assert_eq!((rows, outcome.rows_written), (vec![vec![Value::Integer(20_000)]], 0));
    }

    #[tokio::test]
    async fn nothing_that_may_write_or_take_long_is_run_in_place() {
        let house = House::new(0);
        let database = house.open("tenant").await;
        let mut session = database.session();
        filled(&mut session, 3).await;
        for sql in [
            "INSERT INTO t (s) VALUES ('x') RETURNING n",
            "UPDATE t SET s = 'y'",
            "SELECT length(randomblob(1))",
            "SELECT printf('%d', n) FROM t",
            "SELECT replace(s, 'a', 'b') FROM t",
            "SELECT count(*) FROM t",
            "SELECT (SELECT count(*) FROM t), n FROM t",
            "PRAGMA user_version",
            "BEGIN",
            "COMMIT",
        ] {
            for _ in 0..5 {
                let request = Request::execute(sql);
                assert!(session.run_in_place(&request, &unlimited()).is_none(), "{sql}");
                drop(run(&mut session, request, unlimited()).await);
            }
        }
    }

    #[tokio::test]
    async fn long_arguments_are_not_gone_through_in_place() {
        let house = House::new(0);
        let database = house.open("tenant").await;
        let mut session = database.session();
        let length = |bytes| {
            let text = Value::Text("x".repeat(bytes));
            Request::execute_with("SELECT length(upper(?1))", vec![text])
        };
        assert_eq!(firsts(&learn(&mut session, &length(9)).await), [9]);
        let named = Arguments::Named(vec![("1".to_owned(), Value::Blob(vec![0; ARGUMENT_BYTES + 1].into()))]);
        assert!(ARGUMENT_BYTES < bytes(&named));
        assert!(session.run_in_place(&length(ARGUMENT_BYTES + 1), &unlimited()).is_none());
        let most = learn(&mut session, &length(ARGUMENT_BYTES)).await;
        assert_eq!(firsts(&most), [i64::try_from(ARGUMENT_BYTES).unwrap()]);
    }

    #[tokio::test]
    async fn a_transaction_reads_what_it_wrote_in_place() {
        let house = House::new(0);
        let database = house.open("tenant").await;
        let (mut session, mut other) = (database.session(), database.session());
        filled(&mut session, 1).await;
        query(&mut session, "BEGIN").await;
        query(&mut session, "INSERT INTO t VALUES (2, 'x')").await;
        assert_eq!(firsts(&learn(&mut session, &find(9)).await), [1, 2]);
        assert_eq!(session.state(), SessionState::Transaction);
        assert_eq!(firsts(&learn(&mut other, &find(9)).await), [1], "nobody else sees it");
        query(&mut session, "COMMIT").await;
        assert_eq!(firsts(&learn(&mut other, &find(9)).await), [1, 2]);
    }

    #[tokio::test]
    async fn a_changed_schema_is_seen_in_place() {
        let house = House::new(0);
        let database = house.open("tenant").await;
        let (mut session, mut other) = (database.session(), database.session());
        filled(&mut session, 1).await;
        let all = Request::execute("SELECT * FROM t");
        assert_eq!(learn(&mut session, &all).await.columns.unwrap().len(), 2);
        for width in 3..6 {
            query(&mut other, &format!("ALTER TABLE t ADD COLUMN c{width}")).await;
            let chunk = learn(&mut session, &all).await;
            assert_eq!((chunk.columns.unwrap().len(), chunk.rows.columns()), (width, width));
        }
    }

    #[tokio::test]
    async fn a_limit_and_a_deadline_hold_in_place() {
        let house = House::new(0);
        let database = house.open("tenant").await;
        let mut session = database.session();
        filled(&mut session, 9).await;
        learn(&mut session, &find(9)).await;
        let few = Options { max_rows: Some(8), ..unlimited() };
        let done = in_place(&mut session, &find(9), few).await;
        assert!(matches!(done, Err(EngineError::TooManyRows { limit: 8 })), "{done:?}");
        let late = Options { deadline: Some(Instant::now() - Duration::from_millis(1)), ..unlimited() };
        let done = in_place(&mut session, &find(9), late).await;
        assert!(matches!(done, Err(EngineError::TimedOut)), "{done:?}");
        assert_eq!(firsts(&learn(&mut session, &find(9)).await).len(), 9);
    }

    #[tokio::test]
    async fn what_was_replaced_is_not_read_in_place() {
        let house = House::new(0);
        let database = house.open("tenant").await;
        let mut session = database.session();
        filled(&mut session, 1).await;
        learn(&mut session, &find(1)).await;
        let file = house.directory.path().join("tenant.db");
        std::fs::rename(&file, house.directory.path().join("elsewhere.db")).unwrap();
        // Of reads that follow each other closely not each looks.
        while session.run_in_place(&find(1), &unlimited()).is_some() {}
        let refused = run(&mut session, find(1), unlimited()).await;
        assert!(matches!(refused, Err(EngineError::Replaced)), "{refused:?}");
        assert_eq!(session.take_back(), Some(find(1)));
    }

    #[tokio::test]
    async fn memory_is_read_in_place_when_nobody_has_the_turn() {
        let house = House::new(0);
        let database = house.engine.open_here(":memory:").unwrap();
        let (mut session, mut other) = (database.session(), database.session());
        filled(&mut session, 2).await;
        assert_eq!(firsts(&learn(&mut session, &find(2)).await), [1, 2]);
        query(&mut other, "BEGIN").await;
        query(&mut other, "INSERT INTO t VALUES (3, 'x')").await;
        assert!(session.run_in_place(&find(3), &unlimited()).is_none());
        query(&mut other, "COMMIT").await;
        assert_eq!(firsts(&learn(&mut session, &find(3)).await), [1, 2, 3]);
        query(&mut other, "INSERT INTO t VALUES (4, 'x')").await;
    }

    #[tokio::test]
    async fn nobody_waits_in_place_while_the_log_is_shortened() {
        let house = House::new(0);
        let database = house.open("tenant").await;
        let mut session = database.session();
        filled(&mut session, 1).await;
        learn(&mut session, &find(1)).await;
        let shared = session.shared().clone();
        // Who was answered may be about to leave.
        let shut = shared.log.shut(Duration::from_secs(60)).expect("nobody stays inside");
        assert!(session.run_in_place(&find(1), &unlimited()).is_none());
        drop(shut);
        learn(&mut session, &find(1)).await;
    }
}
