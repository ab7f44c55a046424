//! One stream of a WebSocket, and what it does: one request after the other.
use crate::error::Fault;
use crate::room::Room;
use crate::stream::{self, Asker, Cursor, Fail, Keep, Part, Stream, Texts, perform};
use futures::StreamExt;
use rowhouse_gateway::Expired;
use rowhouse_types::ErrorCode;
use rowhouse_wire::hrana::{Answer, Batch, Done, Encoding, SingleWriter, Work};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of entries after which a part of a cursor's result is full.
const FULL: usize = 256 << 10;

/// A stream of a connection.
#[derive(Default)]
pub(super) struct Lane {
    /// `None` while it does something.
    pub(super) rest: Option<Rest>,
    /// What it is to do next.
    pub(super) queue: VecDeque<Queued>,
    /// Since when it rests, and when it gives up what it holds.
    pub(super) due: Option<(Instant, Instant)>,
}

/// A stream between two requests.
pub(super) enum Rest {
    /// It waits for the next.
    Idle(Stream),
    /// It runs a batch as far as its entries are fetched.
    Cursor(Box<Open>),
}

/// An open cursor.
pub(super) struct Open {
    id: i32,
    cursor: Cursor,
    /// What was left of the part before.
    rest: Option<Part>,
    is_done: bool,
}

/// A request for a stream.
pub(super) struct Queued {
    pub(super) request_id: i32,
    pub(super) task: Task,
    /// The bytes of its message.
    pub(super) bytes: usize,
}

/// What a stream is asked to do.
pub(super) enum Task {
    /// With the room that it takes until it is done.
    Work(Work, Room),
    /// With the room that it takes until its batch has ended.
    OpenCursor {
        cursor_id: i32,
        batch: Batch,
        room: Room,
    },
    Fetch {
        cursor_id: i32,
        most: u32,
    },
    CloseCursor {
        cursor_id: i32,
    },
    Close,
}

/// A request that was answered.
pub(super) struct Finished {
    pub(super) stream_id: i32,
    /// `None` if the stream is closed.
    pub(super) rest: Option<Rest>,
    pub(super) message: Vec<u8>,
    pub(super) bytes: usize,
}

// === impl Lane ===

impl Lane {
    /// A stream that has just been opened.
    pub(super) fn open() -> Self {
        Self { rest: Some(Rest::Idle(Stream::default())), ..Self::default() }
    }
}

// === impl Rest ===

impl Rest {
    /// When it gives up what it has held since then, if that is anything, and why.
    pub(super) fn until(&self, asker: &Asker, since: Instant, idle: Duration) -> Option<(Instant, Expired)> {
        let by_itself = (since + idle, Expired::Idle(idle));
        match self {
            Self::Cursor(_) => Some(by_itself),
            Self::Idle(stream) if stream.holds_any() => {
                Some(stream.until(asker).filter(|until| until.0 < by_itself.0).unwrap_or(by_itself))
            }
            Self::Idle(_) => None,
        }
    }

    /// Gives up what it holds.
    pub(super) fn expire(self, why: Expired) -> Self {
        Self::Idle(match self {
            Self::Cursor(_) => Stream::given_up(why),
            Self::Idle(mut stream) => {
                stream.expire(why);
                stream
            }
        })
    }
}

// === impl Queued ===

impl Queued {
    /// Does what is asked.
    pub(super) async fn run(
        self,
        stream_id: i32,
        rest: Rest,
        asker: Arc<Asker>,
        encoding: Encoding,
    ) -> Finished {
        let Self { request_id, task, bytes } = self;
        let mut writer = SingleWriter::message(encoding, request_id);
        let answer = writer.answer();
        let rest = match asker.once_more() {
            // It may still be closed.
            Err(fail) if !matches!(task, Task::Close | Task::CloseCursor { .. }) => {
                answer.error(&fail.error());
                Some(rest)
            }
            _ => task.run(rest, asker, answer).await,
        };
        Finished { stream_id, rest, message: writer.finish(), bytes }
    }
}

// === impl Task ===

impl Task {
    async fn run(self, rest: Rest, asker: Arc<Asker>, answer: Answer<'_>) -> Option<Rest> {
        match (self, rest) {
            (Self::Close, _) => {
                answer.done(Done::CloseStream);
                None
            }
            (Self::CloseCursor { cursor_id }, Rest::Cursor(open)) if open.id == cursor_id => {
                let stream = open.cursor.end().await;
                answer.done(Done::CloseCursor);
                Some(Rest::Idle(stream))
            }
            (Self::CloseCursor { .. }, rest) => {
                answer.done(Done::CloseCursor);
                Some(rest)
            }
            (Self::Fetch { cursor_id, most }, Rest::Cursor(mut open)) if open.id == cursor_id => {
                open.fetch(most as usize, answer).await;
                Some(Rest::Cursor(open))
            }
            (Self::Fetch { cursor_id, .. }, rest) => {
                answer.error(&no_cursor(cursor_id).error());
                Some(rest)
            }
            (Self::Work(..) | Self::OpenCursor { .. }, rest @ Rest::Cursor(_)) => {
                answer.error(&cursor_open().error());
                Some(rest)
            }
            (Self::Work(work, _room), Rest::Idle(stream)) => {
                let mut turn = stream.turn(asker);
                // It is told in the answer.
                let _failed = perform(&mut turn, &Texts::default(), work, answer).await;
                Some(Rest::Idle(turn.end(Keep::Open)))
            }
            (Self::OpenCursor { cursor_id, batch, room }, Rest::Idle(stream)) => {
                let mut turn = stream.turn(asker);
                if let Err(fail) = turn.prepare().await {
                    answer.error(&fail.error());
                    return Some(Rest::Idle(turn.end(Keep::Open)));
                }
                answer.done(Done::OpenCursor);
                let cursor = stream::cursor(turn, Arc::default(), (batch, room), Keep::Open);
                Some(Rest::Cursor(Box::new(Open { id: cursor_id, cursor, rest: None, is_done: false })))
            }
        }
    }
}

// === impl Open ===

impl Open {
    /// Answers with the next entries, at most so many.
    async fn fetch(&mut self, most: usize, answer: Answer<'_>) {
        let mut writer = answer.fetch_cursor();
        let mut left = most;
        while 0 < left && !self.is_done && writer.buffered() < FULL {
            let part = match self.rest.take() {
                Some(part) => Some(part),
                None => self.cursor.next().await,
            };
            let Some(part) = part else {
                self.is_done = true;
                break;
            };
            let (rest, written) = part.write(&mut writer.entries(), left, FULL);
            self.rest = rest;
            left -= written;
        }
        writer.finish(self.is_done);
    }
}

/// There is no such stream.
pub(super) fn no_stream(stream_id: i32) -> Fail {
    let message = format!("there is no open stream {stream_id}");
    Fail::named("STREAM_NOT_OPEN", Fault::new(ErrorCode::MalformedRequest, message).hint("open it first"))
}

/// There is no such cursor.
pub(super) fn no_cursor(cursor_id: i32) -> Fail {
    let message = format!("there is no open cursor {cursor_id}");
    Fail::named("CURSOR_NOT_OPEN", Fault::new(ErrorCode::MalformedRequest, message).hint("open it first"))
}

fn cursor_open() -> Fail {
    let fault = Fault::new(ErrorCode::MalformedRequest, "the stream has an open cursor");
    Fail::named("CURSOR_OPEN", fault.hint("close the cursor first"))
}
