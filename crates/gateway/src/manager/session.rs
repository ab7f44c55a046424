//! A session with SQL in and rows out.
use super::error::DatabaseError;
use crate::client::{Client, Rights};
use crate::limits::DatabaseLimits;
use crate::pool::Session;
use futures::StreamExt as _;
use rowhouse_engine::{Connection, EngineError, Options, Outcome, SessionState, SqlPolicy};
use rowhouse_types::{DatabaseName, ErrorCode, ErrorKind, Reportable, Request, Value};
use std::sync::Arc;

/// A session with a database. Dropping it gives it back, however that comes about: what it holds, such as a
/// transaction, is undone first.
#[derive(Debug)]
pub struct DatabaseSession {
    /// There unless its database was replaced and cannot be had again.
    session: Option<Session>,
    of: Of,
    policy: SqlPolicy,
    limits: DatabaseLimits,
}

/// Whose database it is.
#[derive(Debug)]
enum Of {
    Metadata,
    Organization(DatabaseName, Arc<Client>, Rights),
}

/// What a query yields, whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows, each as wide.
    pub rows: Vec<Vec<Value>>,
}

/// Why a statement did not run.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StatementError {
    /// It failed.
    #[error(transparent)]
    Failed(#[from] EngineError),
    /// The database was replaced before it ran, and cannot be had again.
    #[error(transparent)]
    Gone(#[from] DatabaseError),
    /// An operator ended the session; what was not committed is gone.
    #[error("the session was ended by the operator")]
    Ended,
}

// === impl DatabaseSession ===

impl DatabaseSession {
    pub(super) fn of_metadata(session: Session, limits: DatabaseLimits) -> Self {
        Self { session: Some(session), of: Of::Metadata, policy: SqlPolicy::Standard, limits }
    }

    pub(super) fn of_organization(
        session: Session,
        (org_id, client): (DatabaseName, Arc<Client>),
        (rights, policy): (Rights, SqlPolicy),
    ) -> Self {
        let limits = client.gateway().limits_of(session.target());
        Self { session: Some(session), of: Of::Organization(org_id, client, rights), policy, limits }
    }

    /// Whose database it is; `None` for the metadata database.
    pub fn org_id(&self) -> Option<&DatabaseName> {
        match &self.of {
            Of::Metadata => None,
            Of::Organization(org_id, ..) => Some(org_id),
        }
    }

    /// The connection itself, for results that are read as they come.
    ///
    /// # Errors
    ///
    /// When the database was replaced and could not be had again.
    pub fn connection(&mut self) -> Result<&mut dyn Connection, StatementError> {
        Ok(&mut **self.held()?)
    }

    /// What it holds: a transaction, temporary objects, or nothing.
    pub fn state(&self) -> SessionState {
        self.session.as_ref().map(|session| session.state()).unwrap_or_default()
    }

    fn held(&mut self) -> Result<&mut Session, StatementError> {
        self.session.as_mut().ok_or_else(|| EngineError::Lost.into())
    }

    /// Runs one statement; how many rows it changed. The arguments stand in the places `?1`, `?2`, and so on.
    ///
    /// `BEGIN`, `COMMIT` and `ROLLBACK` are statements as others are.
    ///
    /// # Errors
    ///
    /// When it fails, takes longer than `statement_timeout`, or changes something on behalf of who may not.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future interrupts the statement; outside of a transaction, what it did is undone unless it
    /// had ended.
    pub async fn execute(
        &mut self,
        sql: impl Into<Arc<str>>,
        arguments: impl Into<Vec<Value>>,
    ) -> Result<u64, StatementError> {
        let (_rows, outcome) = self.run(Request::execute_with(sql, arguments)).await?;
        Ok(outcome.changed)
    }

    /// Runs any number of statements, within the transaction that is open if one is. What they yield is
    /// discarded.
    ///
    /// # Errors
    ///
    /// As [`DatabaseSession::execute`]; what went before the one that failed stays.
    ///
    /// # Cancel safety
    ///
    /// As [`DatabaseSession::execute`].
    pub async fn script(&mut self, sql: impl Into<Arc<str>>) -> Result<(), StatementError> {
        self.run(Request::sequence(sql)).await.map(drop)
    }

    /// The rows of one statement, whole: no more than `max_result_rows` and `max_result_bytes`. What is longer is
    /// read by [`DatabaseSession::connection`], as it comes.
    ///
    /// # Errors
    ///
    /// As [`DatabaseSession::execute`], and when there are more.
    ///
    /// # Cancel safety
    ///
    /// As [`DatabaseSession::execute`].
    pub async fn query(
        &mut self,
        sql: impl Into<Arc<str>>,
        arguments: impl Into<Vec<Value>>,
    ) -> Result<Rows, StatementError> {
        Ok(self.run(Request::execute_with(sql, arguments)).await?.0)
    }

    /// Runs a request. One that was not begun because its database was replaced, runs on what is there now.
    async fn run(&mut self, request: Request) -> Result<(Rows, Outcome), StatementError> {
        match self.once(request).await {
            Err(StatementError::Failed(gone @ (EngineError::Replaced | EngineError::ProcessEnded))) => {
                let again = self.held()?.take_back();
                self.reconnect(gone).await?;
                match again {
                    Some(request) => self.once(request).await,
                    None => Err(EngineError::Lost.into()),
                }
            }
            ran => ran,
        }
    }

    async fn once(&mut self, request: Request) -> Result<(Rows, Outcome), StatementError> {
        let options = Options {
            deadline: Some(tokio::time::Instant::now().into_std() + self.limits.statement_timeout),
            policy: self.policy,
            foreign_keys: true,
            max_rows: self.limits.max_result_rows,
            max_bytes: self.limits.max_result_bytes,
        };
        let session = self.session.as_mut().ok_or(EngineError::Lost)?;
        let mut notices = session.notices();
        let ran = tokio::select! {
            biased;
            ran = collect(&mut **session, request, options) => ran,
            _ended = notices.wait_for(|ended| *ended) => return Err(StatementError::Ended),
        };
        if let Of::Organization(_, client, _) = &self.of {
            client.gateway().note(session, ran.as_ref().map(|(_rows, outcome)| *outcome));
        }
        Ok(ran?)
    }

    /// A session with what is there now, after what was opened was replaced.
    async fn reconnect(&mut self, gone: EngineError) -> Result<(), StatementError> {
        let Of::Organization(org_id, client, rights) = &self.of else { return Err(gone.into()) };
        if self.state() != SessionState::Clean {
            return Err(gone.into());
        }
        let session = self.session.take().ok_or(EngineError::Lost)?;
        let target = session.target().clone();
        client.part(session);
        let session = client.connect_as(&target, *rights, None).await;
        self.session = Some(session.map_err(|source| DatabaseError::of(org_id, source))?);
        Ok(())
    }
}

async fn collect(
    connection: &mut dyn Connection,
    request: Request,
    options: Options,
) -> Result<(Rows, Outcome), EngineError> {
    let mut chunks = connection.run(request, options);
    let mut read = Rows::default();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if let Some(columns) = chunk.columns {
            read.columns = columns.iter().map(|column| column.name.clone()).collect();
        }
        let rows = chunk.rows.rows().map(|row| row.values().map(|value| value.to_value()).collect());
        read.rows.extend(rows);
        if let Some(outcome) = chunk.outcome {
            return Ok((read, outcome));
        }
    }
    Err(EngineError::Lost)
}

// === impl StatementError ===

impl Reportable for StatementError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Failed(source) => source.kind(),
            Self::Gone(source) => source.kind(),
            Self::Ended => ErrorKind::Overloaded,
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::Failed(source) => source.code(),
            Self::Gone(source) => source.code(),
            Self::Ended => ErrorCode::SessionEnded,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Failed(source) => source.hint(),
            Self::Gone(source) => source.hint(),
            Self::Ended => Some("send it again; what was not committed is gone".to_owned()),
        }
    }

    fn public_message(&self) -> String {
        match self {
            Self::Failed(source) => source.public_message(),
            Self::Gone(source) => source.public_message(),
            Self::Ended => self.to_string(),
        }
    }
}
