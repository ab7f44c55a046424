//! Running statements over a session.
use crate::errors::Failure;
use crate::outlet::Outlet;
use crate::request::{Guard, Statement};
use crate::session::{Clock, Intent, Session, Status};
use crate::values::{Reading, push, reading, type_name};
use crate::wire::MAX_MESSAGE;
use bytes::{Bytes, BytesMut};
use fallible_iterator::FallibleIterator;
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::{DataRowBody, Message, RowDescriptionBody};
use postgres_protocol::message::frontend;
use rowhouse_engine::{Batch, Chunk, Column, Condition, EngineError, Misuse, Options, native};
use std::io;
use std::sync::Arc;

/// About how many bytes of rows are handed out at once.
const CHUNK: usize = 32 << 10;

/// The most bytes, and sets, of a repeated statement that are sent before the server is heard.
const WINDOW_BYTES: usize = 64 << 10;
const WINDOW_SETS: usize = 256;

/// What came of a statement.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// The rows that were not handed out yet.
    pub(crate) last: Chunk,
    pub(crate) changed: u64,
    pub(crate) yielded: u64,
}

/// The rows of a statement, as they come in.
struct Rows<'a> {
    /// `None` when nobody wants them.
    outlet: Option<&'a Outlet>,
    options: &'a Options,
    columns: Arc<[Column]>,
    readings: Vec<Reading>,
    chunk: Chunk,
    count: u64,
    bytes: u64,
}

