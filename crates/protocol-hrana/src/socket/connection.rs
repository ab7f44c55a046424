//! A WebSocket: messages in, messages out, until one of both sides leaves.
//!
//! The first message says who the client is; nothing is done before. While as many requests run and wait as
//! may, and while an answer is being written, nothing is read.
use super::alarm::{Alarm, now};
use super::lane::{Finished, Task, no_stream};
use super::lanes::{Lanes, Running};
use super::reading::{Asked, Read, Reading, Said};
use super::signals::{Signal, Signals};
use crate::call::Call;
use crate::line::Busy;
use crate::patient::patiently;
use crate::shared::Timeouts;
use crate::stream::{Asker, Fail, Texts};
use bytes::Bytes;
use futures::future::{BoxFuture, OptionFuture};
use futures::{FutureExt as _, SinkExt, StreamExt, poll};
use rowhouse_sync::Followed;
use rowhouse_wire::hrana::{
    Batch, Done, Encoding, SingleWriter, SocketRequest, Sql, Statement, Work, hello_error, hello_ok,
};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

/// The most bytes of what a close frame says.
const REASON_MAX: usize = 120;

/// A WebSocket whose client speaks Hrana.
pub(super) struct Connection<S> {
    call: Call,
    socket: WebSocketStream<S>,
    encoding: Encoding,
    /// `None` until it is known who it is.
    asker: Option<Arc<Asker>>,
    texts: Texts,
    lanes: Lanes,
    /// A long message that is being read. None is taken from the socket meanwhile.
    reading: Option<BoxFuture<'static, Read>>,
    /// Answers that are to be written.
    out: Vec<Vec<u8>>,
    /// While requests are answered.
    busy: Option<Busy>,
    /// When something came last.
    heard: Instant,
    has_pinged: bool,
    timeouts: Followed<Timeouts>,
    /// For when it has been silent for too long, or a stream holds something for too long.
    alarm: Alarm,
    signals: Signals,
    /// Whether no new work is taken on.
    is_draining: bool,
}

/// Why a connection ends.
enum End {
    /// It is over, or broken: there is nobody to tell.
    Left,
    /// The client is told why.
    Close(CloseCode, String),
}

/// What happened.
enum Next {
    Finished(Finished),
    Came(Option<Result<Message, Error>>),
    Read(Read),
    Told(Signal),
    Late,
    /// Nothing is under way, and nothing more is taken on.
    Drained,
}

