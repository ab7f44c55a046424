//! A session with a database, as the port has it.
use crate::database::Shared;
use crate::errors::Failure;
use crate::outlet::{Flow, Outlet};
use crate::perform::{self, Done, columns, unreadable, unsendable};
use crate::request::{Ban, Statement};
use crate::session::{Clock, Session, Status};
use crate::sql::statements;
use futures::future::BoxFuture;
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;
use rowhouse_engine::{
    Chunk, Chunks, Connection, Description, EngineError, Misuse, Options, Outcome, SessionState, SqlPolicy,
};
use rowhouse_types::{Arguments, Request};
use std::sync::Arc;

const MARK: &str = "SAVEPOINT \"rowhouse: describe\"";
const KEEP: &str = "RELEASE \"rowhouse: describe\"";
const UNDO: &str = "ROLLBACK TO \"rowhouse: describe\"";

/// A session with a database.
#[derive(Debug)]
pub(crate) struct PostgresConnection {
    session: Session,
    shared: Arc<Shared>,
    /// A request was begun, and its end was not seen.
    is_busy: bool,
}

/// Cancels on the server what is under way, unless it is told that it has ended.
struct Watch {
    canceller: Arc<crate::wire::Canceller>,
    shared: Arc<Shared>,
    has_ended: bool,
}

// === impl PostgresConnection ===

impl PostgresConnection {
    pub(crate) fn new(session: Session, shared: Arc<Shared>) -> Self {
        Self { session, shared, is_busy: false }
    }

    async fn perform(
        &mut self,
        request: Request,
        options: Options,
        outlet: Outlet,
    ) -> Result<Chunk, EngineError> {
        let mut clock = Clock::new(options.deadline);
        self.ready(&clock).await.inspect_err(|_| self.is_busy = false)?;
        let mut watch = Watch::new(&self.session, &self.shared);
        let performed = self.serve(&request, (&mut clock, &options), &outlet).await;
        watch.has_ended = self.session.is_home();
        self.is_busy = false;
        performed
    }

    /// Makes the session fit for the next request.
    async fn ready(&mut self, clock: &Clock) -> Result<(), EngineError> {
        self.session.home().await?;
        if clock.is_over() {
            return Err(EngineError::TimedOut);
        }
        // A session that held nothing is as good as another one: the server was restarted, or had no use for it.
        if self.session.state() == SessionState::Clean && self.session.has_ended().await {
            self.session.end().await;
            self.session = self.shared.begin().await?;
        }
        self.session.cleanse().await
    }

    async fn serve(
        &mut self,
        request: &Request,
        (clock, options): (&mut Clock, &Options),
        outlet: &Outlet,
    ) -> Result<Chunk, EngineError> {
        let ban = self.ban(options, clock).await?;
        let served = match request {
            Request::Execute { sql, arguments } => {
                self.execute((sql, arguments), (clock, options), (ban, outlet)).await
            }
            Request::Repeat { sql, sets } => self.repeat((sql, sets), (clock, options), ban).await,
            Request::Script { sql } => {
                if self.session.status() != Status::Idle {
                    self.session.simple("COMMIT", clock).await?;
                }
                self.sequence(sql, (clock, options), ban).await
            }
            Request::Sequence { sql } => self.sequence(sql, (clock, options), ban).await,
        };
        served.map_err(|error| match ban {
            Some(ban) => ban.tell(error),
            None => error,
        })
    }

    /// Why the request may not write, if it may not.
    async fn ban(&mut self, options: &Options, clock: &mut Clock) -> Result<Option<Ban>, EngineError> {
        if options.policy == SqlPolicy::ReadOnly {
            return Ok(Some(Ban::Policy));
        }
        let quota = &self.shared.quota;
        if self.session.status() == Status::Idle && quota.wants_measure() {
            let rows = self.session.fetch((crate::quota::MEASURE, &[]), clock).await?;
            let size = rows.into_iter().flatten().flatten().next();
            quota.measured(size.and_then(|size| size.parse().ok()));
        }
        Ok(quota.frozen().map(Ban::Quota))
    }

    async fn execute(
        &mut self,
        (sql, arguments): (&str, &Arguments),
        (clock, options): (&mut Clock, &Options),
        (ban, outlet): (Option<Ban>, &Outlet),
    ) -> Result<Chunk, EngineError> {
        let Some(statement) = Statement::one(sql, options)? else { return Ok(done(Outcome::default())) };
        let statement = statement.guarded(ban, &self.session);
        let bound = statement.bind(arguments)?;
        let to = (Some(outlet), options);
        let Done { last, changed, yielded } =
            perform::execute(&mut self.session, clock, (&statement, &bound), to).await?;
        let affected = statement.affected(changed);
        let rows_read = yielded.max(changed);
        let outcome = Outcome { affected, changed, rows_read, rows_written: changed, last_insert_id: 0 };
        Ok(Chunk { outcome: Some(outcome), ..last })
    }

