//! One session with a server: what was sent, what is awaited, and in which state that leaves it.
//!
//! Invariants: `awaited` is how many `ReadyForQuery` the server still owes; `unsynced` that something was
//! sent for which it owes one only when it is asked. While either holds, nobody knows what the session holds.
use crate::errors::{Failure, broken};
use crate::wire::{Canceller, Incoming, Link, Waiting, Welcome};
use fallible_iterator::FallibleIterator;
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::{DataRowBody, Message};
use postgres_protocol::message::frontend;
use rowhouse_engine::{EngineError, SessionState};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a server may take to end what was cancelled; then the connection is given up.
const GRACE: Duration = Duration::from_secs(10);

/// How long what is asked of a session between requests may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long bytes that have arrived may take to become a message.
const GLANCE: Duration = Duration::from_millis(20);

/// How long saying goodbye may take.
const PARTING: Duration = Duration::from_secs(1);

/// How long a server may take to let go of a session that was ended.
const LETTING_GO: Duration = Duration::from_secs(5);

/// A name that no prepared statement has.
const NOTHING: &str = "rowhouse: nothing";

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) link: Link,
    pub(crate) canceller: Arc<Canceller>,
    status: Status,
    awaited: u32,
    unsynced: bool,
    /// Whether the transaction that is open was begun here, around one statement.
    pub(crate) own_transaction: bool,
    /// What was seen to be left in it that its borrower knows of.
    stateful: bool,
    /// Something may be left in it that nobody knows of.
    tainted: bool,
    /// What becomes of both when the command that is under way succeeds.
    pub(crate) intent: Intent,
    is_broken: bool,
}

/// What a command leaves in a session.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Intent {
    pub(crate) stateful: bool,
    pub(crate) tainted: bool,
}

/// What the server says of transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Idle,
    Open,
    Failed,
}

/// How long a request may take, and why it is being stopped.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    pub(crate) deadline: Option<Instant>,
    /// Why it was cancelled, and until when the server may take to notice.
    stopped: Option<(EngineError, Instant)>,
}

// === impl Clock ===

impl Clock {
    pub(crate) fn new(deadline: Option<Instant>) -> Self {
        Self { deadline, stopped: None }
    }

    /// Of what is asked between requests.
    fn housekeeping() -> Self {
        Self::new(Some(Instant::now() + PATIENCE))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    pub(crate) fn why(&self) -> Option<&EngineError> {
        self.stopped.as_ref().map(|(why, _)| why)
    }

    fn next(&self) -> Option<Instant> {
        self.stopped.as_ref().map(|(_, until)| *until).or(self.deadline)
    }
}

// === impl Session ===

impl Session {
    pub(crate) fn new(welcome: Welcome) -> Self {
        let Welcome { link, canceller } = welcome;
        Self {
            link,
            canceller,
            status: Status::Idle,
            awaited: 0,
            unsynced: false,
            own_transaction: false,
            stateful: false,
            tainted: false,
            intent: Intent::default(),
            is_broken: false,
        }
    }

    pub(crate) fn status(&self) -> Status {
        self.status
    }

    /// Whether nothing is under way.
    pub(crate) fn is_home(&self) -> bool {
        self.awaited == 0 && !self.unsynced && !self.is_broken
    }

    pub(crate) fn state(&self) -> SessionState {
        if !self.is_home() || self.own_transaction {
            return SessionState::Stateful;
        }
        match self.status {
            Status::Open | Status::Failed => SessionState::Transaction,
            Status::Idle if self.stateful => SessionState::Stateful,
            Status::Idle => SessionState::Clean,
        }
    }

    /// Whether what is under way is committed only when it is asked for.
    pub(crate) fn is_held(&self) -> bool {
        self.unsynced
    }

    /// Notes that messages were written that end with no `Sync`.
    pub(crate) fn begun(&mut self) {
        self.unsynced = true;
    }

    /// Ends what was begun: an autocommit statement is committed by it.
    pub(crate) fn sync(&mut self) {
        frontend::sync(self.link.out());
        self.unsynced = false;
        self.awaited += 1;
    }

    /// Makes what was begun fail, so that it is undone.
    pub(crate) fn spoil(&mut self) -> Result<(), EngineError> {
        let nothing = [0_i16; 0];
        let written = frontend::bind(
            "",
            NOTHING,
            nothing,
            nothing,
            |_, _| unreachable!("there are no values"),
            nothing,
            self.link.out(),
        );
        written.map_err(|_unwritable| EngineError::Lost)
    }

    /// Sends all that was written.
    pub(crate) async fn flush(&mut self) -> Result<(), EngineError> {
        let sent = self.link.flush().await;
        sent.map_err(|error| self.give_up(&error))
    }

    fn give_up(&mut self, error: &io::Error) -> EngineError {
        self.is_broken = true;
        broken(error)
    }

    /// Has the server stop what is under way. What it answers then is read as before.
    pub(crate) async fn stop(&mut self, clock: &mut Clock, why: EngineError) {
        if clock.stopped.is_none() {
            clock.stopped = Some((why, Instant::now() + GRACE));
            self.canceller.cancel().await;
        }
    }

