//! What a request does on a connection, from first to last row. Blocks.
use crate::bind::bind;
use crate::errors::interpret;
use crate::facts::Took;
use crate::handle::Handle;
use crate::job::Done;
use crate::output::{Output, describe_columns};
use crate::pipe::Writer;
use crate::text::{acts_when_compiled, counts_changes, is_blank};
use crate::trust::busy;
use rowhouse_engine::{Chunk, Description, EngineError, Misuse, Options, Outcome, SqlPolicy};
use rowhouse_types::{Arguments, Request};
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::{Batch, CachedStatement, Statement, StatementStatus};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

/// Why a request goes no further.
#[derive(Debug)]
pub(crate) enum Halt {
    Failed(EngineError),
    NeedsWriter,
    /// Its rows do not fit one chunk, and there is nowhere to send them yet.
    TooLong,
}

/// A compiled statement, cached or not.
enum Prepared<'c> {
    Cached(CachedStatement<'c>),
    /// A pragma may act when it is compiled, so it is compiled each time.
    Once(Statement<'c>),
}

/// Runs a request. Without a pipe its rows must fit one chunk.
pub(crate) fn perform(
    handle: &mut Handle,
    request: &Request,
    options: &Options,
    pipe: Option<&Writer<Done>>,
) -> Result<Chunk, Halt> {
    proceed(handle)?;
    if request.sql().contains('\0') {
        return Err(Misuse::NullCharacter.into());
    }
    if !handle.may_read_freely() && !is_blank(request.sql()) {
        // Before compiling: SQLite takes a locked memory's tables for missing.
        take_turn(handle)?;
    }
    handle.admit(options)?;
    let before = handle.connection.total_changes();
    let performed = match request {
        Request::Execute { sql, arguments } => execute(handle, sql, arguments, options, pipe),
        Request::Repeat { sql, sets } => repeat(handle, sql, sets, options.policy),
        Request::Script { sql } => script(handle, sql, options.policy),
        Request::Sequence { sql } => sequence(handle, sql, options.policy),
    };
    let performed = performed.map(|chunk| count_written(handle, chunk, before));
    handle.report();
    performed.map_err(|halt| match halt {
        Halt::Failed(error) if is_refusal(&error, options.policy) => EngineError::MayNotWrite.into(),
        Halt::Failed(error) => Halt::Failed(handle.tell_quota(error)),
        halt => halt,
    })
}

/// Tells what the one statement of `sql` is.
pub(crate) fn describe(handle: &mut Handle, sql: &str, options: &Options) -> Result<Description, Halt> {
    proceed(handle)?;
    if sql.contains('\0') {
        return Err(Misuse::NullCharacter.into());
    }
    if is_blank(sql) {
        return Ok(Description { is_readonly: true, ..Description::default() });
    }
    if !handle.may_read_freely() {
        take_turn(handle)?;
    }
    handle.while_asking(options.policy, |handle| {
        let statement = handle.connection.prepare(sql).map_err(|error| explain(handle, sql, &error))?;
        let name = |place| statement.parameter_name(place).map(str::to_owned);
        Ok(Description {
            params: (1..=statement.parameter_count()).map(name).collect(),
            columns: describe_columns(&statement).collect(),
            is_explain: statement.is_explain() != 0,
            is_readonly: statement.readonly(),
        })
    })
}

fn execute(
    handle: &Handle,
    sql: &Arc<str>,
    arguments: &Arguments,
    options: &Options,
    pipe: Option<&Writer<Done>>,
) -> Result<Chunk, Halt> {
    if is_blank(sql) {
        return match arguments {
            Arguments::Positional(values) if !values.is_empty() => {
                Err(Misuse::ArgumentCount { expected: 0, supplied: values.len() }.into())
            }
            _ => Ok(last(handle, None)),
        };
    }
    let mut statement = prepare(handle, sql)?;
    let writes = !statement.readonly();
    if writes {
        may_write(options.policy)?;
        take_turn(handle)?;
        handle.heed_quota(|| (**sql).to_owned())?;
    }
    bind(&mut statement, arguments).map_err(|error| Halt::Failed(error.into_engine_error()))?;
    let output = Output::new((handle, sql), options, pipe);
    // A statement that writes and yields rows has written before its first row: it takes effect
    // only once its last row is out.
    let all_or_none = writes && statement.column_count() > 0 && matches!(statement, Prepared::Cached(_));
    let streamed = if all_or_none {
        atomically(handle, || stream(handle, &mut statement, sql, output))
    } else {
        stream(handle, &mut statement, sql, output)
    };
    if matches!(statement, Prepared::Once(_)) {
        // Nothing of it is kept, and nothing is to be known of it.
        handle.forget(sql);
    }
    if streamed.is_err() {
        // What was counted is not the next one's, and perhaps nobody has seen how it was compiled.
        take_counts(&statement);
        handle.forget_if_compiled(sql);
    }
    streamed
}

fn stream(
    handle: &Handle,
    statement: &mut Statement<'_>,
    sql: &Arc<str>,
    mut output: Output<'_>,
) -> Result<Chunk, Halt> {
    // Where it runs in place somebody else looks how long it takes, whichever way.
    let began = (!handle.runs_in_place()).then(busy);
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(|error| interpret(&error, &handle.control))? {
        output.push(row)?;
    }
    drop(rows);
    let changed = handle.connection.changes();
    let mut outcome = outcome(handle, counts_changes(sql).then_some(changed));
    outcome.changed = changed;
    let ((rows, bytes), (scanned, steps)) = (output.taken(), take_counts(statement));
    outcome.rows_read = rows.max(scanned);
    let chunk = output.finish(statement, outcome);
    if statement.readonly() {
        let time = began.map_or(Duration::ZERO, |began| busy().saturating_sub(began));
        handle.learn(sql, Took { steps, rows, bytes, time });
    }
    Ok(chunk)
}

/// The rows of tables it has stepped over since it was asked last, and the steps of SQLite's machine.
fn take_counts(statement: &Statement<'_>) -> (u64, u32) {
    let scanned = statement.reset_status(StatementStatus::FullscanStep);
    let steps = statement.reset_status(StatementStatus::VmStep).unsigned_abs();
    // The first row of a scan is no step to SQLite.
    (if scanned == 0 { 0 } else { u64::from(scanned.unsigned_abs()) + 1 }, steps)
}

fn repeat(handle: &Handle, sql: &str, sets: &[Arguments], policy: SqlPolicy) -> Result<Chunk, Halt> {
    if is_blank(sql) {
        return Err(Misuse::NotDataChanging.into());
    }
    let mut statement = prepare(handle, sql)?;
    if statement.readonly() {
        return Err(Misuse::NotDataChanging.into());
    }
    may_write(policy)?;
    take_turn(handle)?;
    handle.heed_quota(|| sql.to_owned())?;
    let counts = counts_changes(sql);
    let mut all = || {
        let mut affected = 0;
        for set in sets {
            proceed(handle)?;
            bind(&mut statement, set).map_err(|error| Halt::Failed(error.into_engine_error()))?;
            exhaust(handle, &mut statement)?;
            affected += handle.connection.changes();
        }
        Ok(affected)
    };
    let done =
        if handle.grouped || handle.connection.is_autocommit() { atomically(handle, all) } else { all() };
    handle.forget_if_compiled(sql);
    let affected = done?;
    let mut last = last(handle, counts.then_some(affected));
    if let Some(outcome) = &mut last.outcome {
        outcome.changed = affected;
        outcome.rows_read = take_counts(&statement).0;
    }
    Ok(last)
}

fn script(handle: &Handle, sql: &str, policy: SqlPolicy) -> Result<Chunk, Halt> {
    if policy != SqlPolicy::ReadOnly {
        take_turn(handle)?;
    }
    if !handle.connection.is_autocommit() {
        handle.housekeep("COMMIT").map_err(|error| interpret(&error, &handle.control))?;
        handle.report();
    }
    sequence(handle, sql, policy)
}

fn sequence(handle: &Handle, sql: &str, policy: SqlPolicy) -> Result<Chunk, Halt> {
    // Who may only read keeps nobody from writing.
    if policy != SqlPolicy::ReadOnly {
        take_turn(handle)?;
    }
    let (mut statements, mut read) = (Batch::new(&handle.connection, sql), 0);
    // What has done all it had to is not late.
    while let Some(mut statement) = statements.next().map_err(|error| interpret(&error, &handle.control))? {
        proceed(handle)?;
        if !statement.readonly() {
            may_write(policy)?;
            handle.heed_quota(|| statement.expanded_sql().unwrap_or_default())?;
        }
        exhaust(handle, &mut statement)?;
        read += take_counts(&statement).0;
        drop(statement);
        handle.report();
    }
    let mut last = last(handle, None);
    if let Some(outcome) = &mut last.outcome {
        outcome.changed = handle.connection.changes();
        outcome.rows_read = read;
    }
    Ok(last)
}

/// Steps to the end; rows are discarded.
fn exhaust(handle: &Handle, statement: &mut Statement<'_>) -> Result<(), Halt> {
    let mut rows = statement.raw_query();
    while rows.next().map_err(|error| interpret(&error, &handle.control))?.is_some() {}
    Ok(())
}

/// Runs `work` so that it takes effect wholly or not at all, also within a transaction.
fn atomically<T>(handle: &Handle, work: impl FnOnce() -> Result<T, Halt>) -> Result<T, Halt> {
    let outermost = handle.connection.is_autocommit();
    let interpret = |error: rusqlite::Error| Halt::Failed(interpret(&error, &handle.control));
    handle.housekeep("SAVEPOINT rowhouse").map_err(interpret)?;
    let result = work().and_then(|done| {
        handle.housekeep("RELEASE rowhouse").map_err(interpret)?;
        Ok(done)
    });
    // SQLite has rolled back by itself where it went back to autocommit.
    if result.is_err() && !handle.connection.is_autocommit() {
        let undo = if outermost { "ROLLBACK" } else { "ROLLBACK TO rowhouse; RELEASE rowhouse" };
        if let Err(error) = handle.housekeep(undo) {
            tracing::debug!(%error, "could not undo a statement");
        }
    }
    result
}

fn prepare<'c>(handle: &'c Handle, sql: &str) -> Result<Prepared<'c>, Halt> {
    let connection = &handle.connection;
    handle.listen();
    let prepared = if acts_when_compiled(sql) {
        connection.prepare(sql).map(Prepared::Once)
    } else {
        connection.prepare_cached(sql).map(Prepared::Cached)
    };
    prepared.map_err(|error| explain(handle, sql, &error))
}