    async fn repeat(
        &mut self,
        (sql, sets): (&str, &[Arguments]),
        (clock, options): (&mut Clock, &Options),
        ban: Option<Ban>,
    ) -> Result<Chunk, EngineError> {
        let statement = Statement::one(sql, options)?.ok_or(Misuse::NotDataChanging)?;
        if !statement.nature.is_data_changing() {
            return Err(Misuse::NotDataChanging.into());
        }
        let statement = statement.guarded(ban, &self.session);
        let bound: Result<Vec<_>, _> = sets.iter().map(|set| statement.bind(set)).collect();
        let changed = perform::repeat(&mut self.session, clock, (&statement, &bound?)).await?;
        let affected = statement.affected(changed);
        Ok(done(Outcome { affected, changed, rows_read: changed, rows_written: changed, last_insert_id: 0 }))
    }

    async fn sequence(
        &mut self,
        sql: &str,
        (clock, options): (&mut Clock, &Options),
        ban: Option<Ban>,
    ) -> Result<Chunk, EngineError> {
        if sql.contains('\0') {
            return Err(Misuse::NullCharacter.into());
        }
        let mut outcome = Outcome::default();
        for text in statements(sql) {
            if clock.is_over() {
                return Err(EngineError::TimedOut);
            }
            let statement = Statement::new(text, options)?.guarded(ban, &self.session);
            let bound = statement.bind(&Arguments::None)?;
            let done =
                perform::execute(&mut self.session, clock, (&statement, &bound), (None, options)).await?;
            outcome.changed = done.changed;
            outcome.rows_read += done.changed;
            outcome.rows_written += done.changed;
        }
        Ok(done(outcome))
    }

    async fn tell(&mut self, sql: &str, options: &Options) -> Result<Description, EngineError> {
        let mut clock = Clock::new(options.deadline);
        self.ready(&clock).await.inspect_err(|_| self.is_busy = false)?;
        let mut watch = Watch::new(&self.session, &self.shared);
        let told = self.describe_one(sql, &mut clock, options).await;
        watch.has_ended = self.session.is_home();
        self.is_busy = false;
        told
    }

    /// In a transaction what fails would end it; a savepoint keeps it.
    async fn describe_one(
        &mut self,
        sql: &str,
        clock: &mut Clock,
        options: &Options,
    ) -> Result<Description, EngineError> {
        let Some(statement) = Statement::one(sql, options)? else { return Ok(Description::default()) };
        let is_marked = self.session.status() == Status::Open;
        if is_marked {
            self.session.simple(MARK, clock).await?;
        }
        let asked = self.ask(&statement, clock).await;
        if is_marked {
            if asked.is_err() {
                self.session.simple(UNDO, clock).await?;
            }
            self.session.simple(KEEP, clock).await?;
        }
        let (is_explain, is_readonly) = (statement.nature.first == "EXPLAIN", statement.nature.is_readonly());
        Ok(Description { columns: asked?, params: statement.placed.names, is_explain, is_readonly })
    }

    async fn ask(
        &mut self,
        statement: &Statement<'_>,
        clock: &mut Clock,
    ) -> Result<Vec<rowhouse_engine::Column>, EngineError> {
        let out = self.session.link.out();
        frontend::parse("", &statement.placed.sql, [], out).map_err(unsendable)?;
        frontend::describe(b'S', "", out).map_err(unsendable)?;
        self.session.sync();
        self.session.flush().await?;
        let (mut found, mut failure) = (Vec::new(), None);
        loop {
            match self.session.receive(clock).await? {
                Some(Message::RowDescription(body)) => found = columns(&body).map_err(unreadable)?.0,
                Some(Message::ErrorResponse(body)) => {
                    failure = Some(Failure::read(&body).map_err(unreadable)?);
                }
                Some(Message::ReadyForQuery(_)) => break,
                _ => {}
            }
        }
        match failure {
            None => Ok(found),
            Some(failure) if failure.is("57014") && clock.why().is_some() => Err(EngineError::TimedOut),
            Some(failure) => Err(failure.into_error()),
        }
    }
}

fn done(outcome: Outcome) -> Chunk {
    Chunk { outcome: Some(outcome), ..Chunk::default() }
}

impl Connection for PostgresConnection {
    fn run(&mut self, request: Request, options: Options) -> Chunks<'_> {
        self.is_busy = true;
        let outlet = Outlet::default();
        Box::pin(Flow::begin(Box::pin(self.perform(request, options, outlet.clone())), outlet))
    }

    fn describe<'a>(
        &'a mut self,
        sql: &'a str,
        options: Options,
    ) -> BoxFuture<'a, Result<Description, EngineError>> {
        self.is_busy = true;
        Box::pin(async move { self.tell(sql, &options).await })
    }

    /// Nothing runs before the database was found to be the one that was opened.
    fn take_back(&mut self) -> Option<Request> {
        None
    }

    fn state(&self) -> SessionState {
        if self.is_busy { SessionState::Stateful } else { self.session.state() }
    }

    fn ping(&mut self) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            self.session.ping().await?;
            self.is_busy = false;
            Ok(())
        })
    }

    fn reset(&mut self) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            self.session.reset().await?;
            self.is_busy = false;
            Ok(())
        })
    }

    fn close(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            self.session.end().await;
        })
    }
}

// === impl Watch ===

impl Watch {
    fn new(session: &Session, shared: &Arc<Shared>) -> Self {
        Self { canceller: session.canceller.clone(), shared: shared.clone(), has_ended: false }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.has_ended {
            self.shared.cancel(&self.canceller);
        }
    }
}
