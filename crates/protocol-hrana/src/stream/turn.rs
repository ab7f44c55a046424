//! A stream at work: the session it works on, and what becomes of that afterwards.
//!
//! Invariant: once what a stream held is gone, by an operator's hand, a limit, or with the process of its
//! database, the stream is over. Nothing that comes after is run on another session in its place.
use super::asker::Asker;
use super::begin;
use super::fail::Fail;
use super::words::{may_begin, may_insert};
use futures::StreamExt;
use rowhouse_engine::{
    Batch, Chunk, Column, Description, EngineError, Options, Outcome, SessionState, SqlPolicy,
};
use rowhouse_gateway::{AcquireError, ConnectError, DatabaseLimits, Due, Expired, Hold, Pinned, Session};
use rowhouse_types::Request;
use std::sync::Arc;
use std::time::Instant;

/// A stream between its requests.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    held: Held,
    /// The key that it inserted last.
    inserted: Option<i64>,
    /// Whether its transaction only reads.
    reads_only: bool,
    /// Why it is over.
    over: Option<Fail>,
}

/// What a stream holds between its requests.
#[derive(Debug, Default)]
enum Held {
    #[default]
    Nothing,
    /// Its database, open.
    Open(Hold),
    /// A session, for what that holds.
    Session(Pinned),
}

/// What a stream keeps after a request if its session holds nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Nothing.
    Nothing,
    /// Its database, open.
    Open,
}

/// A stream at work.
///
/// # Cancel safety
///
/// Dropping it interrupts what it runs, rolls back its transaction and ends the stream.
#[derive(Debug)]
pub(crate) struct Turn {
    asker: Arc<Asker>,
    stream: Stream,
    session: Option<Session>,
    /// When the transaction began.
    began: Option<Instant>,
    /// What its database may use, as it was when the turn began.
    limits: DatabaseLimits,
    /// Whether its next request has had its turn at the pace of its database.
    has_turn: bool,
}

/// Who takes the rows of a statement.
pub(crate) trait Rows: Send {
    /// Takes the columns, before any row.
    fn columns(&mut self, columns: Arc<[Column]>) -> impl Future<Output = Result<(), Fail>> + Send;

    /// Takes rows.
    fn rows(&mut self, rows: Batch) -> impl Future<Output = Result<(), Fail>> + Send;
}

/// What a statement may yield.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// As much as results that are kept in memory may.
    Limits,
    /// Anything: nothing of it is kept.
    Taken,
}

/// Why a statement has not run.
enum Halt {
    Failed(Fail),
    /// What was opened is gone; the request, if nothing of it was done.
    Gone(EngineError, Option<Request>),
}

// === impl Stream ===

impl Stream {
    /// Begins a turn.
    pub(crate) fn turn(mut self, asker: Arc<Asker>) -> Turn {
        let (session, began) = match std::mem::take(&mut self.held) {
            Held::Session(pinned) => {
                let began = pinned.began();
                (Some(pinned.session), began)
            }
            held => {
                self.held = held;
                (None, None)
            }
        };
        Turn { limits: asker.limits(), asker, stream: self, session, began, has_turn: false }
    }

    /// A stream that was given up.
    pub(crate) fn given_up(why: Expired) -> Self {
        Self { over: Some(Fail::given_up(why)), ..Self::default() }
    }

    /// Whether its database is kept open for it, or a session.
    pub(crate) fn holds_any(&self) -> bool {
        !matches!(self.held, Held::Nothing)
    }

    /// Whether it holds a session.
    pub(crate) fn is_pinned(&self) -> bool {
        matches!(self.held, Held::Session(_))
    }

    /// Whether it is of no more use.
    pub(crate) fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// When what it holds is given up, unless it is used before.
    pub(crate) fn until(&self, asker: &Asker) -> Option<(Instant, Expired)> {
        match &self.held {
            Held::Session(pinned) => Some(pinned.until(&asker.limits())),
            Held::Nothing | Held::Open(_) => None,
        }
    }

    /// Says when limits change that what it holds is subject to, or an operator ends it.
    pub(crate) fn notices(&self) -> Option<tokio::sync::watch::Receiver<bool>> {
        match &self.held {
            Held::Session(pinned) => Some(pinned.session.notices()),
            Held::Nothing | Held::Open(_) => None,
        }
    }

