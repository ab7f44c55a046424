//! The streams of one connection.
//!
//! Invariants: of a lane, either its stream rests or one request of it runs; `in_flight` and `bytes` count
//! what runs and what waits; `due` has exactly the resting lanes that hold something, by when they give it up.
use super::alarm::now;
use super::lane::{Finished, Lane, Queued, Rest, Task, no_cursor, no_stream};
use crate::error::Fault;
use crate::stream::{Asker, Fail};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use rowhouse_gateway::Expired;
use rowhouse_types::ErrorCode;
use rowhouse_wire::hrana::Encoding;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A stream that does what it was asked.
pub(super) type Running = BoxFuture<'static, Finished>;

/// The most streams of one connection.
pub(super) const STREAMS_MAX: usize = 4_096;

/// The most cursors of one connection that were opened and not closed.
const CURSORS_MAX: usize = STREAMS_MAX;

/// The most requests of one connection that run or wait. Nothing is read while there are as many.
const IN_FLIGHT_MAX: usize = 1_024;

/// The streams of one connection.
pub(super) struct Lanes {
    lanes: HashMap<i32, Lane>,
    /// The streams of cursors.
    cursors: HashMap<i32, i32>,
    pub(super) running: FuturesUnordered<Running>,
    in_flight: usize,
    bytes: usize,
    due: BTreeSet<(Instant, i32)>,
    /// Of a session that is held since just now, for who heeds them.
    pub(super) notices: Option<watch::Receiver<bool>>,
    encoding: Encoding,
}

// === impl Lanes ===

impl Lanes {
    pub(super) fn new(encoding: Encoding) -> Self {
        Self {
            lanes: HashMap::new(),
            cursors: HashMap::new(),
            running: FuturesUnordered::new(),
            in_flight: 0,
            bytes: 0,
            due: BTreeSet::new(),
            notices: None,
            encoding,
        }
    }

