//! A batch whose result is taken entry by entry, and runs no further than it is taken.
use super::Keep;
use super::driven::{Driven, Outlet};
use super::fail::Fail;
use super::texts::Texts;
use super::turn::{Bound, Rows, Stream, Turn};
use super::work::{Ran, Steps, column, request};
use crate::room::Room;
use rowhouse_engine::{Batch as RowBatch, Column, EngineError};
use rowhouse_wire::hrana::{Batch, Entries, Step, Summary};
use std::sync::Arc;

/// The entries of a batch under way, and its stream in the end.
pub(crate) type Cursor = Driven<Part, Stream>;

/// One or more entries of a cursor.
#[derive(Debug)]
pub(crate) enum Part {
    /// A step begins.
    Begin(u32, Arc<[Column]>),
    /// Rows of it; those before the second are written already.
    Rows(RowBatch, usize),
    /// It has succeeded.
    End(Summary),
    /// It has failed.
    StepError(u32, Fail),
}

/// The rows of one step, on their way out.
struct Yielded<'a> {
    out: &'a Outlet<Part>,
    step: u32,
    wants_rows: bool,
    has_begun: bool,
}

/// Runs a batch as far as its result is taken. It has its room until it has ended.
pub(crate) fn cursor(mut turn: Turn, texts: Arc<Texts>, (batch, room): (Batch, Room), keep: Keep) -> Cursor {
    Driven::new(move |out| async move {
        let _room = room;
        // Who takes no more entries is not told how the rest came out.
        let left = tokio::select! {
            biased;
            ran = run(&mut turn, &texts, batch, &out) => ran,
            () = out.closed() => Err(Left),
        };
        if left.is_err() {
            turn.settle().await;
        }
        turn.end(keep)
    })
}

async fn run(turn: &mut Turn, texts: &Texts, batch: Batch, out: &Outlet<Part>) -> Result<(), Left> {
    let mut steps = Steps::of(&batch);
    for (step, Step { condition, statement }) in (0..).zip(batch.steps) {
        if !steps.runs(condition.as_ref(), turn) {
            steps.note(false);
            continue;
        }
        let mut rows = Yielded { out, step, wants_rows: statement.want_rows, has_begun: false };
        let ran = match request(statement, texts) {
            Ok(request) => Ran::of(turn, request, Bound::Taken, &mut rows).await,
            Err(fail) => Err(fail),
        };
        steps.note(ran.is_ok());
        let last = match ran {
            Ok(ran) => {
                rows.begin(Arc::new([])).await?;
                Part::End(ran.summary)
            }
            Err(fail) => Part::StepError(step, fail),
        };
        put(out, last).await?;
    }
    Ok(())
}

/// Nobody takes what is yielded any more.
struct Left;

async fn put(out: &Outlet<Part>, part: Part) -> Result<(), Left> {
    out.send(part).await.map_err(|_left| Left)
}

// === impl Yielded ===

impl Yielded<'_> {
    async fn begin(&mut self, columns: Arc<[Column]>) -> Result<(), Left> {
        if std::mem::replace(&mut self.has_begun, true) {
            return Ok(());
        }
        put(self.out, Part::Begin(self.step, columns)).await
    }
}

impl Rows for Yielded<'_> {
    async fn columns(&mut self, columns: Arc<[Column]>) -> Result<(), Fail> {
        self.begin(columns).await.map_err(Fail::from)
    }

    async fn rows(&mut self, rows: RowBatch) -> Result<(), Fail> {
        if !self.wants_rows {
            return Ok(());
        }
        put(self.out, Part::Rows(rows, 0)).await.map_err(Fail::from)
    }
}

// === impl Left ===

impl From<Left> for Fail {
    fn from(_left: Left) -> Self {
        Self::from(&EngineError::Cancelled)
    }
}

// === impl Part ===

impl Part {
    /// Writes at most so many entries, until the buffer is full; the rest of it, if there is one, and
    /// how many were written.
    pub(crate) fn write(self, into: &mut Entries<'_>, most: usize, full: usize) -> (Option<Self>, usize) {
        match self {
            Self::Begin(step, columns) => into.step_begin(step, columns.iter().map(column)),
            Self::End(summary) => into.step_end(&summary),
            Self::StepError(step, fail) => into.step_error(step, &fail.error()),
            Self::Rows(rows, from) => {
                let mut written = 0;
                for row in rows.rows().skip(from).take(most) {
                    into.row(row.values());
                    written += 1;
                    if full <= into.buffered() {
                        break;
                    }
                }
                let next = from + written;
                let is_over = rows.len() <= next;
                return ((!is_over).then_some(Self::Rows(rows, next)), written);
            }
        }
        (None, 1)
    }
}
