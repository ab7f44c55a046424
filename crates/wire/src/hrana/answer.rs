//! Answers: the place of one, and the bodies and messages they stand in.
use super::Encoding;
use super::error::Error;
use super::frame::{Nested, Out, put_error};
use super::result::{BatchWriter, Column, StatementWriter};
use crate::json::{put_integer, put_str};

/// Where one answer is to stand. It is filled in by exactly one method.
#[derive(Debug)]
#[must_use = "every request has an answer"]
pub struct Answer<'a> {
    out: &'a mut Out,
    context: Context,
}

/// What answers stand in.
#[derive(Clone, Copy, Debug)]
enum Context {
    /// The results of a pipeline.
    Pipeline,
    /// A message over WebSocket, to the request of this number.
    Socket(i32),
    /// A body of version 1, which is one result alone.
    Alone,
}

/// An answer under way.
#[derive(Debug)]
pub(super) struct Frame {
    context: Context,
    /// Where it begins, to take it back.
    start: usize,
    /// The messages around it, from the outermost.
    messages: [Option<Nested>; 3],
}

/// Answers that say no more than that it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each answers the request of the same name")]
pub enum Done {
    Close,
    Sequence,
    StoreSql,
    CloseSql,
    OpenStream,
    CloseStream,
    OpenCursor,
    CloseCursor,
}

/// What a statement is, without having been run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Described<'a> {
    /// The parameters' names, with their prefix; none for `?`.
    pub params: &'a [Option<&'a str>],
    /// The columns.
    pub columns: &'a [Column<'a>],
    /// Whether it is an `EXPLAIN`.
    pub is_explain: bool,
    /// Whether it changes nothing.
    pub is_readonly: bool,
}

/// Writes the body of an answer to a pipeline.
#[derive(Debug)]
pub struct PipelineWriter {
    out: Out,
}

/// The type of an answer: its name in JSON, its field over HTTP and over WebSocket (0: never there).
#[derive(Clone, Copy)]
struct Type(&'static str, u8, u8);

const EXECUTE: Type = Type("execute", 2, 4);
const BATCH: Type = Type("batch", 3, 5);
const DESCRIBE: Type = Type("describe", 5, 10);
const GET_AUTOCOMMIT: Type = Type("get_autocommit", 8, 13);
const FETCH_CURSOR: Type = Type("fetch_cursor", 0, 8);

/// Writes one answer that is a body or a message by itself.
#[derive(Debug)]
pub struct SingleWriter {
    out: Out,
    context: Context,
}

// === impl SingleWriter ===

impl SingleWriter {
    /// The body of an answer of version 1 (`v1/execute`, `v1/batch`).
    pub fn body() -> Self {
        Self { out: Out::new(Encoding::Json), context: Context::Alone }
    }

    /// The message that answers the request of this number over WebSocket.
    pub fn message(encoding: Encoding, request_id: i32) -> Self {
        Self { out: Out::new(encoding), context: Context::Socket(request_id) }
    }

    /// The place of the answer. It is answered once.
    pub fn answer(&mut self) -> Answer<'_> {
        Answer { out: &mut self.out, context: self.context }
    }

    /// The body, or the message.
    pub fn finish(self) -> Vec<u8> {
        self.out.bytes
    }
}

// === impl Answer ===

impl<'a> Answer<'a> {
    /// The body of an answer of version 1 (`v1/execute`, `v1/batch`), written by `fill`.
    pub fn alone(fill: impl FnOnce(Answer<'_>)) -> Vec<u8> {
        let mut out = Out::new(Encoding::Json);
        fill(Answer { out: &mut out, context: Context::Alone });
        out.bytes
    }

    /// Answers that it is done.
    pub fn done(self, done: Done) {
        self.begin(done.into()).finish();
    }

    /// Answers whether no transaction is open.
    pub fn autocommit(self, is_autocommit: bool) {
        let open = self.begin(GET_AUTOCOMMIT);
        if open.out.is_json() {
            open.out.key("is_autocommit");
            open.out.raw(if is_autocommit { "true" } else { "false" });
        } else {
            open.out.varint_field(1, is_autocommit.into());
        }
        open.finish();
    }

    /// Answers with the result of a statement.
    pub fn execute(self) -> StatementWriter<'a> {
        let Open { out, frame } = self.begin(EXECUTE);
        if out.is_json() {
            out.key("result");
        }
        StatementWriter::answer(out, frame)
    }