/// Runs one statement to its end.
///
/// # Errors
///
/// Its own failure, too. The session is in step with the server then, unless it is lost.
pub(crate) async fn execute(
    session: &mut Session,
    clock: &mut Clock,
    (statement, arguments): (&Statement<'_>, &[Option<Bytes>]),
    (outlet, options): (Option<&Outlet>, &Options),
) -> Result<Done, EngineError> {
    session.link.limit_rows(options.max_bytes.filter(|_| outlet.is_some()));
    let preludes = compose(session, statement, |out| {
        bind(out, arguments)?;
        frontend::describe(b'P', "", out).map_err(unsendable)?;
        frontend::execute("", 0, out).map_err(unsendable)
    })?;
    send(session, statement.held).await?;
    let mut rows = Rows::new(outlet, options);
    let mut failure = None;
    let changed = match skip(session, clock, preludes).await? {
        Some(failed) => {
            failure = Some(failed);
            0
        }
        None => {
            session.intent = statement.intent();
            follow(session, clock, &mut rows, &mut failure).await?
        }
    };
    finish(session, clock, failure).await?;
    Ok(Done { last: rows.chunk, changed, yielded: rows.count })
}

/// Runs one statement with each set of arguments, all or none; how many rows were changed.
pub(crate) async fn repeat(
    session: &mut Session,
    clock: &mut Clock,
    (statement, sets): (&Statement<'_>, &[Vec<Option<Bytes>>]),
) -> Result<u64, EngineError> {
    session.link.limit_rows(None);
    let preludes = compose(session, statement, |_| Ok(()))?;
    let mut failure = None;
    let mut changed = 0;
    let (mut sent, mut heard) = (0, 0);
    let mut preludes = Some(preludes);
    while heard < sets.len() && failure.is_none() {
        while sent < sets.len() && sent - heard < WINDOW_SETS && session.link.out().len() < WINDOW_BYTES {
            bind(session.link.out(), &sets[sent])?;
            frontend::execute("", 0, session.link.out()).map_err(unsendable)?;
            sent += 1;
        }
        send(session, true).await?;
        if let Some(count) = preludes.take() {
            failure = skip(session, clock, count).await?;
            session.intent = statement.intent();
        }
        let nobody = &Options { max_rows: None, max_bytes: None, ..nothing_wanted() };
        while heard < sent && failure.is_none() {
            changed += follow(session, clock, &mut Rows::new(None, nobody), &mut failure).await?;
            heard += 1;
        }
    }
    finish(session, clock, failure).await?;
    Ok(changed)
}

fn nothing_wanted() -> Options {
    Options {
        deadline: None,
        policy: rowhouse_engine::SqlPolicy::Standard,
        foreign_keys: true,
        max_rows: None,
        max_bytes: None,
    }
}

/// Writes what keeps the statement from writing, the statement, and `more`; how many commands come before it.
/// Nothing is written in the end if something cannot be.
///
/// A transaction that only reads can be made one that writes until its first query, and never after.
fn compose(
    session: &mut Session,
    statement: &Statement<'_>,
    more: impl FnOnce(&mut BytesMut) -> Result<(), EngineError>,
) -> Result<u32, EngineError> {
    let preludes: &[&str] = match statement.guard {
        Guard::None => &[],
        Guard::Around => &["BEGIN READ ONLY", "SELECT 1"],
        // Who chooses an isolation level must do so before the first query; it is looked at again.
        Guard::Within if statement.nature.first == "SET" => &["SET TRANSACTION READ ONLY"],
        Guard::Within => &["SET TRANSACTION READ ONLY", "SELECT 1"],
    };
    let out = session.link.out();
    let before = out.len();
    let write = || {
        for prelude in preludes {
            frontend::parse("", prelude, [], out).map_err(unsendable)?;
            bind(out, &[])?;
            frontend::execute("", 0, out).map_err(unsendable)?;
        }
        frontend::parse("", &statement.placed.sql, [], out).map_err(unsendable)?;
        more(out)
    };
    if let Err(error) = write() {
        out.truncate(before);
        return Err(error);
    }
    session.intent = Intent::default();
    session.own_transaction = statement.guard == Guard::Around;
    Ok(preludes.len() as u32)
}

fn bind(out: &mut BytesMut, arguments: &[Option<Bytes>]) -> Result<(), EngineError> {
    let write = |argument: &Option<Bytes>, out: &mut BytesMut| match argument {
        None => Ok(IsNull::Yes),
        Some(text) => {
            out.extend_from_slice(text);
            Ok(IsNull::No)
        }
    };
    let as_text = [0_i16; 0];
    frontend::bind("", "", as_text, arguments, write, as_text, out).map_err(|_unwritable| too_long())
}

/// Sends it, to be committed at once, or when it has been looked at.
async fn send(session: &mut Session, held: bool) -> Result<(), EngineError> {
    if held {
        frontend::flush(session.link.out());
        session.begun();
    } else {
        session.sync();
    }
    session.flush().await
}

/// Reads the answers to so many commands of ours.
async fn skip(
    session: &mut Session,
    clock: &mut Clock,
    commands: u32,
) -> Result<Option<Failure>, EngineError> {
    let mut left = commands;
    while left != 0 {
        match session.receive(clock).await? {
            Some(Message::CommandComplete(_)) => left -= 1,
            Some(Message::ErrorResponse(body)) => return Failure::read(&body).map(Some).map_err(unreadable),
            _ => {}
        }
    }
    Ok(None)
}

/// Reads the answer to one command; how many rows it has changed.
async fn follow(
    session: &mut Session,
    clock: &mut Clock,
    rows: &mut Rows<'_>,
    failure: &mut Option<Failure>,
) -> Result<u64, EngineError> {
    loop {
        match session.receive(clock).await? {
            Some(Message::RowDescription(body)) => rows.describe(&body).map_err(unreadable)?,
            Some(Message::DataRow(row)) => rows.take(session, clock, &row).await?,
            None => {
                let limit = rows.options.max_bytes.unwrap_or(MAX_MESSAGE as u64);
                session.stop(clock, EngineError::TooManyBytes { limit }).await;
            }
            Some(Message::CommandComplete(body)) => {
                return Ok(counted(body.tag().map_err(unreadable)?));
            }
            Some(Message::EmptyQueryResponse) => return Ok(0),
            Some(Message::ErrorResponse(body)) => {
                *failure = Some(Failure::read(&body).map_err(unreadable)?);
                return Ok(0);
            }
            Some(Message::CopyInResponse(_)) => session.refuse_copy().await?,
            Some(Message::CopyOutResponse(_)) => session.stop(clock, no_copy()).await,
            Some(_) => {}
        }
    }
}

/// Has it committed, or undone if it failed or its result was refused; waits for that.
async fn finish(
    session: &mut Session,
    clock: &mut Clock,
    failure: Option<Failure>,
) -> Result<(), EngineError> {
    let is_refused = clock.why().is_some_and(|why| !matches!(why, EngineError::TimedOut));
    if !session.is_home() && session.is_held() {
        if is_refused && failure.is_none() {
            session.spoil()?;
        }
        session.sync();
        session.flush().await?;
    }
    let later = session.settle(clock).await?;
    if session.own_transaction {
        if session.status() != Status::Idle {
            session.simple("COMMIT", clock).await?;
        }
        session.own_transaction = false;
    }
    match (clock.why(), failure.or(later)) {
        (Some(why), _) if is_refused => Err(why.clone()),
        (Some(EngineError::TimedOut), Some(failure)) if failure.is("57014") => Err(EngineError::TimedOut),
        (_, Some(failure)) => Err(failure.into_error()),
        // It was done before it could be stopped.
        (_, None) => Ok(()),
    }
}

/// Rows that a command has changed, as its tag tells.
fn counted(tag: &str) -> u64 {
    let mut words = tag.split(' ');
    match words.next() {
        Some("INSERT" | "UPDATE" | "DELETE" | "MERGE" | "COPY") => {
            words.next_back().and_then(|count| count.parse().ok()).unwrap_or(0)
        }
        _ => 0,
    }
}

/// What is told of the columns of a result.
pub(crate) fn columns(body: &RowDescriptionBody) -> io::Result<(Vec<Column>, Vec<Reading>)> {
    let (mut columns, mut readings) = (Vec::new(), Vec::new());
    let mut fields = body.fields();
    while let Some(field) = fields.next()? {
        let declared = (field.table_oid() != 0).then(|| type_name(field.type_oid())).flatten();
        columns.push(Column { name: field.name().to_owned(), decl_type: declared.map(str::to_owned) });
        readings.push(reading(field.type_oid()));
    }
    Ok((columns, readings))
}

#[expect(clippy::needless_pass_by_value, reason = "it is what errors are mapped by")]
pub(crate) fn unsendable(error: io::Error) -> EngineError {
    tracing::debug!(%error, "a message cannot be written");
    too_long()
}

fn too_long() -> EngineError {
    let message = "the statement and its arguments are too long".to_owned();
    EngineError::Statement { condition: Condition::TooBig, message, native: native("54000") }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what errors are mapped by")]
pub(crate) fn unreadable(error: io::Error) -> EngineError {
    crate::errors::broken(&error)
}

fn no_copy() -> EngineError {
    let message = "COPY sends nothing to clients here: read the rows with SELECT".to_owned();
    EngineError::Statement { condition: Condition::Sql, message, native: native("0A000") }
}

// === impl Rows ===

impl<'a> Rows<'a> {
    fn new(outlet: Option<&'a Outlet>, options: &'a Options) -> Self {
        let (columns, readings, chunk) = (Arc::default(), Vec::new(), Chunk::default());
        Self { outlet, options, columns, readings, chunk, count: 0, bytes: 0 }
    }

    fn describe(&mut self, body: &RowDescriptionBody) -> io::Result<()> {
        let (columns, readings) = columns(body)?;
        self.columns = columns.into();
        self.readings = readings;
        self.chunk.columns = Some(self.columns.clone());
        self.chunk.rows = Batch::new(self.columns.len());
        Ok(())
    }

    async fn take(
        &mut self,
        session: &mut Session,
        clock: &mut Clock,
        row: &DataRowBody,
    ) -> Result<(), EngineError> {
        let Some(outlet) = self.outlet.filter(|_| clock.why().is_none()) else { return Ok(()) };
        self.count += 1;
        self.bytes += row.buffer().len() as u64;
        let refused = match (self.options.max_rows, self.options.max_bytes) {
            (Some(limit), _) if limit < self.count => Some(EngineError::TooManyRows { limit }),
            (_, Some(limit)) if limit < self.bytes => Some(EngineError::TooManyBytes { limit }),
            _ => self.keep(row).map_err(unreadable)?.err().map(EngineError::from),
        };
        if let Some(why) = refused {
            session.stop(clock, why).await;
        } else if CHUNK <= self.chunk.rows.size() {
            let next = Chunk { rows: Batch::new(self.columns.len()), ..Chunk::default() };
            outlet.send(std::mem::replace(&mut self.chunk, next)).await;
        }
        Ok(())
    }

    fn keep(&mut self, row: &DataRowBody) -> io::Result<Result<(), Misuse>> {
        let mut ranges = row.ranges();
        let mut index = 0;
        while let Some(range) = ranges.next()? {
            let (column, reading) = (&self.columns[index], self.readings[index]);
            let text = range.map(|range| &row.buffer()[range]);
            if let Err(misuse) = push(&mut self.chunk.rows, column, reading, text) {
                return Ok(Err(misuse));
            }
            index += 1;
        }
        Ok(Ok(()))
    }
}