/// Why `sql` could not be compiled.
///
/// Compiling looks at what follows the first statement too; if the first one is fine, the fault is that
/// something follows. A lock or a deadline, met while compiling, says nothing of the text.
fn explain(handle: &Handle, sql: &str, error: &rusqlite::Error) -> Halt {
    let plain = match error {
        rusqlite::Error::SqliteFailure(error, _) | rusqlite::Error::SqlInputError { error, .. } => {
            error.extended_code & 0xff == rusqlite::ffi::SQLITE_ERROR
        }
        _ => false,
    };
    let more_than_one = || {
        let mut statements = Batch::new(&handle.connection, sql);
        // Where one is fine alone that was not, another process has made what it names between.
        matches!(statements.next(), Ok(Some(_))) && !matches!(statements.next(), Ok(None))
    };
    let follows = matches!(error, rusqlite::Error::MultipleStatement) || (plain && more_than_one());
    if follows { Misuse::MultipleStatements.into() } else { interpret(error, &handle.control).into() }
}

fn may_write(policy: SqlPolicy) -> Result<(), Halt> {
    if policy == SqlPolicy::ReadOnly { Err(EngineError::MayNotWrite.into()) } else { Ok(()) }
}

/// Whether SQLite stopped what only turned out to write while it ran, under a policy to read only.
fn is_refusal(error: &EngineError, policy: SqlPolicy) -> bool {
    let stopped = matches!(error, EngineError::Statement { native: rusqlite::ffi::SQLITE_READONLY, .. });
    stopped && policy == SqlPolicy::ReadOnly
}

