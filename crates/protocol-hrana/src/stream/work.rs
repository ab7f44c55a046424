//! Requests of a stream that are answered at once.
use super::fail::Fail;
use super::texts::Texts;
use super::turn::{Bound, Rows, Turn, within};
use rowhouse_engine::{Batch as RowBatch, Column, Outcome};
use rowhouse_types::Request;
use rowhouse_wire::hrana;
use rowhouse_wire::hrana::{
    Answer, Batch, Condition, Described, Done, Sql, Statement, StatementWriter, Step, Summary, Work,
};
use std::sync::Arc;
use std::time::Instant;

/// Rows into an answer, no more bytes of which than it may have.
struct Written<'a, 'w> {
    writer: &'a mut StatementWriter<'w>,
    wants_rows: bool,
    /// The most bytes of the whole answer.
    most: Option<u64>,
}

/// A statement that ran.
pub(super) struct Ran {
    pub(super) summary: Summary,
}

/// The most bytes of a column's name or type that are told: what is longer is cut.
const NAME_MAX: usize = 4 << 10;

/// How the steps of a batch came out.
pub(super) struct Steps(Vec<bool>);

/// Does one piece of work and answers it.
///
/// # Errors
///
/// When the answer says so: the failure, for who wants to end the request with it.
pub(crate) async fn perform(
    turn: &mut Turn,
    texts: &Texts,
    work: Work,
    answer: Answer<'_>,
) -> Result<(), Fail> {
    match work {
        Work::Execute(statement) => execute(turn, texts, statement, answer).await,
        Work::Batch(batch) => perform_batch(turn, texts, batch, answer).await,
        Work::Sequence(sql) => match sequence(turn, texts, &sql).await {
            Ok(()) => {
                answer.done(Done::Sequence);
                Ok(())
            }
            Err(fail) => refuse(answer, fail),
        },
        Work::Describe(sql) => match texts.get(&sql) {
            Ok(sql) => describe(turn, &sql, answer).await,
            Err(fail) => refuse(answer, fail),
        },
        Work::GetAutocommit => match turn.check() {
            Ok(()) => {
                answer.autocommit(turn.is_autocommit());
                Ok(())
            }
            Err(fail) => refuse(answer, fail),
        },
    }
}

fn refuse(answer: Answer<'_>, fail: Fail) -> Result<(), Fail> {
    answer.error(&fail.error());
    Err(fail)
}

async fn execute(
    turn: &mut Turn,
    texts: &Texts,
    statement: Statement,
    answer: Answer<'_>,
) -> Result<(), Fail> {
    let wants_rows = statement.want_rows;
    let request = match request(statement, texts) {
        Ok(request) => request,
        Err(fail) => return refuse(answer, fail),
    };
    let mut writer = answer.execute();
    match write(turn, request, wants_rows, &mut writer).await {
        Ok(ran) => {
            writer.finish(&ran.summary);
            Ok(())
        }
        Err(fail) => {
            writer.fail(&fail.error());
            Err(fail)
        }
    }
}

async fn perform_batch(turn: &mut Turn, texts: &Texts, batch: Batch, answer: Answer<'_>) -> Result<(), Fail> {
    if let Err(fail) = turn.check() {
        return refuse(answer, fail);
    }
    let mut writer = answer.batch();
    let mut steps = Steps::of(&batch);
    for Step { condition, statement } in batch.steps {
        // However little each of them says, together they may say too much.
        if let Err(fail) = turn.bound(writer.buffered()) {
            writer.fail(&fail.error());
            return Err(fail);
        }
        if !steps.runs(condition.as_ref(), turn) {
            steps.note(false);
            writer.skip();
            continue;
        }
        let wants_rows = statement.want_rows;
        let request = match request(statement, texts) {
            Ok(request) => request,
            Err(fail) => {
                steps.note(false);
                writer.fail_step(&fail.error());
                continue;
            }
        };
        let mut step = writer.step();
        let ran = write(turn, request, wants_rows, &mut step).await;
        steps.note(ran.is_ok());
        match ran {
            Ok(ran) => step.finish(&ran.summary),
            Err(fail) => step.fail(&fail.error()),
        }
    }
    writer.finish();
    Ok(())
}

