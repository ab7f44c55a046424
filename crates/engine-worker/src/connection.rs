//! A session with a database that a worker runs.
use crate::channel::{Channel, WINDOW};
use crate::frame::Unsent;
use crate::link::{PATIENCE, unsent};
use crate::message::{Order, Report};
use futures::future::BoxFuture;
use rowhouse_engine::{Chunk, Chunks, Connection, Description, EngineError, Options, SessionState};
use rowhouse_types::Request;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long after its deadline a request may take to be interrupted; then the worker is killed.
const GRACE: Duration = Duration::from_secs(10);

/// The chunks that are read before more are asked for.
const ASK_AFTER: u32 = WINDOW / 2;

/// Keeps the worker for as long as anybody uses it, and ends it then.
#[derive(Debug)]
pub(crate) struct Hold(pub(crate) Arc<crate::link::Link>);

/// A session with a database that a worker runs.
#[derive(Debug)]
pub(crate) struct WorkerConnection {
    channel: Channel,
    _hold: Arc<Hold>,
    /// As the worker told last.
    state: SessionState,
    /// What could not be begun.
    unbegun: Option<Request>,
}

/// A request under way; dropping it interrupts it.
struct Run<'a> {
    connection: &'a mut WorkerConnection,
    serial: u32,
    deadline: Option<Instant>,
    phase: Phase,
    /// Chunks read since more were asked for.
    read: u32,
}

enum Phase {
    /// The worker has it. It is kept until the worker has begun.
    Away(Option<Request>),
    /// It could not be sent.
    Refused(EngineError),
    Ended,
}

// === impl Hold ===

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.dismiss();
    }
}

// === impl WorkerConnection ===

impl WorkerConnection {
    /// Begins a session.
    pub(crate) async fn open(hold: &Arc<Hold>) -> Result<Self, EngineError> {
        let channel = Channel::open(&hold.0);
        let (state, unbegun) = (SessionState::Clean, None);
        let mut connection = Self { channel, _hold: hold.clone(), state, unbegun };
        connection.ask(&Order::Connect).await?;
        Ok(connection)
    }

    /// Has something done with the session.
    async fn ask(&mut self, order: &Order) -> Result<(), EngineError> {
        // Until it is done nobody knows what the session holds.
        self.state = SessionState::Stateful;
        let serial = self.channel.begin();
        self.channel.send(serial, order).map_err(unsent)?;
        match tokio::time::timeout(PATIENCE, self.channel.next()).await {
            Ok(Some(Report::Done { state, result })) => {
                self.state = state;
                result
            }
            Ok(Some(_)) => self.break_off("it answered something else"),
            Ok(None) => Err(EngineError::ProcessEnded),
            Err(_elapsed) => self.break_off("it did not answer"),
        }
    }

    fn break_off<T>(&self, why: &'static str) -> Result<T, EngineError> {
        self.channel.link().break_off(why);
        Err(EngineError::ProcessEnded)
    }
}

impl Connection for WorkerConnection {
    fn run(&mut self, request: Request, options: Options) -> Chunks<'_> {
        self.unbegun = None;
        let serial = self.channel.begin();
        let order = Order::Run { request, options };
        let sent = self.channel.send(serial, &order);
        let Order::Run { request, .. } = order else { unreachable!("it was made above") };
        let phase = match sent {
            Ok(()) => {
                self.state = SessionState::Stateful;
                Phase::Away(Some(request))
            }
            Err(Unsent::Gone) => {
                self.unbegun = Some(request);
                Phase::Refused(EngineError::ProcessEnded)
            }
            Err(error @ Unsent::TooLong) => Phase::Refused(unsent(error)),
        };
        let run = Run { connection: self, serial, deadline: options.deadline, phase, read: 0 };
        Box::pin(futures::stream::unfold(run, |mut run| async move {
            let item = run.next().await?;
            Some((item, run))
        }))
    }

    fn describe<'a>(
        &'a mut self,
        sql: &'a str,
        options: Options,
    ) -> BoxFuture<'a, Result<Description, EngineError>> {
        Box::pin(async move {
            self.unbegun = None;
            self.state = SessionState::Stateful;
            let serial = self.channel.begin();
            let order = Order::Describe { sql: sql.to_owned(), options };
            self.channel.send(serial, &order).map_err(unsent)?;
            let phase = Phase::Away(None);
            let mut run = Run { connection: self, serial, deadline: options.deadline, phase, read: 0 };
            let report = run.report().await;
            run.phase = Phase::Ended;
            match report {
                Some(Report::Described { state, result }) => {
                    run.connection.state = state;
                    result
                }
                Some(_) => run.connection.break_off("it answered something else"),
                None => Err(EngineError::ProcessEnded),
            }
        })
    }

    fn take_back(&mut self) -> Option<Request> {
        self.unbegun.take()
    }

    fn state(&self) -> SessionState {
        self.state
    }

    fn ping(&mut self) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async { self.ask(&Order::Ping).await })
    }

    fn reset(&mut self) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async { self.ask(&Order::Reset).await })
    }

    fn close(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if let Err(error) = self.ask(&Order::Close).await {
                tracing::debug!(%error, "a session did not close cleanly");
            }
        })
    }
}

impl Drop for WorkerConnection {
    fn drop(&mut self) {
        let serial = self.channel.begin();
        // Without a worker there is no session.
        let _gone = self.channel.send(serial, &Order::Forget);
    }
}

// === impl Run ===

impl Run<'_> {
    async fn next(&mut self) -> Option<Result<Chunk, EngineError>> {
        let report = match &self.phase {
            Phase::Ended => return None,
            Phase::Away(_) => self.report().await,
            Phase::Refused(_) => {
                let Phase::Refused(error) = std::mem::replace(&mut self.phase, Phase::Ended) else {
                    unreachable!("it was looked at above")
                };
                return Some(Err(error));
            }
        };
        Some(match report {
            Some(Report::Chunk(chunk)) => {
                // It has begun, so it never comes back.
                self.phase = Phase::Away(None);
                self.ask_for_more();
                Ok(chunk)
            }
            Some(Report::End { state, unbegun, result }) => {
                self.connection.state = state;
                if let Phase::Away(request) = std::mem::replace(&mut self.phase, Phase::Ended) {
                    self.connection.unbegun = request.filter(|_| unbegun);
                }
                result
            }
            Some(_) => {
                self.phase = Phase::Ended;
                self.connection.break_off("it answered something else")
            }
            // It had the request: what it has done of it nobody knows.
            None => {
                self.phase = Phase::Ended;
                Err(EngineError::ProcessEnded)
            }
        })
    }

    async fn report(&self) -> Option<Report> {
        let Some(deadline) = self.deadline else { return self.connection.channel.next().await };
        let latest = deadline.max(Instant::now()) + GRACE;
        match tokio::time::timeout_at(latest.into(), self.connection.channel.next()).await {
            Ok(report) => report,
            Err(_elapsed) => {
                self.connection.channel.link().break_off("it did not interrupt a request at its deadline");
                None
            }
        }
    }

    fn ask_for_more(&mut self) {
        self.read += 1;
        if self.read < ASK_AFTER {
            return;
        }
        let more = Order::More { chunks: std::mem::take(&mut self.read) };
        // Whether there still is a worker shows when it is read from.
        let _gone = self.connection.channel.send(self.serial, &more);
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        if let Phase::Away(_) = self.phase {
            // Without a worker there is nothing to interrupt.
            let _gone = self.connection.channel.send(self.serial, &Order::Cancel);
        }
    }
}
