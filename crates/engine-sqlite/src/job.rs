//! A request on a connection, from first to last row. Runs on a thread of the executor.
use crate::bind::bind;
use crate::control::Control;
use crate::database::Shared;
use crate::errors::interpret;
use crate::group::Group;
use crate::handle::Handle;
use crate::output::Output;
use crate::pipe::Writer;
use crate::text::{acts_when_compiled, counts_changes, is_blank, mentions};
use crate::turn::Turn;
use rowhouse_engine::{Chunk, EngineError, Misuse, Options, Outcome, SessionState};
use rowhouse_sync::Permit;
use rowhouse_types::{Arguments, Request};
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::{Batch, CachedStatement, Statement};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// The most sets of arguments a request may repeat for and still be run together with others.
const SOCIABLE_SETS: usize = 128;

/// A request, for whom it is, and where its answer goes.
#[derive(Debug)]
pub(crate) struct Errand {
    pub(crate) request: Request,
    pub(crate) options: Options,
    pub(crate) control: Arc<Control>,
    pub(crate) pipe: Writer<Done>,
}

/// An errand in the queue for the turn, which another may run. Its session is told if nobody does.
#[derive(Debug)]
pub(crate) struct Guest(Option<Errand>);

/// An errand, and what it is run with.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) errand: Errand,
    /// The session's own; without it any will do.
    pub(crate) handle: Option<Box<Handle>>,
    pub(crate) right: Right,
    pub(crate) shared: Arc<Shared>,
}

/// What allows a job to take up a thread.
#[derive(Debug)]
pub(crate) enum Right {
    /// One of the few lanes of its database.
    Lane(Permit),
    /// The turn to write; `leads` if those that wait behind may be served with it.
    Turn { turn: Turn<Guest>, leads: bool },
    /// The turn to write that its connection has had since an earlier request.
    Held,
}

/// How an errand ended.
#[derive(Debug)]
pub(crate) struct Done {
    /// The connection, if it holds something of the session's.
    pub(crate) handle: Option<Box<Handle>>,
    pub(crate) end: End,
}

/// How a request ended.
#[derive(Debug)]
pub(crate) enum End {
    /// Well; the last chunk.
    Finished(Chunk),
    Failed(EngineError),
    /// Nothing was done: it needs the turn to write first.
    NeedsWriter(Request),
    /// Nothing was done: the file is not the one it was, or cannot be looked at.
    Unbegun(EngineError, Request),
}

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

// === impl Errand ===

impl Errand {
    /// Hands over how it ended.
    pub(crate) fn end(self, handle: Option<Box<Handle>>, end: End) {
        self.pipe.end(Done { handle, end });
    }
}

// === impl Guest ===

impl Guest {
    pub(crate) fn new(errand: Errand) -> Self {
        Self(Some(errand))
    }

    pub(crate) fn options(&self) -> &Options {
        &self.0.as_ref().expect("taken out only with the guest").options
    }

    pub(crate) fn into_errand(mut self) -> Errand {
        self.0.take().expect("taken out only here, with the guest")
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if let Some(errand) = self.0.take() {
            errand.end(None, End::Failed(EngineError::Cancelled));
        }
    }
}

/// Whether a request may be run on a connection of somebody else's, together with others.
///
/// Plain changes of rows only: they leave nothing on the connection, and each takes effect as it
/// would by itself.
pub(crate) fn is_sociable(request: &Request) -> bool {
    let short = match request {
        Request::Execute { .. } => true,
        Request::Repeat { sets, .. } => sets.len() <= SOCIABLE_SETS,
        Request::Script { .. } => false,
    };
    let sql = request.sql();
    // These two tell of the connection's last statement.
    short && counts_changes(sql) && !mentions(sql, "changes") && !mentions(sql, "last_insert_rowid")
}

// === impl Job ===

impl Job {
    /// Tells its session that there is no thread for it.
    pub(crate) fn refuse(self) {
        self.errand.end(self.handle, End::Failed(crate::errors::too_many_waiting()));
    }

    /// Runs it, and those that wait behind it if it leads them.
    pub(crate) fn run(self) {
        let Self { errand, handle, right, shared } = self;
        if let Err(error) = shared.verify() {
            drop(right);
            let end = End::Unbegun(error, errand.request);
            return errand.pipe.end(Done { handle, end });
        }
        let mut handle = match handle.map_or_else(|| shared.lend(), Ok) {
            Ok(handle) => handle,
            Err(error) => {
                drop(right);
                return errand.end(None, End::Failed(error));
            }
        };
        match right {
            Right::Held => alone(handle, errand, &shared),
            Right::Lane(lane) => {
                alone(handle, errand, &shared);
                drop(lane);
            }
            Right::Turn { turn, leads } => {
                handle.turn = Some(turn);
                if leads && shared.turns.has_guests() {
                    lead(handle, errand, &shared);
                } else {
                    alone(handle, errand, &shared);
                }
            }
        }
    }
}