    /// The next message that concerns what is under way; `None` for a row that is too long to be kept.
    ///
    /// At the deadline the statement is cancelled, once, and its end is awaited.
    pub(crate) async fn receive(&mut self, clock: &mut Clock) -> Result<Option<Message>, EngineError> {
        loop {
            match self.link.take().map_err(|error| self.give_up(&error))? {
                Some(Incoming::LongRow) => return Ok(None),
                Some(Incoming::Message(message)) => {
                    if self.heed(&message)? {
                        return Ok(Some(message));
                    }
                    continue;
                }
                None => {}
            }
            if clock.is_over() {
                self.stop(clock, EngineError::TimedOut).await;
            }
            let filled = match clock.next() {
                None => self.link.fill().await,
                Some(at) => match tokio::time::timeout_at(at.into(), self.link.fill()).await {
                    Ok(filled) => filled,
                    Err(_elapsed) if clock.why().is_none() => continue,
                    Err(elapsed) => Err(elapsed.into()),
                },
            };
            filled.map_err(|error| self.give_up(&error))?;
        }
    }

    /// Notes what a message tells of the session; whether anybody else wants to see it.
    fn heed(&mut self, message: &Message) -> Result<bool, EngineError> {
        match message {
            Message::ReadyForQuery(body) => {
                self.awaited = self.awaited.saturating_sub(1);
                self.status = match body.status() {
                    b'I' => Status::Idle,
                    b'T' => Status::Open,
                    _ => Status::Failed,
                };
            }
            Message::CommandComplete(body) => {
                let Intent { stateful, tainted } = self.intent;
                match body.tag() {
                    Ok("DISCARD ALL") => (self.stateful, self.tainted) = (false, false),
                    _ => (self.stateful, self.tainted) = (self.stateful | stateful, self.tainted | tainted),
                }
            }
            // The server says so when it ends the session, whatever is under way.
            Message::ErrorResponse(body) => {
                let failure = Failure::read(body).map_err(|error| self.give_up(&error))?;
                if failure.sqlstate.starts_with("57P") {
                    return Err(self.give_up(&io::Error::other(failure.message)));
                }
            }
            Message::NoticeResponse(_) | Message::ParameterStatus(_) | Message::NotificationResponse(_) => {
                return Ok(false);
            }
            _ => {}
        }
        Ok(true)
    }

    /// Waits for all that is awaited; the first failure that is told meanwhile.
    pub(crate) async fn settle(&mut self, clock: &mut Clock) -> Result<Option<Failure>, EngineError> {
        let mut first = None;
        while self.awaited != 0 {
            match self.receive(clock).await? {
                Some(Message::ErrorResponse(body)) if first.is_none() => {
                    first = Some(Failure::read(&body).map_err(|error| self.give_up(&error))?);
                }
                Some(Message::CopyInResponse(_)) => self.refuse_copy().await?,
                _ => {}
            }
        }
        Ok(first)
    }

    /// Tells the server that it gets no data.
    pub(crate) async fn refuse_copy(&mut self) -> Result<(), EngineError> {
        let written = frontend::copy_fail("no data can be copied in this way", self.link.out());
        written.map_err(|error| self.give_up(&error))?;
        self.flush().await
    }

    /// Brings what was abandoned to its end. What had not ended is undone.
    ///
    /// # Cancel safety
    ///
    /// May be dropped; the next call goes on.
    pub(crate) async fn home(&mut self) -> Result<(), EngineError> {
        if self.is_broken {
            return Err(EngineError::Lost);
        }
        let mut clock =
            Clock { deadline: None, stopped: Some((EngineError::Cancelled, Instant::now() + GRACE)) };
        if !self.is_home() {
            if self.unsynced {
                self.spoil()?;
                self.sync();
            }
            self.flush().await?;
            let _of_no_interest = self.settle(&mut clock).await?;
        }
        // What has ended is cancelled no more, and what follows is not.
        self.canceller.over();
        self.canceller.settled().await;
        if std::mem::take(&mut self.own_transaction) && self.status != Status::Idle {
            self.own_transaction = true;
            self.simple("ROLLBACK", &mut clock).await?;
            self.own_transaction = false;
        }
        Ok(())
    }

    /// Runs a statement of ours, without looking at what it yields.
    ///
    /// # Errors
    ///
    /// The statement's own failure too.
    pub(crate) async fn simple(&mut self, sql: &str, clock: &mut Clock) -> Result<(), EngineError> {
        self.intent = Intent::default();
        frontend::query(sql, self.link.out()).map_err(|error| self.give_up(&error))?;
        self.awaited += 1;
        self.flush().await?;
        match self.settle(clock).await? {
            None => Ok(()),
            Some(failure) => Err(failure.into_error()),
        }
    }

