//! Results of statements and batches, written as they come.
use super::error::Error;
use super::frame::{Nested, Out, put_error};
use crate::json::{put_float, put_integer, put_unsigned};
use crate::protobuf::zigzag;
use rowhouse_types::ValueRef;
use std::time::Duration;

/// A column of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column<'a> {
    /// Its name.
    pub name: &'a str,
    /// The type that its table declares it with, if it comes from a table.
    pub decltype: Option<&'a str>,
}

/// What a statement did, told after its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rows inserted, updated or deleted.
    pub affected_row_count: u64,
    /// The key of the row inserted last, if one was.
    pub last_insert_rowid: Option<i64>,
    /// Rows that the engine read.
    pub rows_read: u64,
    /// Rows that the engine wrote.
    pub rows_written: u64,
    /// How long it ran.
    pub duration: Duration,
}

/// Writes the result of one statement: columns, rows, and then either of the ends.
#[derive(Debug)]
#[must_use = "a result is ended, or failed"]
pub struct StatementWriter<'a> {
    out: &'a mut Out,
    place: Place<'a>,
    /// Where the result begins, to take it back.
    start: usize,
    message: Option<Nested>,
    has_columns: bool,
}

/// What the result is part of.
#[derive(Debug)]
enum Place<'a> {
    /// An answer.
    Answer(super::answer::Frame),
    /// A batch: the entry of its map in protobuf, the errors gathered in JSON.
    Step { index: u32, entry: Option<Nested>, errors: &'a mut Vec<u8> },
}

/// Writes the result of a batch, step by step.
#[derive(Debug)]
#[must_use = "a batch is ended, or failed"]
pub struct BatchWriter<'a> {
    out: &'a mut Out,
    frame: super::answer::Frame,
    message: Option<Nested>,
    errors: Vec<u8>,
    steps: u32,
}

// === impl StatementWriter ===

impl<'a> StatementWriter<'a> {
    pub(super) fn answer(out: &'a mut Out, frame: super::answer::Frame) -> Self {
        let start = out.bytes.len();
        Self::begin(out, Place::Answer(frame), start)
    }

    fn begin(out: &'a mut Out, place: Place<'a>, start: usize) -> Self {
        let message = match (out.is_json(), &place) {
            (true, _) => None,
            (false, Place::Answer(_)) => Some(out.open(1)),
            (false, Place::Step { .. }) => Some(out.open(2)),
        };
        if out.is_json() {
            out.raw("{\"cols\":[");
        }
        Self { out, place, start, message, has_columns: false }
    }

    /// Writes the columns. Once, and before any row.
    pub fn columns<'c>(&mut self, columns: impl IntoIterator<Item = Column<'c>>) {
        debug_assert!(!self.has_columns, "columns are written once");
        self.out.columns(1, columns);
        self.end_columns();
    }

    /// Writes a row.
    pub fn row<'v>(&mut self, values: impl Iterator<Item = ValueRef<'v>>) {
        debug_assert!(self.has_columns, "columns come before rows");
        if self.out.is_json() {
            self.out.element();
            return self.out.values(values);
        }
        let row = self.out.open(2);
        self.out.values(values);
        self.out.close(row);
    }

    /// How many bytes the whole buffer has by now.
    pub fn buffered(&self) -> usize {
        self.out.bytes.len()
    }

    /// Ends the result.
    pub fn finish(mut self, summary: &Summary) {
        if self.out.is_json() {
            if !self.has_columns {
                self.end_columns();
            }
            self.out.raw("],");
            self.out.summary_json(summary);
            self.out.raw(",\"replication_index\":null}");
        } else {
            self.out.summary_protobuf(summary);
        }
        if let Some(message) = self.message {
            self.out.close(message);
        }
        match self.place {
            Place::Answer(frame) => frame.close(self.out),
            Place::Step { entry, errors, .. } => {
                if let Some(entry) = entry {
                    self.out.close(entry);
                }
                null_element(errors);
            }
        }
    }

    /// Takes back what was written; the error stands in its place.
    pub fn fail(self, error: &Error<'_>) {
        match self.place {
            Place::Answer(frame) => frame.fail(self.out, error),
            Place::Step { index, errors, .. } => {
                self.out.bytes.truncate(self.start);
                step_failed(self.out, errors, index, error);
            }
        }
    }

    fn end_columns(&mut self) {
        self.has_columns = true;
        if self.out.is_json() {
            self.out.raw("],\"rows\":[");
        }
    }
}

// === impl BatchWriter ===

impl<'a> BatchWriter<'a> {
    pub(super) fn new(out: &'a mut Out, frame: super::answer::Frame) -> Self {
        let message = if out.is_json() {
            out.raw("{\"step_results\":[");
            None
        } else {
            Some(out.open(1))
        };
        Self { out, frame, message, errors: vec![b'['], steps: 0 }
    }