fn alone(mut handle: Box<Handle>, errand: Errand, shared: &Shared) {
    handle.attend(&errand.control, None);
    let result = perform(&mut handle, &errand.request, &errand.options, Some(&errand.pipe));
    let kept = settle(handle, shared);
    let end = match result {
        Ok(last) => End::Finished(last),
        Err(Halt::Failed(error)) => End::Failed(error),
        Err(Halt::NeedsWriter) => {
            let end = End::NeedsWriter(errand.request);
            return errand.pipe.end(Done { handle: kept, end });
        }
        Err(Halt::TooLong) => unreachable!("there is a pipe"),
    };
    errand.end(kept, end);
}

fn lead(mut handle: Box<Handle>, errand: Errand, shared: &Shared) {
    let mut group = Group::run(&mut handle, errand);
    match group.take_unfit() {
        None => {
            // Whoever is next begins while these are answered.
            let kept = settle(handle, shared);
            debug_assert!(kept.is_none(), "a group leaves nothing on its connection");
            group.answer();
        }
        Some(errand) => {
            group.answer();
            alone(handle, errand, shared);
        }
    }
}

/// Gives the connection back to the database unless it holds something of the session's.
fn settle(mut handle: Box<Handle>, shared: &Shared) -> Option<Box<Handle>> {
    if handle.settle() != SessionState::Clean {
        return Some(handle);
    }
    shared.give_back(handle);
    None
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
    handle.admit(options.policy);
    match request {
        Request::Execute { sql, arguments } => execute(handle, sql, arguments, options, pipe),
        Request::Repeat { sql, sets } => repeat(handle, sql, sets),
        Request::Script { sql } => script(handle, sql),
    }
}

fn execute(
    handle: &Handle,
    sql: &str,
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
        take_turn(handle)?;
    }
    bind(&mut statement, arguments).map_err(|error| Halt::Failed(error.into_engine_error()))?;
    let output = Output::new(options, pipe, &handle.control);
    // A statement that writes and yields rows has written before its first row: it takes effect
    // only once its last row is out.
    let all_or_none = writes && statement.column_count() > 0 && matches!(statement, Prepared::Cached(_));
    if all_or_none {
        atomically(handle, || stream(handle, &mut statement, sql, output))
    } else {
        stream(handle, &mut statement, sql, output)
    }
}

fn stream(
    handle: &Handle,
    statement: &mut Statement<'_>,
    sql: &str,
    mut output: Output<'_>,
) -> Result<Chunk, Halt> {
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(|error| interpret(&error, &handle.control))? {
        output.push(row)?;
    }
    drop(rows);
    let affected = counts_changes(sql).then(|| handle.connection.changes());
    Ok(output.finish(statement, outcome(handle, affected)))
}

fn repeat(handle: &Handle, sql: &str, sets: &[Arguments]) -> Result<Chunk, Halt> {
    if is_blank(sql) {
        return Err(Misuse::NotDataChanging.into());
    }
    let mut statement = prepare(handle, sql)?;
    if statement.readonly() {
        return Err(Misuse::NotDataChanging.into());
    }
    take_turn(handle)?;
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
    let affected =
        if handle.grouped || handle.connection.is_autocommit() { atomically(handle, all) } else { all() }?;
    Ok(last(handle, counts.then_some(affected)))
}

fn script(handle: &Handle, sql: &str) -> Result<Chunk, Halt> {
    take_turn(handle)?;
    if !handle.connection.is_autocommit() {
        handle.housekeep("COMMIT").map_err(|error| interpret(&error, &handle.control))?;
    }
    let mut statements = Batch::new(&handle.connection, sql);
    loop {
        proceed(handle)?;
        match statements.next().map_err(|error| interpret(&error, &handle.control))? {
            Some(mut statement) => exhaust(handle, &mut statement)?,
            None => return Ok(last(handle, None)),
        }
    }
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
    let prepared = if acts_when_compiled(sql) {
        connection.prepare(sql).map(Prepared::Once)
    } else {
        connection.prepare_cached(sql).map(Prepared::Cached)
    };
    prepared.map_err(|error| {
        // Compiling looks at what follows the first statement too; if the first one is fine, the
        // fault is that something follows.
        // A lock or a deadline, met while compiling, says nothing of the text.
        let plain = match &error {
            rusqlite::Error::SqliteFailure(error, _) | rusqlite::Error::SqlInputError { error, .. } => {
                error.extended_code & 0xff == rusqlite::ffi::SQLITE_ERROR
            }
            _ => false,
        };
        let follows = matches!(error, rusqlite::Error::MultipleStatement)
            || (plain && matches!(Batch::new(connection, sql).next(), Ok(Some(_))));
        if follows { Misuse::MultipleStatements.into() } else { interpret(&error, &handle.control).into() }
    })
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
    Outcome { affected, last_insert_id: handle.connection.last_insert_rowid() }
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
