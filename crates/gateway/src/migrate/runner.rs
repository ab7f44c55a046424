//! Bringing one database to its newest schema, over one connection.
//!
//! Invariants: a step and its row in the ledger are committed together or not at all. Whoever applies a step has the
//! lock of the database and has looked again, under it, whether the step is still to be applied: two processes that
//! migrate at once apply each step once. Of a step that runs without a transaction it is recorded first that it was
//! begun; who finds one that has not ended touches nothing.
use super::ask::{PATIENCE, sequence};
use super::error::MigrateError;
use super::ledger::{Head, Ledger, State, diagnose};
use super::plan::{Plan, Step};
use crate::metadata::Schema;
use rowhouse_engine::{Connection, Dialect, EngineError, SessionState};
use std::time::{Duration, Instant};

/// How a database is brought to its newest schema.
#[derive(Clone, Copy, Debug)]
pub(super) struct Runner<'a> {
    pub(super) plan: &'a Plan,
    pub(super) dialect: Dialect,
    /// Whether a step that was begun without a transaction and has not ended is run again.
    pub(super) retry_begun: bool,
}

/// How far a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// Steps it has had.
    pub(super) at: usize,
    pub(super) head: Option<Head>,
}

/// A database was brought to its newest schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Brought {
    /// Where it was.
    pub from: u64,
    /// Where it is.
    pub to: u64,
    /// What tells the steps it has had from others; empty where there are none, or others than here.
    pub mark: String,
    /// Steps that were applied.
    pub steps: usize,
    /// How long that took.
    pub took: Duration,
}

/// What became of a step.
enum Stepped {
    Applied(Head),
    /// Somebody else has changed where the database stands.
    Overtaken,
}

// === impl Brought ===

impl Brought {
    /// What the catalog says of it.
    pub(super) fn schema(&self) -> Option<Schema> {
        (!self.mark.is_empty()).then(|| Schema { version: self.to, sum: self.mark.clone() })
    }
}

// === impl Runner ===