    /// Begins the result of the next step.
    pub fn step(&mut self) -> StatementWriter<'_> {
        let index = self.next();
        let start = self.out.bytes.len();
        let entry = if self.out.is_json() {
            self.out.element();
            None
        } else {
            let entry = self.out.open(1);
            self.out.varint_field(1, index.into());
            Some(entry)
        };
        let place = Place::Step { index, entry, errors: &mut self.errors };
        StatementWriter::begin(self.out, place, start)
    }

    /// Notes that the next step was skipped.
    pub fn skip(&mut self) {
        self.next();
        if self.out.is_json() {
            null_element(&mut self.out.bytes);
            null_element(&mut self.errors);
        }
    }

    /// Notes that the next step failed before it had a result.
    pub fn fail_step(&mut self, error: &Error<'_>) {
        let index = self.next();
        step_failed(self.out, &mut self.errors, index, error);
    }

    /// How many bytes the whole buffer has by now.
    pub fn buffered(&self) -> usize {
        self.out.bytes.len() + self.errors.len()
    }

    /// Ends the result.
    pub fn finish(self) {
        match self.message {
            Some(message) => self.out.close(message),
            None => {
                self.out.raw("],\"step_errors\":");
                self.out.bytes.extend_from_slice(&self.errors);
                self.out.raw("],\"replication_index\":null}");
            }
        }
        self.frame.close(self.out);
    }

    /// Takes back all that was written; the error stands in its place.
    pub fn fail(self, error: &Error<'_>) {
        self.frame.fail(self.out, error);
    }

    fn next(&mut self) -> u32 {
        self.steps += 1;
        self.steps - 1
    }
}

/// Writes that a step failed: its place among the results is empty.
fn step_failed(out: &mut Out, errors: &mut Vec<u8>, index: u32, error: &Error<'_>) {
    if out.is_json() {
        null_element(&mut out.bytes);
        comma(errors);
        put_error(errors, error);
        return;
    }
    let entry = out.open(2);
    out.varint_field(1, index.into());
    let message = out.open(2);
    out.error(error);
    out.close(message);
    out.close(entry);
}

fn null_element(out: &mut Vec<u8>) {
    comma(out);
    out.extend_from_slice(b"null");
}

fn comma(out: &mut Vec<u8>) {
    if out.last() != Some(&b'[') {
        out.push(b',');
    }
}

// === impl Out ===

impl Out {
    /// Writes columns as elements of an array, or as fields `tag`.
    pub(super) fn columns<'c>(&mut self, tag: u8, columns: impl IntoIterator<Item = Column<'c>>) {
        for column in columns {
            if self.is_json() {
                self.element();
                self.raw("{\"name\":");
                self.optional_str(Some(column.name));
                self.raw(",\"decltype\":");
                self.optional_str(column.decltype);
                self.bytes.push(b'}');
                continue;
            }
            let message = self.open(tag);
            self.bytes_field(1, column.name.as_bytes());
            if let Some(decltype) = column.decltype {
                self.bytes_field(2, decltype.as_bytes());
            }
            self.close(message);
        }
    }

    /// Writes the members that tell what a statement did, after `rows` of its object.
    fn summary_json(&mut self, summary: &Summary) {
        self.raw("\"affected_row_count\":");
        put_unsigned(&mut self.bytes, summary.affected_row_count);
        self.raw(",\"last_insert_rowid\":");
        match summary.last_insert_rowid {
            None => self.raw("null"),
            Some(id) => {
                self.bytes.push(b'"');
                put_integer(&mut self.bytes, id);
                self.bytes.push(b'"');
            }
        }
        self.raw(",\"rows_read\":");
        put_unsigned(&mut self.bytes, summary.rows_read);
        self.raw(",\"rows_written\":");
        put_unsigned(&mut self.bytes, summary.rows_written);
        self.raw(",\"query_duration_ms\":");
        put_float(&mut self.bytes, milliseconds(summary.duration));
    }

    /// Writes the same as fields. Those of the last line are not in the specification; the protocol's
    /// own library has them.
    fn summary_protobuf(&mut self, summary: &Summary) {
        self.varint_field(3, summary.affected_row_count);
        if let Some(id) = summary.last_insert_rowid {
            self.varint_field(4, zigzag(id));
        }
        self.varint_field(6, summary.rows_read);
        self.varint_field(7, summary.rows_written);
        self.bytes.push(8 << 3 | 1);
        self.bytes.extend_from_slice(&milliseconds(summary.duration).to_le_bytes());
    }
}

/// Milliseconds, to the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}