    /// Answers with the result of a batch.
    pub fn batch(self) -> BatchWriter<'a> {
        let Open { out, frame } = self.begin(BATCH);
        if out.is_json() {
            out.key("result");
        }
        BatchWriter::new(out, frame)
    }

    /// Answers with the next entries of a cursor.
    pub fn fetch_cursor(self) -> super::FetchWriter<'a> {
        let Open { out, frame } = self.begin(FETCH_CURSOR);
        super::FetchWriter::new(out, frame)
    }

    /// Answers with what a statement is.
    pub fn describe(self, described: &Described<'_>) {
        let open = self.begin(DESCRIBE);
        match open.out.is_json() {
            true => describe_json(open.out, described),
            false => describe_protobuf(open.out, described),
        }
        open.finish();
    }

    /// Answers that it failed.
    pub fn error(self, error: &Error<'_>) {
        let start = self.out.bytes.len();
        Frame { context: self.context, start, messages: [None; 3] }.fail(self.out, error);
    }

    fn begin(self, Type(name, http, socket): Type) -> Open<'a> {
        let Self { out, context } = self;
        let start = out.bytes.len();
        let mut messages = [None; 3];
        match (context, out.encoding) {
            (Context::Alone, _) => out.raw("{"),
            (Context::Pipeline, Encoding::Json) => {
                out.element();
                out.raw("{\"type\":\"ok\",\"response\":{\"type\":");
                put_str(&mut out.bytes, name);
            }
            (Context::Socket(id), Encoding::Json) => {
                out.raw("{\"type\":\"response_ok\",\"request_id\":");
                put_integer(&mut out.bytes, id.into());
                out.raw(",\"response\":{\"type\":");
                put_str(&mut out.bytes, name);
            }
            (Context::Pipeline, Encoding::Protobuf) => {
                messages = [3, 1, http].map(|tag| Some(out.open(tag)));
            }
            (Context::Socket(id), Encoding::Protobuf) => {
                messages[0] = Some(out.open(3));
                out.request_id(id);
                messages[1] = Some(out.open(socket));
            }
        }
        Open { out, frame: Frame { context, start, messages } }
    }
}

/// An answer that has been begun, with its buffer.
struct Open<'a> {
    out: &'a mut Out,
    frame: Frame,
}

impl Open<'_> {
    fn finish(self) {
        self.frame.close(self.out);
    }
}

fn describe_json(out: &mut Out, described: &Described<'_>) {
    out.key("result");
    out.raw("{\"params\":[");
    for param in described.params {
        out.element();
        out.raw("{\"name\":");
        out.optional_str(*param);
        out.raw("}");
    }
    out.raw("],\"cols\":[");
    out.columns(2, described.columns.iter().copied());
    out.raw("],\"is_explain\":");
    out.raw(if described.is_explain { "true" } else { "false" });
    out.raw(",\"is_readonly\":");
    out.raw(if described.is_readonly { "true" } else { "false" });
    out.raw("}");
}

fn describe_protobuf(out: &mut Out, described: &Described<'_>) {
    let result = out.open(1);
    for param in described.params {
        let message = out.open(1);
        if let Some(name) = param {
            out.bytes_field(1, name.as_bytes());
        }
        out.close(message);
    }
    out.columns(2, described.columns.iter().copied());
    out.varint_field(3, described.is_explain.into());
    out.varint_field(4, described.is_readonly.into());
    out.close(result);
}

// === impl Frame ===

impl Frame {
    /// Ends an answer.
    pub(super) fn close(self, out: &mut Out) {
        if out.is_json() {
            out.raw(match self.context {
                Context::Alone => "}",
                Context::Pipeline | Context::Socket(_) => "}}",
            });
        }
        self.messages.into_iter().rev().flatten().for_each(|message| out.close(message));
    }

    /// Takes an answer back; the error stands in its place.
    pub(super) fn fail(self, out: &mut Out, error: &Error<'_>) {
        out.bytes.truncate(self.start);
        match (self.context, out.encoding) {
            (Context::Alone, _) => put_error(&mut out.bytes, error),
            (Context::Pipeline, Encoding::Json) => {
                out.element();
                out.raw("{\"type\":\"error\",\"error\":");
                put_error(&mut out.bytes, error);
                out.raw("}");
            }
            (Context::Socket(id), Encoding::Json) => {
                out.raw("{\"type\":\"response_error\",\"request_id\":");
                put_integer(&mut out.bytes, id.into());
                out.raw(",\"error\":");
                put_error(&mut out.bytes, error);
                out.raw("}");
            }
            (Context::Pipeline, Encoding::Protobuf) => {
                let result = out.open(3);
                out.error_field(2, error);
                out.close(result);
            }
            (Context::Socket(id), Encoding::Protobuf) => {
                let message = out.open(4);
                out.request_id(id);
                out.error_field(2, error);
                out.close(message);
            }
        }
    }
}