    /// Gives up its database, and its session if that was ended or it is time to; then it is over, if it
    /// had one.
    pub(crate) fn expire(&mut self, why: Expired) {
        if let Held::Session(_) = std::mem::take(&mut self.held) {
            self.over = Some(Fail::given_up(why));
        }
    }
}

// === impl Turn ===

impl Turn {
    /// Ends the turn.
    pub(crate) fn end(mut self, keep: Keep) -> Stream {
        let Some(session) = self.session.take() else { return self.stream };
        self.stream.held = match session.state() {
            _ if self.stream.over.is_some() => Held::Nothing,
            SessionState::Clean => match (keep, std::mem::take(&mut self.stream.held)) {
                (Keep::Nothing, _) => Held::Nothing,
                (Keep::Open, Held::Open(hold)) if hold.is_held() => Held::Open(hold),
                (Keep::Open, _) => Held::Open(self.asker.client.hold(&session)),
            },
            SessionState::Stateful | SessionState::Transaction => {
                Held::Session(Pinned::new(session, self.began))
            }
        };
        self.stream
    }

    /// Whether no transaction is open.
    pub(crate) fn is_autocommit(&self) -> bool {
        self.session.as_ref().is_none_or(|session| session.state() != SessionState::Transaction)
    }

    /// Fails when the stream is over.
    pub(crate) fn check(&self) -> Result<(), Fail> {
        self.stream.over.clone().map_or(Ok(()), Err)
    }

    /// Gets a session, if it has none yet, at the pace of its database.
    ///
    /// # Errors
    ///
    /// When there is none to be had.
    pub(crate) async fn connect(&mut self, due: Due) -> Result<(), Fail> {
        self.check()?;
        self.asker.check()?;
        if self.has_turn {
            return Ok(());
        }
        let Asker { gateway, client, target, rights, .. } = &*self.asker;
        let more = self.session.as_ref().map(|session| gateway.once_more(session, Some(due.at)));
        match more {
            None => {
                let connecting = client.connect_as(target, *rights, Some(due.at));
                self.session = Some(connecting.await.map_err(|error| Fail::from(&error))?);
            }
            Some(more) => {
                if let Err(refused) = more.await {
                    if self.session.as_ref().is_some_and(Session::is_ended) {
                        return Err(self.give_up(Fail::given_up(Expired::Ended)));
                    }
                    return Err(Fail::from(&refused));
                }
            }
        }
        self.has_turn = true;
        Ok(())
    }

    /// Whether it has a session.
    pub(crate) fn is_connected(&self) -> bool {
        self.session.is_some()
    }

    /// The most bytes of one answer.
    pub(super) fn most_bytes(&self) -> Option<u64> {
        self.limits.max_result_bytes
    }

    /// Fails when an answer has more bytes than it may.
    pub(crate) fn bound(&self, bytes: usize) -> Result<(), Fail> {
        within(bytes, self.most_bytes())
    }

    /// Connects, with nothing to run yet.
    pub(crate) async fn prepare(&mut self) -> Result<(), Fail> {
        self.connect(self.due()).await
    }

    /// Runs a request; its rows go to `rows`.
    pub(crate) async fn run(
        &mut self,
        mut request: Request,
        bound: Bound,
        rows: &mut impl Rows,
    ) -> Result<(Outcome, Option<i64>), Fail> {
        let due = self.due();
        self.connect(due).await?;
        let before = self.state();
        if before != SessionState::Transaction && begin::reads_only(request.sql()) {
            request = Request::execute("BEGIN");
            self.stream.reads_only = true;
        }
        let (sql, is_several) = (text(&request), !matches!(request, Request::Execute { .. }));
        let ran = match self.attempt(request, bound, due, rows).await {
            Err(Halt::Gone(gone, again)) => self.again(gone, again, before, bound, rows).await,
            ran => ran,
        };
        let after = self.note_transaction();
        self.stream.reads_only &= after == SessionState::Transaction;
        let outcome = match ran {
            Ok(outcome) => outcome,
            Err(Halt::Gone(error, _)) => return Err(Fail::from(&error)),
            Err(Halt::Failed(fail)) => {
                let had = before == SessionState::Transaction;
                let is_undone = after != SessionState::Transaction && (had || is_several && may_begin(&sql));
                return Err(if is_undone { self.undone(fail, had) } else { fail });
            }
        };
        if outcome.changed != 0 && may_insert(&sql) {
            self.stream.inserted = Some(outcome.last_insert_id);
        }
        Ok((outcome, self.stream.inserted))
    }