async fn sequence(turn: &mut Turn, texts: &Texts, sql: &Sql) -> Result<(), Fail> {
    let request = Request::sequence(texts.get(sql)?);
    turn.run(request, Bound::Limits, &mut Discarded).await.map(drop)
}

async fn describe(turn: &mut Turn, sql: &str, answer: Answer<'_>) -> Result<(), Fail> {
    let description = match turn.describe(sql).await {
        Ok(description) => description,
        Err(fail) => return refuse(answer, fail),
    };
    let params: Vec<_> = description.params.iter().map(Option::as_deref).collect();
    let columns: Vec<_> = description.columns.iter().map(column).collect();
    let names = params.iter().flatten().map(|name| name.len());
    let all: usize = names.chain(columns.iter().map(|column| column.name.len())).sum();
    if let Err(fail) = turn.bound(all) {
        return refuse(answer, fail);
    }
    answer.describe(&Described {
        params: &params,
        columns: &columns,
        is_explain: description.is_explain,
        is_readonly: description.is_readonly,
    });
    Ok(())
}

async fn write(
    turn: &mut Turn,
    request: Request,
    wants_rows: bool,
    writer: &mut StatementWriter<'_>,
) -> Result<Ran, Fail> {
    let most = turn.most_bytes();
    Ran::of(turn, request, Bound::Limits, &mut Written { writer, wants_rows, most }).await
}

/// The request of a statement.
pub(super) fn request(mut statement: Statement, texts: &Texts) -> Result<Request, Fail> {
    let arguments = statement.take_arguments()?;
    Ok(Request::Execute { sql: texts.get(&statement.sql)?, arguments })
}

/// A column as it is written.
pub(super) fn column(column: &Column) -> hrana::Column<'_> {
    hrana::Column { name: cut(&column.name), decltype: column.decl_type.as_deref().map(cut) }
}

fn cut(name: &str) -> &str {
    let most = NAME_MAX.min(name.len());
    let end = (0..=most).rev().find(|&at| name.is_char_boundary(at)).unwrap_or(0);
    &name[..end]
}

// === impl Ran ===

impl Ran {
    /// Runs a request.
    pub(super) async fn of(
        turn: &mut Turn,
        request: Request,
        bound: Bound,
        rows: &mut impl Rows,
    ) -> Result<Self, Fail> {
        let began = Instant::now();
        let (outcome, inserted) = turn.run(request, bound, rows).await?;
        let Outcome { changed, rows_read, rows_written, .. } = outcome;
        let summary = Summary {
            affected_row_count: changed,
            last_insert_rowid: inserted,
            rows_read,
            rows_written,
            duration: began.elapsed(),
        };
        Ok(Self { summary })
    }
}

// === impl Steps ===

impl Steps {
    pub(super) fn of(batch: &Batch) -> Self {
        Self(Vec::with_capacity(batch.steps.len()))
    }

    /// Whether the next step is to run.
    pub(super) fn runs(&self, condition: Option<&Condition>, turn: &Turn) -> bool {
        let ok = |step: u32| self.0.get(step as usize).copied().unwrap_or(false);
        condition.is_none_or(|condition| condition.holds(&ok, turn.is_autocommit()))
    }

    /// Notes how the next step came out.
    pub(super) fn note(&mut self, is_ok: bool) {
        self.0.push(is_ok);
    }
}

// === impl Rows ===

/// Rows that nobody wants.
struct Discarded;

impl Rows for Discarded {
    async fn columns(&mut self, _columns: Arc<[Column]>) -> Result<(), Fail> {
        Ok(())
    }

    async fn rows(&mut self, _rows: RowBatch) -> Result<(), Fail> {
        Ok(())
    }
}

impl Rows for Written<'_, '_> {
    async fn columns(&mut self, columns: Arc<[Column]>) -> Result<(), Fail> {
        self.writer.columns(columns.iter().map(column));
        within(self.writer.buffered(), self.most)
    }

    async fn rows(&mut self, rows: RowBatch) -> Result<(), Fail> {
        if !self.wants_rows {
            return Ok(());
        }
        rows.rows().for_each(|row| self.writer.row(row.values()));
        within(self.writer.buffered(), self.most)
    }
}