impl Out {
    fn request_id(&mut self, id: i32) {
        self.varint_field(1, i64::from(id) as u64);
    }

    /// Writes an error as the message in field `tag`.
    pub(super) fn error_field(&mut self, tag: u8, error: &Error<'_>) {
        let message = self.open(tag);
        self.error(error);
        self.close(message);
    }
}

impl From<Done> for Type {
    fn from(done: Done) -> Self {
        match done {
            Done::Close => Self("close", 1, 0),
            Done::Sequence => Self("sequence", 4, 9),
            Done::StoreSql => Self("store_sql", 6, 11),
            Done::CloseSql => Self("close_sql", 7, 12),
            Done::OpenStream => Self("open_stream", 0, 2),
            Done::CloseStream => Self("close_stream", 0, 3),
            Done::OpenCursor => Self("open_cursor", 0, 6),
            Done::CloseCursor => Self("close_cursor", 0, 7),
        }
    }
}

// === impl PipelineWriter ===

impl PipelineWriter {
    /// A body without answers so far.
    pub fn new(encoding: Encoding) -> Self {
        let mut out = Out::new(encoding);
        if out.is_json() {
            out.raw("{\"results\":[");
        }
        Self { out }
    }

    /// The place of the next answer. Requests are answered in their order, each once.
    pub fn answer(&mut self) -> Answer<'_> {
        Answer { out: &mut self.out, context: Context::Pipeline }
    }

    /// How many bytes there are by now.
    pub fn buffered(&self) -> usize {
        self.out.bytes.len()
    }

    /// The body. A `baton` of none says that the stream is closed.
    pub fn finish(mut self, baton: Option<&str>, base_url: Option<&str>) -> Vec<u8> {
        if self.out.is_json() {
            self.out.raw("],");
            self.out.stream_json(baton, base_url);
            self.out.raw("}");
        } else {
            self.out.stream_protobuf(baton, base_url);
        }
        self.out.bytes
    }
}

impl Out {
    pub(super) fn stream_json(&mut self, baton: Option<&str>, base_url: Option<&str>) {
        self.raw("\"baton\":");
        self.optional_str(baton);
        self.raw(",\"base_url\":");
        self.optional_str(base_url);
    }

    pub(super) fn stream_protobuf(&mut self, baton: Option<&str>, base_url: Option<&str>) {
        for (tag, text) in [(1, baton), (2, base_url)] {
            if let Some(text) = text {
                self.bytes_field(tag, text.as_bytes());
            }
        }
    }
}

// === messages of a WebSocket ===

impl<'a> Answer<'a> {
    /// The message that answers the request of this number, written by `fill`.
    pub fn message(encoding: Encoding, request_id: i32, fill: impl FnOnce(Answer<'_>)) -> Vec<u8> {
        let mut out = Out::new(encoding);
        fill(Answer { out: &mut out, context: Context::Socket(request_id) });
        out.bytes
    }
}

/// The message that welcomes a WebSocket client.
pub fn hello_ok(encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Json => b"{\"type\":\"hello_ok\"}".to_vec(),
        Encoding::Protobuf => vec![1 << 3 | 2, 0],
    }
}

/// The message that turns a WebSocket client away.
pub fn hello_error(encoding: Encoding, error: &Error<'_>) -> Vec<u8> {
    let mut out = Out::new(encoding);
    if out.is_json() {
        out.raw("{\"type\":\"hello_error\",\"error\":");
        out.error(error);
        out.raw("}");
    } else {
        let message = out.open(2);
        out.error_field(1, error);
        out.close(message);
    }
    out.bytes
}

/// The body of a request that failed as a whole, with a status other than 200.
///
/// In JSON its text stands under `message`, as in Hrana, and under `error`, as in SQL over HTTP.
pub fn failure(encoding: Encoding, error: &Error<'_>) -> Vec<u8> {
    let mut out = Out::new(encoding);
    out.error(error);
    if out.is_json() {
        out.bytes.pop();
        out.key("error");
        put_str(&mut out.bytes, error.message);
        out.raw("}");
    }
    out.bytes
}
