//! What every engine must do, as tests.
//!
//! An engine's test suite implements [`Harness`] and calls [`conformance!`](crate::conformance!)
//! once; each function of this module becomes a test. SQL is kept to what every dialect has, and where
//! dialects differ the harness says how. What a kind of database cannot do at all is a group of its own:
//! an engine that leaves one out has tests of its own for what it does instead.
use crate::{
    Batch, Connection, Database, Description, Engine, EngineError, Location, Misuse, Options, Outcome,
    Presence, SessionState, SqlPolicy,
};
use futures::{FutureExt, StreamExt};
use rowhouse_types::{Arguments, Request, Value};
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

mod bounds;
mod changes;
mod copies;
mod described;
mod lifecycle;
mod sessions;
mod statements;

pub use bounds::*;
pub use changes::*;
pub use copies::*;
pub use described::*;
pub use lifecycle::*;
pub use sessions::*;
pub use statements::*;

/// What the suite needs to know of an engine.
pub trait Harness: Send + Sync + Sized {
    /// Whether what the engine needs is here; who says no has said why, and is skipped.
    fn is_ready() -> bool {
        true
    }

    /// A fresh engine with no databases.
    fn new() -> impl Future<Output = Self> + Send;

    /// Removes what was made, when a test has passed.
    fn done(self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// The engine.
    fn engine(&self) -> Arc<dyn Engine>;

    /// The path of a file that is no database, different for each name.
    fn scratch(&self, name: &str) -> PathBuf;

    /// SQL of a query that yields rows without end.
    fn endless(&self) -> &'static str;

    /// SQL of a query that yields the integers from 1 to `n`.
    fn count_to(&self, n: u64) -> String;

    /// SQL of a place for an argument like `value` where nothing else tells what type it has.
    fn place(&self, place: &str, value: &Value) -> String {
        let _its_type_is_its_own = value;
        place.to_owned()
    }

    /// Whether a database of this kind can hold the value.
    fn can_hold(&self, value: &Value) -> bool {
        let _any = value;
        true
    }
}

/// A database of the harness, open.
pub struct Opened {
    /// Where it is.
    pub at: Location,
    /// Itself.
    pub database: Arc<dyn Database>,
}

/// Turns the suite into tests of the calling crate: all of it, or the groups that are named.
///
/// `essential` is what every engine must do; `bounded` is that databases keep to a bound to the byte, `told`
/// that changes are told as they happen, `lax` that foreign keys hold only for who wants them to.
#[macro_export]
macro_rules! conformance {
    ($harness:ty) => {
        $crate::conformance!($harness: essential, bounded, told, lax);
    };
    ($harness:ty: $($group:ident),+) => {
        $($crate::conformance!(@$group $harness);)+
    };
    (@essential $harness:ty) => {
        $crate::conformance!(@tests $harness:
            a_database_is_made_found_opened_and_destroyed
            a_database_is_made_once
            what_is_not_there_cannot_be_opened
            what_was_committed_is_there_after_reopening
            nothing_opens_after_close
            a_backup_holds_what_was_committed
            a_backup_overwrites_nothing
            a_backup_that_fails_leaves_nothing
            a_restore_over_nothing_overwrites_nothing
            a_restore_needs_the_database_alone
            what_is_no_backup_is_not_restored
            a_checkpoint_takes_nothing_away_and_stops_nobody
            databases_are_listed_by_name
            a_change_is_a_change_of_the_stamp
            every_value_comes_back_as_it_went_in
            named_arguments_reach_their_places
            arguments_must_fit
            one_statement_is_run_at_a_time
            blank_text_does_nothing
            repeat_sums_what_changed
            repeat_is_all_or_none
            repeat_wants_a_change
            a_script_stops_at_its_first_error
            a_statement_is_described_without_being_run
            what_cannot_be_run_is_not_described
            a_description_sees_what_the_session_holds
            columns_have_the_types_they_were_declared_with
            who_may_only_read_changes_nothing
            who_may_only_read_keeps_nobody_from_writing
            rows_read_and_written_are_counted
            many_rows_come_in_order
            a_slow_reader_halts_the_statement
            too_many_rows_are_refused
            too_many_bytes_are_refused
            a_refused_result_undoes_what_it_wrote
            a_deadline_interrupts_and_the_connection_stays_usable
            dropping_the_rows_interrupts_the_statement
            a_connection_left_midway_is_not_clean
            reset_rolls_back
            reset_drops_temporary_objects
            a_transaction_is_seen_by_others_once_committed
            writers_wait_for_each_other
            a_waiting_writer_gives_up_at_its_deadline
            one_endless_query_delays_no_other_database
        );
    };
    (@bounded $harness:ty) => {
        $crate::conformance!(@tests $harness:
            a_bound_freezes_what_writes_and_nothing_else
            a_bound_is_raised_and_taken_away_while_it_is_open
            a_bound_below_what_is_there_freezes_at_once
        );
    };
    (@told $harness:ty) => {
        $crate::conformance!(@tests $harness:
            what_is_committed_is_told_in_order
            what_is_undone_is_not_told
            what_cannot_be_told_is_a_gap
            one_listens_at_a_time
        );
    };
    (@lax $harness:ty) => {
        $crate::conformance!(@tests $harness:
            foreign_keys_are_enforced_for_who_wants_them
        );
    };
    (@tests $harness:ty: $($name:ident)+) => {
        $(
            #[tokio::test]
            async fn $name() {
                if !<$harness as $crate::conformance::Harness>::is_ready() {
                    return;
                }
                let harness = <$harness as $crate::conformance::Harness>::new().await;
                $crate::conformance::$name(&harness).await;
                $crate::conformance::Harness::done(harness).await;
            }
        )+
    };
}

/// Options without any limit.
pub fn unlimited() -> Options {
    Options {
        deadline: None,
        policy: SqlPolicy::Standard,
        foreign_keys: false,
        max_rows: None,
        max_bytes: None,
    }
}

/// Options with a deadline in `millis`.
pub fn within(millis: u64) -> Options {
    Options { deadline: Some(Instant::now() + Duration::from_millis(millis)), ..unlimited() }
}

/// Makes and opens a database.
pub async fn opened(harness: &impl Harness, name: &str) -> Opened {
    let engine = harness.engine();
    let at = engine.locate(&name.parse().expect("a valid name"));
    engine.create(&at).await.expect("creates");
    let database = engine.open(&at).await.expect("opens");
    Opened { at, database }
}

/// A connection to a new database.
pub async fn connected(harness: &impl Harness, name: &str) -> Box<dyn Connection> {
    opened(harness, name).await.database.connect().await.expect("connects")
}

/// Runs a request to its end; the rows, and how it ended.
pub async fn run(
    connection: &mut dyn Connection,
    request: Request,
    options: Options,
) -> Result<(Vec<Vec<Value>>, Outcome), EngineError> {
    let mut chunks = connection.run(request, options);
    let mut rows = Vec::new();
    let mut outcome = None;
    while let Some(chunk) = chunks.next().await {
        assert!(outcome.is_none(), "nothing follows the outcome");
        let chunk = chunk?;
        rows.extend(values(&chunk.rows));
        outcome = chunk.outcome;
    }
    Ok((rows, outcome.expect("the last chunk has the outcome")))
}

/// The rows of a statement without arguments.
pub async fn query(connection: &mut dyn Connection, sql: &str) -> Vec<Vec<Value>> {
    run(connection, Request::execute(sql), unlimited())
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
        .0
}

/// The one integer a query yields.
pub async fn integer(connection: &mut dyn Connection, sql: &str) -> i64 {
    match query(connection, sql).await.as_slice() {
        [row] => match row.as_slice() {
            [Value::Integer(n)] => *n,
            other => panic!("{sql}: {other:?}"),
        },
        other => panic!("{sql}: {other:?}"),
    }
}

/// How a statement without arguments fails.
pub async fn failure(connection: &mut dyn Connection, sql: &str, options: Options) -> EngineError {
    run(connection, Request::execute(sql), options).await.expect_err(sql)
}

fn values(batch: &Batch) -> impl Iterator<Item = Vec<Value>> {
    batch.rows().map(|row| row.values().map(rowhouse_types::ValueRef::to_value).collect())
}
