//! Rows on their way out: cut into chunks, counted against the limits.
use crate::errors::{stalled, too_many_readers, translate};
use crate::handle::Handle;
use crate::job::Done;
use crate::perform::Halt;
use crate::pipe::{Unsent, Writer};
use rowhouse_engine::{Batch, Chunk, Column, EngineError, Misuse, Options, Outcome};
use rowhouse_types::ValueRef;
use rusqlite::{Row, Statement};
use std::sync::Arc;

/// Rows and bytes after which a chunk goes out.
const CHUNK_ROWS: usize = 512;
const CHUNK_BYTES: usize = 64 << 10;

/// What a value takes beside its text or bytes, about: rows of nothing but empty texts are no less rows.
const VALUE_BYTES: u64 = 8;

/// The most bytes of one row when there is no smaller limit: a batch can hold it.
const ROW_BYTES: u64 = 1 << 30;

/// The rows of one statement. A result that fits one chunk goes out as one, with its outcome.
pub(crate) struct Output<'a> {
    options: &'a Options,
    /// Where chunks go before the last; without it there must be but one.
    pipe: Option<&'a Writer<Done>>,
    handle: &'a Handle,
    sql: &'a Arc<str>,
    columns: Option<Arc<[Column]>>,
    batch: Batch,
    /// Whether a row was seen; from then on the columns are known.
    begun: bool,
    rows: u64,
    bytes: u64,
}

// === impl Output ===

impl<'a> Output<'a> {
    /// For the rows of `sql`, which `handle` has compiled.
    pub(crate) fn new(
        (handle, sql): (&'a Handle, &'a Arc<str>),
        options: &'a Options,
        pipe: Option<&'a Writer<Done>>,
    ) -> Self {
        Self {
            options,
            pipe,
            handle,
            sql,
            columns: None,
            batch: Batch::default(),
            begun: false,
            rows: 0,
            bytes: 0,
        }
    }

    /// Takes a row, first sending those before it if they fill a chunk.
    pub(crate) fn push(&mut self, row: &Row<'_>) -> Result<(), Halt> {
        if !self.begun {
            // Only now are the columns certain: a statement compiled before the schema changed
            // is compiled anew at its first step.
            self.begun = true;
            self.columns = self.handle.columns(self.sql, row.as_ref());
            self.batch = Batch::new(row.as_ref().column_count());
        }
        if CHUNK_ROWS <= self.batch.len() || CHUNK_BYTES <= self.batch.size() {
            self.send()?;
        }
        self.rows += 1;
        if let Some(limit) = self.options.max_rows.filter(|&limit| limit < self.rows) {
            return Err(EngineError::TooManyRows { limit }.into());
        }
        let before = self.bytes;
        for column in 0..self.batch.columns() {
            let value = row.get_ref(column).map_err(|error| translate(&error))?;
            self.push_value(value, row, column)?;
            if ROW_BYTES < self.bytes - before {
                return Err(EngineError::TooManyBytes { limit: ROW_BYTES }.into());
            }
        }
        Ok(())
    }

    /// How many rows there were, and about how many bytes.
    pub(crate) fn taken(&self) -> (u64, u64) {
        (self.rows, self.bytes)
    }

    /// The last chunk.
    pub(crate) fn finish(mut self, statement: &Statement<'_>, outcome: Outcome) -> Chunk {
        if !self.begun {
            self.columns = self.handle.columns(self.sql, statement);
            self.batch = Batch::new(statement.column_count());
        }
        Chunk { columns: self.columns, rows: self.batch, outcome: Some(outcome) }
    }

    fn push_value(
        &mut self,
        value: rusqlite::types::ValueRef<'_>,
        row: &Row<'_>,
        column: usize,
    ) -> Result<(), EngineError> {
        let value = match value {
            rusqlite::types::ValueRef::Null => ValueRef::Null,
            rusqlite::types::ValueRef::Integer(n) => ValueRef::Integer(n),
            rusqlite::types::ValueRef::Real(x) => ValueRef::Real(x),
            rusqlite::types::ValueRef::Blob(bytes) => ValueRef::Blob(bytes),
            rusqlite::types::ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => ValueRef::Text(text),
                Err(_) => return Err(not_utf8(bytes, row, column)),
            },
        };
        self.bytes += match value {
            ValueRef::Text(text) => VALUE_BYTES + text.len() as u64,
            ValueRef::Blob(bytes) => VALUE_BYTES + bytes.len() as u64,
            ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => VALUE_BYTES,
        };
        if let Some(limit) = self.options.max_bytes.filter(|&limit| limit < self.bytes) {
            return Err(EngineError::TooManyBytes { limit });
        }
        self.batch.push(value);
        Ok(())
    }

    fn send(&mut self) -> Result<(), Halt> {
        let Some(pipe) = self.pipe else { return Err(Halt::TooLong) };
        let next = Batch::new(self.batch.columns());
        let rows = std::mem::replace(&mut self.batch, next);
        let chunk = Chunk { columns: self.columns.take(), rows, outcome: None };
        let control = &self.handle.control;
        let error = match pipe.send(chunk, || control.stop().is_some()) {
            Ok(()) => return Ok(()),
            Err(Unsent::Stopped) => control.stop().map_or(EngineError::Cancelled, EngineError::from),
            Err(Unsent::Crowded) => too_many_readers(),
            Err(Unsent::Stalled { patience }) => stalled(patience),
        };
        Err(error.into())
    }
}

/// The columns of what a statement yields.
pub(crate) fn describe_columns(statement: &Statement<'_>) -> impl Iterator<Item = Column> {
    statement.columns().map(|column| Column {
        name: column.name().to_owned(),
        decl_type: column.decl_type().map(str::to_owned),
    })
}

fn not_utf8(bytes: &[u8], row: &Row<'_>, column: usize) -> EngineError {
    let column = row.as_ref().column_name(column).unwrap_or_default().to_owned();
    Misuse::NotUtf8 { column, text: String::from_utf8_lossy(bytes).into_owned() }.into()
}
