//! One statement, from its connection to the end of its result.
use super::parts::{Part, Sink};
use crate::call::Call;
use crate::error::Fault;
use crate::room::Room;
use futures::StreamExt;
use rowhouse_engine::{EngineError, Options, Outcome, SessionState};
use rowhouse_gateway::{AcquireError, ConnectError, Session};
use rowhouse_types::{ErrorCode, Request};
use rowhouse_wire::query::{Format, QueryError, QueryRequest, ResultWriter};
use std::time::{Duration, Instant};

/// How long what went wrong midway has to reach a client before its connection is cut.
const PARTING: Duration = Duration::from_secs(2);

/// A statement that is being run.
struct Run {
    call: Call,
    format: Format,
    sink: Sink,
    /// When it is interrupted, and after how long that is.
    deadline: Instant,
    timeout: Duration,
    may_insert: bool,
    /// Once its columns are known.
    writer: Option<ResultWriter>,
    /// Whether a part of its result was given away.
    is_under_way: bool,
}

/// Why there is no result.
enum Failure {
    Engine(EngineError),
    Fault(Fault),
}

/// Runs a statement and gives its result to `sink`. It has its room until all of that is given.
pub(super) async fn run(call: Call, (request, _room): (QueryRequest, Room), format: Format, sink: Sink) {
    let timeout = call.gateway().limits_of(&call.target).statement_timeout;
    let deadline = tokio::time::Instant::now().into_std() + timeout;
    let may_insert = may_insert(&request.sql);
    let run = Run { call, format, sink, deadline, timeout, may_insert, writer: None, is_under_way: false };
    run.answer(request).await;
}

// === impl Run ===

impl Run {
    async fn answer(mut self, request: QueryRequest) {
        let request = Request::Execute { sql: request.sql, arguments: request.arguments };
        let ended = self.result(request).await;
        match ended.map_err(|failure| self.fault(failure)) {
            Ok(rest) if self.is_under_way => self.sink.give(Part::More(rest)).await,
            Ok(whole) => self.sink.give(Part::Whole(whole)).await,
            Err(fault) if self.is_under_way => self.break_off(&fault).await,
            Err(fault) => self.sink.give(Part::Failed(fault)).await,
        }
    }

    /// What of the result has not been given away.
    async fn result(&mut self, request: Request) -> Result<Vec<u8>, Failure> {
        let rights = self.call.rights();
        let (client, deadline) = (self.call.client().clone(), Some(self.deadline));
        let mut session = client.connect_as(&self.call.target, rights, deadline).await?;
        let ran = match self.on(&mut session, request).await {
            Err(Failure::Engine(gone @ (EngineError::Replaced | EngineError::ProcessEnded))) => {
                // Never begun, it runs on what is there now.
                let Some(request) = session.take_back() else {
                    client.part(session);
                    return Err(Failure::Engine(gone));
                };
                session = client.reconnect_as(session, rights, deadline).await?;
                self.on(&mut session, request).await
            }
            ran => ran,
        };
        let outcome = ran?;
        if session.state() == SessionState::Transaction {
            return Err(Failure::Fault(left_open()));
        }
        let inserted = self.may_insert && outcome.changed > 0 && outcome.last_insert_id != 0;
        let writer = self.writer.get_or_insert_with(|| ResultWriter::new(self.format, []));
        writer.finish(outcome.changed, inserted.then_some(outcome.last_insert_id));
        Ok(writer.take())
    }

    async fn on(&mut self, session: &mut Session, request: Request) -> Result<Outcome, Failure> {
        let mut notices = session.notices();
        let ran = tokio::select! {
            biased;
            ran = self.rows(session, request) => ran,
            _ended = notices.wait_for(|ended| *ended) => {
                return Err(ConnectError::Acquire(AcquireError::Ended).into());
            }
        };
        self.call.gateway().note(session, ran.as_ref().copied());
        ran.map_err(Failure::Engine)
    }

    /// Gives the rows away as they come, as fast as they are taken.
    async fn rows(&mut self, session: &mut Session, request: Request) -> Result<Outcome, EngineError> {
        // What bounds results that are one message is no bound of one that is not.
        let options = Options {
            deadline: Some(self.deadline),
            policy: self.call.policy(),
            foreign_keys: true,
            max_rows: None,
            max_bytes: None,
        };
        let mut chunks = session.run(request, options);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            let writer = self.writer.get_or_insert_with(|| {
                let columns = chunk.columns.as_deref().unwrap_or_default();
                ResultWriter::new(self.format, columns.iter().map(|column| column.name.as_str()))
            });
            chunk.rows.rows().for_each(|row| writer.row(row.values()));
            if let Some(outcome) = chunk.outcome {
                return Ok(outcome);
            }
            self.is_under_way = true;
            self.sink.give(Part::More(writer.take())).await;
        }
        Err(EngineError::Lost)
    }

    async fn break_off(mut self, fault: &Fault) {
        if let Some(writer) = &mut self.writer {
            let (code, hint) = (fault.code.as_str(), fault.hint.as_deref());
            writer.break_off(&QueryError { code, message: &fault.message, hint });
            self.sink.give(Part::More(writer.take())).await;
            // What is not sent when the connection is cut is lost, and this is what says why.
            tokio::time::sleep(PARTING).await;
        }
        self.sink.give(Part::Broken).await;
    }

    fn fault(&self, failure: Failure) -> Fault {
        match failure {
            Failure::Fault(fault) => fault,
            Failure::Engine(EngineError::TimedOut) => {
                let seconds = self.timeout.as_secs_f64();
                Fault::from(&EngineError::TimedOut).hint(format!(
                    "make the statement shorter or read its result faster, or ask the operator to raise \
                     statement_timeout (now {seconds} s)"
                ))
            }
            Failure::Engine(error) => Fault::from(&error),
        }
    }
}

// === impl Failure ===

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self::Fault(Fault::from(&error))
    }
}

/// The statement began a transaction, which ends with its request.
fn left_open() -> Fault {
    let message = "a transaction does not outlast its request here, and was rolled back";
    Fault::new(ErrorCode::SqlMisuse, message)
        .hint("statements run by themselves here; for transactions use a libSQL client, or /v2/pipeline")
}

/// Whether a statement may insert a row: the connection's last key is another borrower's otherwise.
fn may_insert(sql: &str) -> bool {
    let has =
        |word: &str| sql.as_bytes().windows(word.len()).any(|w| w.eq_ignore_ascii_case(word.as_bytes()));
    has("insert") || has("replace")
}