    /// Waits until a statement that was left before its end has ended: only then is known what it left.
    pub(crate) async fn settle(&mut self) {
        if let Some(session) = &mut self.session {
            // What is wrong with it, its next request is told.
            let _answered = session.ping().await;
            let had = self.began.is_some();
            if self.note_transaction() != SessionState::Transaction && had {
                self.stream.over.get_or_insert_with(Fail::rolled_back);
            }
        }
    }

    /// A transaction is no more after this failure. Unless the client's own words rolled it back, the rest
    /// of it must not be done: half of it would be applied.
    fn undone(&mut self, fail: Fail, is_certain: bool) -> Fail {
        if self.check().is_err() {
            return fail;
        }
        if !fail.is_of_the_statement() {
            self.stream.over = Some(Fail::rolled_back());
        }
        if is_certain { fail.with_note("the transaction was rolled back") } else { fail }
    }

    /// Notes whether a transaction is open.
    fn note_transaction(&mut self) -> SessionState {
        let state = self.state();
        self.began = match state {
            SessionState::Transaction => self.began.or_else(|| Some(Instant::now())),
            SessionState::Clean | SessionState::Stateful => None,
        };
        state
    }

    /// Tells what a statement is.
    pub(crate) async fn describe(&mut self, sql: &str) -> Result<Description, Fail> {
        let due = self.due();
        self.connect(due).await?;
        for again in [true, false] {
            let options = self.options(Bound::Limits, due);
            let before = self.state();
            let session = self.session.as_mut().expect("it is connected");
            match session.describe(sql, options).await {
                Ok(description) => {
                    self.has_turn = false;
                    return Ok(description);
                }
                Err(gone @ (EngineError::Replaced | EngineError::ProcessEnded)) => {
                    if before != SessionState::Clean || !again {
                        return Err(self.lose(&gone, before));
                    }
                    self.reconnect(due).await?;
                }
                Err(EngineError::TimedOut) => return Err(Fail::timed_out(due)),
                Err(error) => return Err(Fail::from(&error)),
            }
        }
        Err(Fail::from(&EngineError::Lost))
    }

    async fn attempt(
        &mut self,
        request: Request,
        bound: Bound,
        due: Due,
        rows: &mut impl Rows,
    ) -> Result<Outcome, Halt> {
        let options = self.options(bound, due);
        self.has_turn = false;
        let session = self.session.as_mut().expect("it is connected");
        let mut notices = session.notices();
        let ran = tokio::select! {
            biased;
            ran = take(session, request, options, rows) => ran,
            _ended = notices.wait_for(|ended| *ended) => {
                let ended = Fail::from(&ConnectError::Acquire(AcquireError::Ended));
                return Err(Halt::Failed(self.give_up(ended)));
            }
        };
        if matches!(ran, Err(Failed::Rows(_))) {
            // It was left before its end, and what comes next relies on what it left.
            let _answered = session.ping().await;
        }
        let noted = match &ran {
            Ok(outcome) => Some(Ok(*outcome)),
            Err(Failed::Engine(error)) => Some(Err(error)),
            // It failed for what became of its rows.
            Err(Failed::Rows(_)) => None,
        };
        if let Some(noted) = noted {
            self.asker.gateway.note(session, noted);
        }
        ran.map_err(|failed| match failed {
            Failed::Engine(gone @ (EngineError::Replaced | EngineError::ProcessEnded)) => {
                Halt::Gone(gone, session.take_back())
            }
            Failed::Engine(EngineError::TimedOut) => Halt::Failed(Fail::timed_out(due)),
            Failed::Engine(error) => Halt::Failed(Fail::from(&error)),
            Failed::Rows(fail) => Halt::Failed(fail),
        })
    }