    /// Whether the server has ended the session while nothing was under way.
    ///
    /// # Cancel safety
    ///
    /// May be dropped; what was read is kept.
    pub(crate) async fn has_ended(&mut self) -> bool {
        loop {
            match self.link.stream().peek() {
                Ok(Waiting::Nothing) => return false,
                Ok(Waiting::End) | Err(_) => return true,
                Ok(Waiting::Bytes) => {}
            }
            // News of the server's, or why it ends; TLS may have sent something that is no message.
            match tokio::time::timeout(GLANCE, self.link.fill()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return true,
                Err(_elapsed) => return false,
            }
            loop {
                match self.link.take() {
                    Ok(None) => break,
                    Ok(Some(Incoming::Message(
                        Message::NoticeResponse(_)
                        | Message::ParameterStatus(_)
                        | Message::NotificationResponse(_),
                    ))) => {}
                    _ => return true,
                }
            }
        }
    }

    /// Ends it, and waits until nothing of it is left on the server, which counts it until then.
    pub(crate) async fn end(&mut self) {
        // Whoever does not answer hears of it by the end of the socket.
        let _unheard = tokio::time::timeout(PARTING, self.link.terminate()).await;
        let _still_there = tokio::time::timeout(LETTING_GO, self.link.gone()).await;
    }

    /// Removes what the session may hold that nobody knows of, before it is used again.
    pub(crate) async fn cleanse(&mut self) -> Result<(), EngineError> {
        if !self.tainted || self.stateful || self.status != Status::Idle {
            return Ok(());
        }
        self.discard(&mut Clock::housekeeping()).await
    }

    async fn discard(&mut self, clock: &mut Clock) -> Result<(), EngineError> {
        let discarded = self.simple("DISCARD ALL", clock).await;
        if discarded.is_err() {
            // It is of no use to anybody.
            self.is_broken = true;
            return Err(EngineError::Lost);
        }
        Ok(())
    }

    /// Makes it as it was when it began.
    pub(crate) async fn reset(&mut self) -> Result<(), EngineError> {
        self.home().await?;
        let mut clock = Clock::housekeeping();
        if self.status != Status::Idle {
            self.simple("ROLLBACK", &mut clock).await?;
        }
        if self.stateful || self.tainted {
            self.discard(&mut clock).await?;
        }
        Ok(())
    }

    /// Checks that the server answers.
    pub(crate) async fn ping(&mut self) -> Result<(), EngineError> {
        self.home().await?;
        self.simple("", &mut Clock::housekeeping()).await
    }

    /// The rows that a statement of ours yields for these arguments, as text.
    pub(crate) async fn fetch(
        &mut self,
        query: (&str, &[&str]),
        clock: &mut Clock,
    ) -> Result<Vec<Vec<Option<String>>>, EngineError> {
        Ok(self.fetch_all(&[query], clock).await?.pop().unwrap_or_default())
    }

    /// The rows that each of these statements yields, which are sent at once: one transaction, in which each
    /// sees what was committed before it began.
    pub(crate) async fn fetch_all(
        &mut self,
        queries: &[(&str, &[&str])],
        clock: &mut Clock,
    ) -> Result<Vec<Vec<Vec<Option<String>>>>, EngineError> {
        self.intent = Intent::default();
        for (sql, arguments) in queries {
            write_query((sql, arguments), self.link.out()).map_err(|error| self.give_up(&error))?;
        }
        self.sync();
        self.flush().await?;
        let (mut results, mut rows, mut failure) = (Vec::new(), Vec::new(), None);
        while self.awaited != 0 {
            match self.receive(clock).await? {
                Some(Message::DataRow(row)) => rows.push(texts(&row).map_err(|error| self.give_up(&error))?),
                Some(Message::CommandComplete(_)) => results.push(std::mem::take(&mut rows)),
                Some(Message::ErrorResponse(body)) => {
                    failure = Some(Failure::read(&body).map_err(|error| self.give_up(&error))?);
                }
                _ => {}
            }
        }
        failure.map_or(Ok(results), |failure| Err(failure.into_error()))
    }
}

/// Writes a statement with its arguments, without asking for an answer.
fn write_query((sql, arguments): (&str, &[&str]), out: &mut bytes::BytesMut) -> io::Result<()> {
    let as_text = [0_i16; 0];
    let write = |argument: &&str, out: &mut bytes::BytesMut| {
        out.extend_from_slice(argument.as_bytes());
        Ok(IsNull::No)
    };
    frontend::parse("", sql, [], out)?;
    let bound = frontend::bind("", "", as_text, arguments, write, as_text, out);
    bound.map_err(|_unwritable| io::Error::other("arguments that cannot be written"))?;
    frontend::execute("", 0, out)
}

impl Drop for Session {
    fn drop(&mut self) {
        self.canceller.over();
    }
}

fn texts(row: &DataRowBody) -> io::Result<Vec<Option<String>>> {
    let text = |range: Option<std::ops::Range<usize>>| {
        Ok(range.map(|range| String::from_utf8_lossy(&row.buffer()[range]).into_owned()))
    };
    row.ranges().map(text).collect()
}