fn take_turn(handle: &Handle) -> Result<(), Halt> {
    if handle.turn.is_some() { Ok(()) } else { Err(Halt::NeedsWriter) }
}

/// Fails when the request must stop; from here on it can be interrupted, until it commits.
fn proceed(handle: &Handle) -> Result<(), Halt> {
    handle.unmask();
    handle.control.stop().map_or(Ok(()), |stop| Err(Halt::Failed(stop.into())))
}

fn last(handle: &Handle, affected: Option<u64>) -> Chunk {
    Chunk { outcome: Some(outcome(handle, affected)), ..Chunk::default() }
}

fn outcome(handle: &Handle, affected: Option<u64>) -> Outcome {
    Outcome { affected, last_insert_id: handle.connection.last_insert_rowid(), ..Outcome::default() }
}

/// Notes what was written since `before`, and that nothing was changed where nothing was: what SQLite
/// tells then is of an earlier statement.
fn count_written(handle: &Handle, mut chunk: Chunk, before: u64) -> Chunk {
    if let Some(outcome) = &mut chunk.outcome {
        outcome.rows_written = handle.connection.total_changes().wrapping_sub(before);
        if outcome.rows_written == 0 {
            outcome.changed = 0;
        }
    }
    chunk
}

// === impl Halt ===

impl From<EngineError> for Halt {
    fn from(error: EngineError) -> Self {
        Self::Failed(error)
    }
}

impl From<Misuse> for Halt {
    fn from(misuse: Misuse) -> Self {
        Self::Failed(misuse.into())
    }
}

// === impl Prepared ===

impl<'c> Deref for Prepared<'c> {
    type Target = Statement<'c>;

    fn deref(&self) -> &Statement<'c> {
        match self {
            Self::Cached(statement) => statement,
            Self::Once(statement) => statement,
        }
    }
}

impl<'c> DerefMut for Prepared<'c> {
    fn deref_mut(&mut self) -> &mut Statement<'c> {
        match self {
            Self::Cached(statement) => statement,
            Self::Once(statement) => statement,
        }
    }
}
