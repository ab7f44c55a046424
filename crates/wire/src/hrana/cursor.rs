//! Cursors: the result of a batch, entry by entry.
use super::Encoding;
use super::answer::Frame;
use super::error::Error;
use super::frame::Out;
use super::result::{Column, Summary};
use crate::json::{put_integer, put_unsigned};
use crate::protobuf::zigzag;
use rowhouse_types::ValueRef;

/// Writes the body of `POST v3/cursor`, which is sent in parts.
#[derive(Debug)]
pub struct CursorWriter {
    out: Out,
}

/// Writes the answer to `fetch_cursor`.
#[derive(Debug)]
#[must_use = "every request has an answer"]
pub struct FetchWriter<'a> {
    out: &'a mut Out,
    frame: Frame,
}

/// Writes entries of a cursor, wherever they stand.
#[derive(Debug)]
pub struct Entries<'a> {
    out: &'a mut Out,
    form: Form,
}

/// How one entry is told from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Lines, or messages with their length before them.
    Body,
    /// Elements of the answer's array.
    Answer,
}

// === impl CursorWriter ===

impl CursorWriter {
    /// A body that begins with the stream's baton.
    pub fn new(encoding: Encoding, baton: Option<&str>, base_url: Option<&str>) -> Self {
        let mut out = Out::new(encoding);
        if out.is_json() {
            out.raw("{");
            out.stream_json(baton, base_url);
            out.raw("}\n");
        } else {
            let message = out.open_bare();
            out.stream_protobuf(baton, base_url);
            out.close(message);
        }
        Self { out }
    }

    /// Where the entries go.
    pub fn entries(&mut self) -> Entries<'_> {
        Entries { out: &mut self.out, form: Form::Body }
    }

    /// How many bytes are not taken yet.
    pub fn buffered(&self) -> usize {
        self.out.bytes.len()
    }

    /// Takes what was written so far.
    pub fn take(&mut self) -> Vec<u8> {
        let room = Vec::with_capacity(self.out.bytes.len());
        std::mem::replace(&mut self.out.bytes, room)
    }
}

// === impl FetchWriter ===

impl<'a> FetchWriter<'a> {
    pub(super) fn new(out: &'a mut Out, frame: Frame) -> Self {
        if out.is_json() {
            out.key("entries");
            out.raw("[");
        }
        Self { out, frame }
    }

    /// Where the entries go.
    pub fn entries(&mut self) -> Entries<'_> {
        Entries { out: self.out, form: Form::Answer }
    }

    /// How many bytes the whole buffer has by now.
    pub fn buffered(&self) -> usize {
        self.out.bytes.len()
    }

    /// Ends the answer; whether the cursor has no more entries.
    pub fn finish(self, done: bool) {
        if self.out.is_json() {
            self.out.raw("],\"done\":");
            self.out.raw(if done { "true" } else { "false" });
        } else {
            self.out.varint_field(2, done.into());
        }
        self.frame.close(self.out);
    }

    /// Takes back what was written; the error stands in its place.
    pub fn fail(self, error: &Error<'_>) {
        self.frame.fail(self.out, error);
    }
}

// === impl Entries ===

impl Entries<'_> {
    /// A step begins, with these columns.
    pub fn step_begin<'c>(&mut self, step: u32, columns: impl IntoIterator<Item = Column<'c>>) {
        self.entry(1, |out| {
            if out.is_json() {
                out.raw("{\"type\":\"step_begin\",\"step\":");
                put_unsigned(&mut out.bytes, step.into());
                out.raw(",\"cols\":[");
                out.columns(2, columns);
                return out.raw("]}");
            }
            out.varint_field(1, step.into());
            out.columns(2, columns);
        });
    }

    /// A row of the step that began last.
    pub fn row<'v>(&mut self, values: impl Iterator<Item = ValueRef<'v>>) {
        self.entry(4, |out| {
            if out.is_json() {
                out.raw("{\"type\":\"row\",\"row\":");
                out.values(values);
                return out.raw("}");
            }
            out.values(values);
        });
    }

    /// The step that began last has succeeded.
    pub fn step_end(&mut self, summary: &Summary) {
        let form = self.form;
        self.entry(2, |out| {
            if out.is_json() {
                return step_end_json(out, summary, form);
            }
            out.varint_field(1, summary.affected_row_count);
            if let Some(id) = summary.last_insert_rowid {
                out.varint_field(2, zigzag(id));
            }
        });
    }

    /// A step has failed, whether it had begun or not.
    pub fn step_error(&mut self, step: u32, error: &Error<'_>) {
        self.entry(3, |out| {
            if out.is_json() {
                out.raw("{\"type\":\"step_error\",\"step\":");
                put_unsigned(&mut out.bytes, step.into());
                out.raw(",\"error\":");
                out.error(error);
                return out.raw("}");
            }
            out.varint_field(1, step.into());
            out.error_field(2, error);
        });
    }

    /// The batch has failed as a whole: the last entry.
    pub fn error(&mut self, error: &Error<'_>) {
        self.entry(5, |out| {
            if out.is_json() {
                out.raw("{\"type\":\"error\",\"error\":");
                out.error(error);
                return out.raw("}");
            }
            out.error(error);
        });
    }

    /// How many bytes the whole buffer has by now.
    pub fn buffered(&self) -> usize {
        self.out.bytes.len()
    }

    fn entry(&mut self, tag: u8, write: impl FnOnce(&mut Out)) {
        let out = &mut *self.out;
        match (out.encoding, self.form) {
            (Encoding::Json, Form::Body) => {
                write(out);
                out.raw("\n");
            }
            (Encoding::Json, Form::Answer) => {
                out.element();
                write(out);
            }
            (Encoding::Protobuf, form) => {
                let outer = match form {
                    Form::Body => out.open_bare(),
                    Form::Answer => out.open(1),
                };
                let entry = out.open(tag);
                write(out);
                out.close(entry);
                out.close(outer);
            }
        }
    }
}

/// Over HTTP the key of the row inserted last is a number, which is the only form some clients read;
/// over WebSocket it is a string, for the same reason.
fn step_end_json(out: &mut Out, summary: &Summary, form: Form) {
    out.raw("{\"type\":\"step_end\",\"affected_row_count\":");
    put_unsigned(&mut out.bytes, summary.affected_row_count);
    out.raw(",\"last_insert_rowid\":");
    let quote = if form == Form::Answer { "\"" } else { "" };
    match summary.last_insert_rowid {
        None => out.raw("null"),
        Some(id) => {
            out.raw(quote);
            put_integer(&mut out.bytes, id);
            out.raw(quote);
        }
    }
    out.raw("}");
}