    /// Whether nothing runs or waits.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight == 0
    }

    /// Whether there is room for one more message of at most so many bytes.
    pub(super) fn has_room(&self, most: usize) -> bool {
        self.in_flight < IN_FLIGHT_MAX && self.bytes <= most
    }

    /// Opens a stream.
    pub(super) fn open(&mut self, stream_id: i32) -> Result<(), Fail> {
        if self.lanes.contains_key(&stream_id) {
            let message = format!("stream {stream_id} is open already");
            let fault = Fault::new(ErrorCode::MalformedRequest, message).hint("close it first");
            return Err(Fail::named("STREAM_ALREADY_OPEN", fault));
        }
        if STREAMS_MAX <= self.lanes.len() {
            let message = format!("as many as {STREAMS_MAX} streams of this connection are open");
            let fault = Fault::new(ErrorCode::QueueFull, message).hint("close some, or connect once more");
            return Err(Fail::named("TOO_MANY_STREAMS", fault));
        }
        self.lanes.insert(stream_id, Lane::open());
        Ok(())
    }

    /// Whether there is such a stream.
    pub(super) fn has(&self, stream_id: i32) -> bool {
        self.lanes.contains_key(&stream_id)
    }

    /// Begins a cursor's number.
    pub(super) fn open_cursor(&mut self, cursor_id: i32, stream_id: i32) -> Result<(), Fail> {
        if self.cursors.contains_key(&cursor_id) {
            let message = format!("cursor {cursor_id} is open already");
            let fault = Fault::new(ErrorCode::MalformedRequest, message).hint("close it first");
            return Err(Fail::named("CURSOR_ALREADY_OPEN", fault));
        }
        if CURSORS_MAX <= self.cursors.len() {
            let message = format!("as many as {CURSORS_MAX} cursors of this connection are open");
            let fault = Fault::new(ErrorCode::QueueFull, message).hint("close some");
            return Err(Fail::named("TOO_MANY_CURSORS", fault));
        }
        self.cursors.insert(cursor_id, stream_id);
        Ok(())
    }

    /// The stream of a cursor.
    pub(super) fn stream_of(&self, cursor_id: i32) -> Result<i32, Fail> {
        self.cursors.get(&cursor_id).copied().ok_or_else(|| no_cursor(cursor_id))
    }

    /// Ends a cursor's number.
    pub(super) fn close_cursor(&mut self, cursor_id: i32) -> Option<i32> {
        self.cursors.remove(&cursor_id)
    }

    /// Asks a stream to do something. If it rests, what it does is for the caller to begin, and to put among
    /// what runs or to finish.
    pub(super) fn ask(
        &mut self,
        stream_id: i32,
        queued: Queued,
        asker: Arc<Asker>,
    ) -> Result<Option<Running>, Fail> {
        let Some(lane) = self.lanes.get_mut(&stream_id) else { return Err(no_stream(stream_id)) };
        self.in_flight += 1;
        self.bytes += queued.bytes;
        let Some(rest) = lane.rest.take() else {
            lane.queue.push_back(queued);
            return Ok(None);
        };
        if let Some((_, due)) = lane.due.take() {
            self.due.remove(&(due, stream_id));
        }
        Ok(Some(Box::pin(queued.run(stream_id, rest, asker, self.encoding))))
    }

    /// Takes back a stream that has answered, and lets it go on. What was asked of one that is closed now is
    /// left over.
    pub(super) fn finish(
        &mut self,
        finished: Finished,
        asker: &Arc<Asker>,
        idle: Duration,
    ) -> VecDeque<Queued> {
        let Finished { stream_id, rest, bytes, .. } = finished;
        self.in_flight -= 1;
        self.bytes -= bytes;
        let Some(rest) = rest else { return self.remove(stream_id) };
        if let Some(lane) = self.lanes.get_mut(&stream_id) {
            match lane.queue.pop_front() {
                Some(next) => {
                    self.running.push(Box::pin(next.run(stream_id, rest, asker.clone(), self.encoding)));
                }
                None => self.rest(stream_id, rest, asker, idle),
            }
        }
        VecDeque::new()
    }

    /// When the next stream is to give up what it holds.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|&(at, _)| at)
    }

    /// Has the streams give up what they held for too long, and all that an operator ends.
    pub(super) fn expire(&mut self, asker: &Arc<Asker>, idle: Duration) {
        let now = now();
        let all: Vec<i32> = self.due.iter().map(|&(_, stream_id)| stream_id).collect();
        for stream_id in all {
            let Some(lane) = self.lanes.get_mut(&stream_id) else { continue };
            let (Some((since, due)), Some(rest)) = (lane.due.take(), lane.rest.take()) else { continue };
            self.due.remove(&(due, stream_id));
            match rest.until(asker, since, idle) {
                Some((until, why)) if until <= now || why == Expired::Ended => {
                    lane.rest = Some(rest.expire(why));
                }
                until => {
                    lane.rest = Some(rest);
                    self.set_due(stream_id, since, until.map_or(due, |(until, _)| until));
                }
            }
        }
    }

    fn rest(&mut self, stream_id: i32, rest: Rest, asker: &Asker, idle: Duration) {
        let since = now();
        // Before it is looked until when: what is said after that is heard.
        if let Rest::Idle(stream) = &rest
            && let Some(notices) = stream.notices()
        {
            self.notices = Some(notices);
        }
        let until = rest.until(asker, since, idle);
        if let Some(lane) = self.lanes.get_mut(&stream_id) {
            lane.rest = Some(rest);
            if let Some((until, _why)) = until {
                lane.due = Some((since, until));
                self.due.insert((until, stream_id));
            }
        }
    }

    fn set_due(&mut self, stream_id: i32, since: Instant, until: Instant) {
        if let Some(lane) = self.lanes.get_mut(&stream_id) {
            lane.due = Some((since, until));
            self.due.insert((until, stream_id));
        }
    }

    /// A stream is closed, and its cursors with it.
    fn remove(&mut self, stream_id: i32) -> VecDeque<Queued> {
        self.cursors.retain(|_, of| *of != stream_id);
        let left = self.lanes.remove(&stream_id).map(|lane| lane.queue).unwrap_or_default();
        self.in_flight -= left.len();
        self.bytes -= left.iter().map(|queued| queued.bytes).sum::<usize>();
        left
    }
}

impl Task {
    /// The request of this number, whose message had so many bytes.
    pub(super) fn queued(self, request_id: i32, bytes: usize) -> Queued {
        Queued { request_id, task: self, bytes }
    }
}