    /// What was opened is gone: a request of which nothing was done runs on what is there now, unless it
    /// relies on what was there.
    async fn again(
        &mut self,
        gone: EngineError,
        request: Option<Request>,
        before: SessionState,
        bound: Bound,
        rows: &mut impl Rows,
    ) -> Result<Outcome, Halt> {
        let Some(request) = request.filter(|_| before == SessionState::Clean) else {
            return Err(Halt::Failed(self.lose(&gone, before)));
        };
        let due = self.due();
        self.reconnect(due).await.map_err(Halt::Failed)?;
        self.attempt(request, bound, due, rows).await
    }

    async fn reconnect(&mut self, due: Due) -> Result<(), Fail> {
        let Asker { client, rights, .. } = &*self.asker;
        self.stream.held = Held::Nothing;
        let session = self.session.take().expect("it is connected");
        let reconnecting = client.reconnect_as(session, *rights, Some(due.at));
        self.session = Some(reconnecting.await.map_err(|error| Fail::from(&error))?);
        Ok(())
    }

    /// What was opened is gone, and what the stream held with it.
    fn lose(&mut self, gone: &EngineError, held: SessionState) -> Fail {
        let fail = match (held, gone) {
            (SessionState::Transaction, EngineError::ProcessEnded) => Fail::from(gone)
                .with_note("the transaction is gone; if this was COMMIT, look first whether it was applied"),
            (SessionState::Transaction, _) => {
                Fail::from(gone).with_note("the transaction is gone: begin again")
            }
            (SessionState::Stateful, _) => Fail::from(gone).with_note("the temporary tables are gone"),
            (SessionState::Clean, _) => Fail::from(gone),
        };
        if let Some(session) = self.session.take() {
            self.asker.client.part(session);
        }
        self.stream.held = Held::Nothing;
        if held != SessionState::Clean {
            self.stream.over = Some(Fail::expired());
        }
        fail
    }

    /// The session was ended: what it held is given up.
    fn give_up(&mut self, fail: Fail) -> Fail {
        self.session = None;
        self.stream.held = Held::Nothing;
        self.stream.over = Some(Fail::given_up(Expired::Ended));
        fail
    }

    fn due(&self) -> Due {
        Due::of(&self.limits, self.began)
    }

    fn state(&self) -> SessionState {
        self.session.as_ref().map_or(SessionState::Clean, |session| session.state())
    }

    fn options(&self, bound: Bound, due: Due) -> Options {
        let limits = &self.limits;
        let (max_rows, max_bytes) = match bound {
            Bound::Limits => (limits.max_result_rows, limits.max_result_bytes),
            Bound::Taken => (None, None),
        };
        let policy = if self.stream.reads_only { SqlPolicy::ReadOnly } else { self.asker.policy };
        // As libSQL's own server has it.
        let foreign_keys = true;
        Options { deadline: Some(due.at), policy, foreign_keys, max_rows, max_bytes }
    }
}

/// Why a statement did not come to its end.
enum Failed {
    Engine(EngineError),
    Rows(Fail),
}

async fn take(
    session: &mut Session,
    request: Request,
    options: Options,
    rows: &mut impl Rows,
) -> Result<Outcome, Failed> {
    let mut chunks = session.run(request, options);
    while let Some(chunk) = chunks.next().await {
        let Chunk { columns, rows: batch, outcome } = chunk.map_err(Failed::Engine)?;
        if let Some(columns) = columns {
            rows.columns(columns).await.map_err(Failed::Rows)?;
        }
        if !batch.is_empty() {
            rows.rows(batch).await.map_err(Failed::Rows)?;
        }
        if let Some(outcome) = outcome {
            return Ok(outcome);
        }
    }
    Err(Failed::Engine(EngineError::Lost))
}

fn text(request: &Request) -> Arc<str> {
    match request {
        Request::Execute { sql, .. }
        | Request::Repeat { sql, .. }
        | Request::Script { sql }
        | Request::Sequence { sql } => sql.clone(),
    }
}

/// Fails when there are more bytes than this.
pub(super) fn within(bytes: usize, most: Option<u64>) -> Result<(), Fail> {
    match most {
        Some(limit) if limit < bytes as u64 => Err(Fail::from(&EngineError::TooManyBytes { limit })),
        _ => Ok(()),
    }
}