impl Runner<'_> {
    fn ledger(&self) -> Ledger {
        Ledger(self.dialect)
    }

    /// How far the database is.
    ///
    /// # Errors
    ///
    /// When it has not had the first so many steps of the plan, and nothing else.
    pub(super) async fn position(&self, connection: &mut dyn Connection) -> Result<Position, MigrateError> {
        let head = self.ledger().head(connection).await?;
        let Some(Head { mark, .. }) = &head else { return Ok(Position { at: 0, head }) };
        if mark.is_empty() {
            return Ok(Position { at: 0, head });
        }
        match self.plan.position(mark) {
            Some(at) => Ok(Position { at, head }),
            None => Err(diagnose(self.plan, &self.ledger().applied(connection).await?)),
        }
    }

    /// Whether the database is one that was made and is not ready.
    pub(super) async fn is_new(
        &self,
        connection: &mut dyn Connection,
        position: &Position,
    ) -> Result<bool, MigrateError> {
        match &position.head {
            Some(head) => Ok(head.state == State::New),
            None => Ok(self.ledger().is_blank(connection).await?),
        }
    }

    /// Applies all steps that it has not had.
    ///
    /// # Errors
    ///
    /// With the first step that fails: those before it stay applied.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future undoes the step that is under way when the connection is reset, unless it runs without a
    /// transaction.
    pub(super) async fn bring(&self, connection: &mut dyn Connection) -> Result<Brought, MigrateError> {
        let started = Instant::now();
        let mut position = self.position(connection).await?;
        let version = |at: usize| at.checked_sub(1).map_or(0, |last| self.plan.steps()[last].version);
        let mut brought = Brought { from: version(position.at), ..Brought::default() };
        while let Some(step) = self.next(&position)? {
            match self.apply(connection, (step, &position)).await? {
                Stepped::Applied(head) => {
                    position = Position { at: position.at + 1, head: Some(head) };
                    brought.steps += 1;
                }
                Stepped::Overtaken => position = self.position(connection).await?,
            }
        }
        brought.to = version(position.at);
        brought.mark = position.head.map(|head| head.mark).unwrap_or_default();
        brought.took = started.elapsed();
        Ok(brought)
    }

    /// The step that comes next.
    pub(super) fn next(&self, position: &Position) -> Result<Option<&Step>, MigrateError> {
        let step = self.plan.steps().get(position.at);
        let is_begun = position.head.as_ref().is_some_and(|head| head.state == State::Begun);
        match step {
            Some(step) if is_begun && !self.retry_begun => {
                Err(MigrateError::Begun { version: step.version, name: step.name.clone() })
            }
            None if is_begun => {
                Err(MigrateError::Damaged { what: "has a step that was begun and is not known" })
            }
            step => Ok(step),
        }
    }

    async fn apply(
        &self,
        connection: &mut dyn Connection,
        (step, position): (&Step, &Position),
    ) -> Result<Stepped, MigrateError> {
        let applied = match step.manner.piecemeal {
            false => self.whole(connection, (step, position)).await,
            true => self.piecemeal(connection, (step, position)).await,
        };
        if connection.state() == SessionState::Transaction {
            // What fails here is undone when the connection is reset.
            let _undone = sequence(connection, "ROLLBACK", (true, Some(PATIENCE))).await;
        }
        applied
    }

    /// Applies a step in one transaction with its row.
    async fn whole(
        &self,
        connection: &mut dyn Connection,
        (step, position): (&Step, &Position),
    ) -> Result<Stepped, MigrateError> {
        let (ledger, started) = (self.ledger(), Instant::now());
        let keys = !step.manner.loose_keys;
        ledger.lock(connection, keys).await?;
        if ledger.head(connection).await? != position.head {
            return Ok(Stepped::Overtaken);
        }
        let failed = |source| MigrateError::Step { version: step.version, name: step.name.clone(), source };
        sequence(connection, step.sql.clone(), (keys, None)).await.map_err(failed)?;
        if connection.state() != SessionState::Transaction {
            return Err(MigrateError::Ended { version: step.version, name: step.name.clone() });
        }
        if step.manner.loose_keys
            && let Some(table) = ledger.dangling(connection).await?
        {
            return Err(MigrateError::ForeignKeys { version: step.version, name: step.name.clone(), table });
        }
        let head = self.head_after(step, position);
        // Constraints that are deferred fail here.
        ledger.commit(connection, (step, started.elapsed()), &head).await.map_err(|error| match error {
            EngineError::Statement { .. } => failed(error),
            error => MigrateError::Engine(error),
        })?;
        Ok(Stepped::Applied(head))
    }

    /// Applies a step whose statements run each for itself.
    async fn piecemeal(
        &self,
        connection: &mut dyn Connection,
        (step, position): (&Step, &Position),
    ) -> Result<Stepped, MigrateError> {
        let (ledger, started) = (self.ledger(), Instant::now());
        ledger.lock(connection, true).await?;
        if ledger.head(connection).await? != position.head {
            return Ok(Stepped::Overtaken);
        }
        let before = position.head.as_ref().map(|head| head.mark.clone()).unwrap_or_default();
        ledger.begin(connection, step, before).await?;
        if self.dialect == Dialect::Postgres {
            let settings = "SET statement_timeout = 0; SET search_path = public";
            sequence(connection, settings, (true, Some(PATIENCE))).await?;
        }
        let keys = !step.manner.loose_keys;
        let ran = sequence(connection, step.sql.clone(), (keys, None)).await;
        ran.map_err(|source| MigrateError::Step { version: step.version, name: step.name.clone(), source })?;
        ledger.lock(connection, true).await?;
        let head = self.head_after(step, position);
        ledger.commit(connection, (step, started.elapsed()), &head).await?;
        Ok(Stepped::Applied(head))
    }

    fn head_after(&self, step: &Step, position: &Position) -> Head {
        let is_last = position.at + 1 == self.plan.steps().len();
        let was_new = position.head.as_ref().is_none_or(|head| head.state == State::New);
        let state = if was_new && !is_last { State::New } else { State::Ready };
        Head { mark: step.mark.clone(), state }
    }
}
