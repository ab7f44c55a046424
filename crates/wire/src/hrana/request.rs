//! What clients ask, as plain values.
use super::condition::Condition;
use rowhouse_types::{Arguments, Value};
use std::sync::Arc;

/// A body of `POST v2/pipeline` and `v3/pipeline`. A `close` is the last of its requests.
#[derive(Clone, Debug, PartialEq)]
pub struct PipelineRequest {
    /// Which stream; none for a new one.
    pub baton: Option<String>,
    /// What to do on it, in order.
    pub requests: Vec<StreamRequest>,
}

/// A body of `POST v3/cursor`.
#[derive(Clone, Debug, PartialEq)]
pub struct CursorRequest {
    /// Which stream; none for a new one.
    pub baton: Option<String>,
    /// What to run.
    pub batch: Batch,
}

/// One request of a pipeline.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamRequest {
    /// Close the stream.
    Close,
    /// Keep a text under this number until the stream is closed.
    StoreSql {
        /// The number.
        sql_id: i32,
        /// The text.
        sql: Arc<str>,
    },
    /// Forget the text of this number.
    CloseSql {
        /// The number.
        sql_id: i32,
    },
    /// Work for the stream.
    Work(Work),
}

/// What a stream does, the same over HTTP and WebSocket.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Run one statement.
    Execute(Statement),
    /// Run a batch.
    Batch(Batch),
    /// Run a script, without rows.
    Sequence(Sql),
    /// Tell what a statement is, without running it.
    Describe(Sql),
    /// Tell whether no transaction is open.
    GetAutocommit,
}

/// A text, or the number it was stored under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sql {
    /// The text.
    Text(Arc<str>),
    /// What was stored under this number.
    Stored(i32),
}

/// One statement with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// The text.
    pub sql: Sql,
    /// Arguments by position.
    pub args: Vec<Value>,
    /// Arguments by name, without the leading `:`, `@` or `$`.
    pub named_args: Vec<(String, Value)>,
    /// Whether its rows are wanted.
    pub want_rows: bool,
}

/// A statement has arguments by position and by name; it may have one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("arguments are given by position and by name, a statement takes one or the other")]
pub struct BothKinds;

/// Statements that run one after another, each if its condition holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The statements. A condition speaks of steps before its own only.
    pub steps: Vec<Step>,
}

/// One step of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When it runs; always if there is none.
    pub condition: Option<Condition>,
    /// What it runs.
    pub statement: Statement,
}

/// A message of a WebSocket client's.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientMessage {
    /// Who the client is. The first message, and again whenever the token changes.
    Hello {
        /// The token.
        jwt: Option<String>,
    },
    /// A request.
    Request {
        /// What its answer is told by.
        request_id: i32,
        /// The request.
        request: SocketRequest,
    },
}

/// A request over WebSocket.
#[derive(Clone, Debug, PartialEq)]
pub enum SocketRequest {
    /// Open a stream of this number.
    OpenStream {
        /// The number.
        stream_id: i32,
    },
    /// Close the stream of this number.
    CloseStream {
        /// The number.
        stream_id: i32,
    },
    /// Work for a stream.
    Work {
        /// Its number.
        stream_id: i32,
        /// The work.
        work: Work,
    },
    /// Run a batch whose result is fetched in parts.
    OpenCursor {
        /// The stream that runs it.
        stream_id: i32,
        /// The cursor's number.
        cursor_id: i32,
        /// What to run.
        batch: Batch,
    },
    /// Close the cursor of this number.
    CloseCursor {
        /// The number.
        cursor_id: i32,
    },
    /// The next part of a result.
    FetchCursor {
        /// The cursor's number.
        cursor_id: i32,
        /// The most entries wanted.
        max_count: u32,
    },
    /// Keep a text under this number until the connection ends.
    StoreSql {
        /// The number.
        sql_id: i32,
        /// The text.
        sql: Arc<str>,
    },
    /// Forget the text of this number.
    CloseSql {
        /// The number.
        sql_id: i32,
    },
}

// === impl Statement ===

impl Statement {
    /// Takes the arguments out, as engines take them.
    ///
    /// # Errors
    ///
    /// When there are some of both kinds.
    pub fn take_arguments(&mut self) -> Result<Arguments, BothKinds> {
        match (self.args.is_empty(), self.named_args.is_empty()) {
            (true, true) => Ok(Arguments::None),
            (false, true) => Ok(Arguments::Positional(std::mem::take(&mut self.args))),
            (true, false) => Ok(Arguments::Named(std::mem::take(&mut self.named_args))),
            (false, false) => Err(BothKinds),
        }
    }
}