// === impl Connection ===

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(call: Call, socket: WebSocketStream<S>, encoding: Encoding) -> Self {
        let context = &call.shared.context;
        Self {
            timeouts: context.patience.follow(),
            alarm: Alarm::default(),
            signals: Signals::new(&context.drain),
            is_draining: false,
            call,
            socket,
            encoding,
            asker: None,
            texts: Texts::default(),
            lanes: Lanes::new(encoding),
            reading: None,
            out: Vec::new(),
            busy: None,
            heard: now(),
            has_pinged: false,
        }
    }

    /// Serves it until one of both sides leaves.
    pub(super) async fn serve(mut self) {
        let end = loop {
            if let Err(end) = self.step().await {
                break end;
            }
        };
        let End::Close(code, mut reason) = end else { return };
        // Nothing is held for who is sent away, however long they take to go.
        (self.lanes, self.reading, self.busy) = (Lanes::new(self.encoding), None, None);
        let most = (0..=REASON_MAX).rev().find(|&at| reason.is_char_boundary(at)).unwrap_or(0);
        reason.truncate(most);
        // What was answered goes first; who does not read is not waited for.
        let patience = self.timeouts.get().handshake;
        let closing = async {
            if self.write().await.is_ok() {
                let _gone = self.socket.close(Some(CloseFrame { code, reason: reason.into() })).await;
                while let Some(Ok(_late)) = self.socket.next().await {}
            }
        };
        let _elapsed = timeout(patience, closing).await;
    }

    async fn step(&mut self) -> Result<(), End> {
        match self.next().await {
            Next::Finished(finished) => {
                self.finished(finished);
                // All that is ready goes out together.
                while let Some(Some(finished)) = self.lanes.running.next().now_or_never() {
                    self.finished(finished);
                }
            }
            Next::Came(came) => self.came(came).await?,
            Next::Read(read) => {
                self.reading = None;
                self.read(read).await?;
            }
            Next::Told(signal) => {
                self.is_draining |= signal == Signal::Drain;
                self.expire();
            }
            Next::Late if self.lanes.next_due().is_some_and(|due| due <= now()) => self.expire(),
            Next::Late if self.asker.is_some() => self.ping().await?,
            Next::Late => {
                return Err(End::Close(CloseCode::Policy, "there was no hello in time".to_owned()));
            }
            Next::Drained => {
                return Err(End::Close(CloseCode::Away, "the server is shutting down".to_owned()));
            }
        }
        if self.is_idle() {
            self.busy = None;
        }
        self.write().await
    }

    async fn next(&mut self) -> Next {
        if self.is_draining && self.is_idle() {
            return Next::Drained;
        }
        let has_room = self.lanes.has_room(self.call.shared.context.settings.max_request_bytes);
        let reads = !self.is_draining && has_room && self.reading.is_none();
        let (silent, due) = (reads.then(|| self.silent()), self.lanes.next_due());
        let late = silent.into_iter().chain(due).min();
        let Self { socket, lanes, reading, signals, alarm, .. } = self;
        tokio::select! {
            biased;
            Some(finished) = lanes.running.next() => Next::Finished(finished),
            Some(read) = OptionFuture::from(reading.as_mut()) => Next::Read(read),
            signal = signals.next() => Next::Told(signal),
            came = socket.next(), if reads => Next::Came(came),
            () = alarm.until(late) => Next::Late,
        }
    }

    /// When it will have been silent for too long.
    fn silent(&mut self) -> Instant {
        let timeouts = self.timeouts.get();
        self.heard
            + match (&self.asker, self.has_pinged) {
                (None, _) => timeouts.handshake,
                (Some(_), false) => timeouts.idle / 2,
                (Some(_), true) => timeouts.idle,
            }
    }

    fn finished(&mut self, mut finished: Finished) {
        let Some(asker) = &self.asker else { return };
        let (idle, stream_id) = (self.timeouts.get().stream, finished.stream_id);
        self.out.push(std::mem::take(&mut finished.message));
        let left = self.lanes.finish(finished, asker, idle);
        if let Some(notices) = self.lanes.notices.take() {
            self.signals.heed(notices);
        }
        for left in left {
            self.refuse(left.request_id, &no_stream(stream_id));
        }
    }

    /// Has streams give up what they have held for too long, or have to.
    fn expire(&mut self) {
        if let Some(asker) = &self.asker {
            self.lanes.expire(asker, self.timeouts.get().stream);
        }
    }

    async fn came(&mut self, came: Option<Result<Message, Error>>) -> Result<(), End> {
        // Who has not said who it is has so long for that, whatever else it sends.
        if self.asker.is_some() {
            (self.heard, self.has_pinged) = (now(), false);
        }
        let bytes: Bytes = match (came, self.encoding) {
            (Some(Ok(Message::Text(text))), Encoding::Json) => text.into(),
            (Some(Ok(Message::Binary(bytes))), Encoding::Protobuf) => bytes,
            // Answered by the library as it is written next.
            (Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))), _) => return Ok(()),
            (Some(Ok(Message::Text(_))), Encoding::Protobuf) => {
                return Err(End::Close(CloseCode::Unsupported, "messages are binary here".to_owned()));
            }
            (Some(Ok(Message::Binary(_))), Encoding::Json) => {
                return Err(End::Close(CloseCode::Unsupported, "messages are text here".to_owned()));
            }
            (Some(Err(Error::Capacity(_))), _) => {
                let most = self.call.shared.context.settings.max_request_bytes;
                let reason = format!("a message has more than {most} bytes (max_request_bytes)");
                return Err(End::Close(CloseCode::Size, reason));
            }
            (None | Some(Ok(Message::Close(_)) | Err(_)), _) => return Err(End::Left),
        };
        match Reading::begin(bytes, self.encoding, &self.call.shared) {
            Reading::Done(read) => self.read(read).await,
            Reading::Aside(reading) => {
                self.reading = Some(reading);
                self.begin();
                Ok(())
            }
        }
    }

    async fn read(&mut self, read: Read) -> Result<(), End> {
        let said = read.map_err(|malformed| End::Close(CloseCode::Invalid, malformed.to_string()))?;
        let (request_id, asked) = match said {
            Said::Hello { jwt } => return self.hello(jwt.as_deref()).await,
            Said::Request { request_id, asked } => (request_id, asked),
        };
        let Some(asker) = self.asker.clone() else {
            return Err(End::Close(CloseCode::Policy, "the first message is a hello".to_owned()));
        };
        let asked = asked.map_err(|full| Fail::from(*full));
        match asked.and_then(|asked| self.request(request_id, asked, asker)) {
            Ok(Some(mut running)) => match poll!(&mut running) {
                // It did not have to wait for anything.
                Poll::Ready(finished) => self.finished(finished),
                Poll::Pending => self.lanes.running.push(running),
            },
            Ok(None) => {}
            Err(fail) => self.refuse(request_id, &fail),
        }
        Ok(())
    }

    async fn hello(&mut self, jwt: Option<&str>) -> Result<(), End> {
        match self.call.hello(jwt).await {
            Ok(()) => {
                self.asker = Some(Arc::new(Asker::of(&self.call)));
                self.heard = now();
                self.out.push(hello_ok(self.encoding));
                Ok(())
            }
            Err(fault) => {
                let fail = Fail::from(fault);
                self.out.push(hello_error(self.encoding, &fail.error()));
                Err(End::Close(CloseCode::Policy, fail.error().message.to_owned()))
            }
        }
    }

    /// Answers a request, or asks its stream; what that does is to be begun, if it does it now.
    fn request(&mut self, request_id: i32, asked: Asked, asker: Arc<Asker>) -> Result<Option<Running>, Fail> {
        let Asked { request, bytes, room } = asked;
        let (stream_id, task) = match request {
            SocketRequest::OpenStream { stream_id } => {
                asker.once_more()?;
                self.lanes.open(stream_id)?;
                return self.done(request_id, Done::OpenStream);
            }
            SocketRequest::CloseStream { stream_id } if !self.lanes.has(stream_id) => {
                return self.done(request_id, Done::CloseStream);
            }
            SocketRequest::StoreSql { sql_id, sql } => {
                self.texts.store(sql_id, sql)?;
                return self.done(request_id, Done::StoreSql);
            }
            SocketRequest::CloseSql { sql_id } => {
                self.texts.close(sql_id);
                return self.done(request_id, Done::CloseSql);
            }
            SocketRequest::CloseStream { stream_id } => (stream_id, Task::Close),
            SocketRequest::Work { stream_id, mut work } => {
                self.fill_in(&mut work);
                (stream_id, Task::Work(work, room))
            }
            SocketRequest::OpenCursor { stream_id, cursor_id, mut batch } => {
                self.fill_in_batch(&mut batch);
                self.lanes.open_cursor(cursor_id, stream_id)?;
                (stream_id, Task::OpenCursor { cursor_id, batch, room })
            }
            SocketRequest::FetchCursor { cursor_id, max_count } => {
                (self.lanes.stream_of(cursor_id)?, Task::Fetch { cursor_id, most: max_count })
            }
            SocketRequest::CloseCursor { cursor_id } => match self.lanes.close_cursor(cursor_id) {
                Some(stream_id) if self.lanes.has(stream_id) => (stream_id, Task::CloseCursor { cursor_id }),
                _ => return self.done(request_id, Done::CloseCursor),
            },
        };
        let running = self.lanes.ask(stream_id, task.queued(request_id, bytes), asker)?;
        self.begin();
        Ok(running)
    }

    /// Something is being done for who is known.
    fn begin(&mut self) {
        if self.busy.is_none() && self.asker.is_some() {
            self.busy = Some(self.call.busy());
        }
    }

    /// Whether nothing is being done.
    fn is_idle(&self) -> bool {
        self.lanes.is_idle() && self.reading.is_none()
    }

    /// Takes texts where their numbers stand: by the time the stream comes to it, they may be others.
    fn fill_in(&self, work: &mut Work) {
        match work {
            Work::Execute(Statement { sql, .. }) | Work::Sequence(sql) | Work::Describe(sql) => {
                self.fill_in_text(sql);
            }
            Work::Batch(batch) => self.fill_in_batch(batch),
            Work::GetAutocommit => {}
        }
    }

    fn fill_in_batch(&self, batch: &mut Batch) {
        batch.steps.iter_mut().for_each(|step| self.fill_in_text(&mut step.statement.sql));
    }

    /// A number that stands for nothing stays, for the statement to fail with.
    fn fill_in_text(&self, sql: &mut Sql) {
        if let Sql::Stored(_) = sql
            && let Ok(text) = self.texts.get(sql)
        {
            *sql = Sql::Text(text);
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "it ends what may fail")]
    fn done(&mut self, request_id: i32, done: Done) -> Result<Option<Running>, Fail> {
        let mut writer = SingleWriter::message(self.encoding, request_id);
        writer.answer().done(done);
        self.out.push(writer.finish());
        Ok(None)
    }

    fn refuse(&mut self, request_id: i32, fail: &Fail) {
        let mut writer = SingleWriter::message(self.encoding, request_id);
        writer.answer().error(&fail.error());
        self.out.push(writer.finish());
    }

    /// Asks a client that was silent for long whether it is still there.
    async fn ping(&mut self) -> Result<(), End> {
        if self.has_pinged {
            return Err(End::Left);
        }
        self.has_pinged = true;
        let ping = self.socket.send(Message::Ping(Bytes::new()));
        sent(&patiently(ping, || self.timeouts.get().write).await)
    }

    /// Writes the answers there are.
    async fn write(&mut self) -> Result<(), End> {
        if self.out.is_empty() {
            return Ok(());
        }
        let Self { socket, out, encoding, timeouts, .. } = self;
        let write = async {
            for bytes in out.drain(..) {
                socket.feed(message(*encoding, bytes)).await?;
            }
            socket.flush().await
        };
        sent(&patiently(write, || timeouts.get().write).await)
    }
}

/// Who does not read what it asked for is gone.
fn sent(sent: &Result<Result<(), Error>, Elapsed>) -> Result<(), End> {
    match sent {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(End::Left),
    }
}

fn message(encoding: Encoding, bytes: Vec<u8>) -> Message {
    match encoding {
        Encoding::Json => Message::text(String::from_utf8(bytes).expect("JSON is UTF-8")),
        Encoding::Protobuf => Message::binary(bytes),
    }
}
