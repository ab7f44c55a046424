//! One peer's dealings with its databases.
//!
//! What Python's cursor remembers between calls is kept per peer and database; a connection is
//! kept only while it holds a transaction, temporary objects or changed settings, no longer idle
//! than allowed, and no transaction longer than allowed.
use crate::error;
use crate::shared::Shared;
use futures::StreamExt;
use futures::future::select_all;
use rowhouse_engine::{EngineError, Options, Outcome, SessionState};
use rowhouse_gateway::{
    AcquireError, Client, ConnectError, DatabaseLimits, Due, Expired, Pinned, Principal, Session as Borrowed,
};
use rowhouse_types::{DatabaseName, ErrorCode, Request, Target};
use rowhouse_wire::sqlite_rx::{Fault, ReplyWriter};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// The most databases one peer may hold something of at once.
const PINNED_MAX: usize = 8;

/// The most databases whose cursor one peer's session remembers.
const CURSORS_MAX: usize = 256;

/// One peer's dealings with its databases.
pub(crate) struct Session {
    shared: Arc<Shared>,
    client: Client,
    pinned: HashMap<Target, Pinned>,
    cursors: HashMap<Target, Cursor>,
}

/// What Python's cursor would remember.
#[derive(Clone, Copy, Default)]
struct Cursor {
    /// `rowcount`, if it is not -1.
    affected: Option<u64>,
    /// `lastrowid`, as the last single statement left it; 0 for none.
    last_row: i64,
    /// The key this peer inserted last; 0 for none.
    inserted: i64,
    /// Why its transaction was rolled back, while it does not know yet.
    expired: Option<Expired>,
}

/// Why a request was not answered with its result.
enum Failure {
    Fault(Fault),
    /// What was opened is gone: replaced, or with its process. The request, if nothing of it was done.
    Gone(EngineError, Option<Request>),
}

// === impl Failure ===

impl Failure {
    fn into_fault(self, database: &str) -> Fault {
        match self {
            Self::Fault(fault) => fault,
            Self::Gone(error, _) => error::engine(database, &error),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

// === impl Session ===

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, principal: Option<Principal>) -> Self {
        let client = shared.context.gateway.client_of(principal);
        Self { shared, client, pinned: HashMap::new(), cursors: HashMap::new() }
    }

    /// Runs a request and writes its reply.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future interrupts the statement; a transaction it was part of is rolled back.
    pub(crate) async fn run(
        &mut self,
        database: &str,
        target: Target,
        request: Result<Request, Fault>,
    ) -> Result<Vec<u8>, Fault> {
        let limits = self.limits_of(&target);
        if let Some(expired) = self.cursor(&target).expired.take() {
            return Err(error::transaction_expired(expired));
        }
        let (mut borrowed, began, due) = self.borrow(database, &target, &limits).await?;
        let deadline = due.at;
        // A request that makes no sense is told so only after its database was found, as ever.
        let before = borrowed.state();
        let mut ran = match request {
            Ok(request) => self.run_on(&mut borrowed, &target, request, due).await,
            Err(fault) => Err(fault.into()),
        };
        if let Err(Failure::Gone(gone @ EngineError::ProcessEnded, None)) = ran {
            // It may have taken effect: whether it is sent again is for its client to say.
            self.client.part(borrowed);
            return Err(error::gone(database, &gone, before));
        }
        if let Err(Failure::Gone(gone, request)) = ran {
            let reconnecting = self.client.reconnect(borrowed, Some(deadline));
            borrowed = reconnecting.await.map_err(|error| error::connect(database, &error))?;
            // Never begun, so it runs on what is there now, unless it relies on what was there.
            ran = match (before, request) {
                (SessionState::Clean, Some(request)) => {
                    self.run_on(&mut borrowed, &target, request, due).await
                }
                _ => Err(error::gone(database, &gone, before).into()),
            };
        }
        if borrowed.is_ended() {
            // Whatever it holds is given up, and nobody asks for it any more.
            return ran.map_err(|failure| failure.into_fault(database));
        }
        let ran = ran.map_err(|failure| failure.into_fault(database));
        let after = borrowed.state();
        let ran = ran.map_err(|fault| match (before, after) {
            (SessionState::Transaction, SessionState::Transaction) => fault,
            (SessionState::Transaction, _) => error::with_note(fault, "the transaction was rolled back"),
            _ => fault,
        });
        if after != SessionState::Clean {
            let began = began.filter(|_| before == SessionState::Transaction);
            self.pinned.insert(target, Pinned::new(borrowed, began));
        }
        ran
    }

    /// A connection for a request, since when it is in a transaction, and when the request is interrupted.
    async fn borrow(
        &mut self,
        database: &str,
        target: &Target,
        limits: &DatabaseLimits,
    ) -> Result<(Borrowed, Option<Instant>, Due), Fault> {
        let Some(pinned) = self.pinned.remove(target) else {
            // Refused before it runs: afterwards it may have taken effect.
            if PINNED_MAX <= self.pinned.len() {
                return Err(error::too_many_sessions(PINNED_MAX));
            }
            let due = Due::of(limits, None);
            let connecting = self.client.connect(target, Some(due.at));
            let borrowed = connecting.await.map_err(|error| error::connect(database, &error))?;
            return Ok((borrowed, None, due));
        };
        let due = Due::of(limits, pinned.began());
        let gateway = &self.shared.context.gateway;
        if let Err(refused) = gateway.once_more(&pinned.session, Some(due.at)).await {
            if !pinned.session.is_ended() {
                self.pinned.insert(target.clone(), pinned);
            }
            return Err(error::connect(database, &refused));
        }
        let began = pinned.began();
        Ok((pinned.session, began, due))
    }

    /// Whether it holds a transaction on any database.
    pub(crate) fn in_transaction(&self) -> bool {
        self.pinned.values().any(|pinned| pinned.session.state() == SessionState::Transaction)
    }

    /// When the next transaction has been idle, or has lasted, too long.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        let until = |(target, pinned): (&Target, &Pinned)| pinned.until(&self.limits_of(target)).0;
        self.pinned.iter().map(until).min()
    }

    /// Resolves when [`Session::next_expiry`] has to be asked again: limits have changed, or an operator
    /// ends a session. From this call on, not only once it is polled.
    pub(crate) fn disturbed(&self) -> impl Future<Output = ()> + Send + use<> {
        let notices: Vec<_> = self.pinned.values().map(|pinned| pinned.session.notices()).collect();
        async move {
            if notices.is_empty() {
                return std::future::pending().await;
            }
            let changes =
                notices.into_iter().map(|mut notices| Box::pin(async move { notices.changed().await }));
            drop(select_all(changes).await);
        }
    }

    /// Rolls back what has been idle, or has lasted, too long, or was ended; the peer is told with its
    /// next request.
    pub(crate) fn expire(&mut self) {
        let now = Instant::now();
        let gateway = &self.shared.context.gateway;
        let mut expired = Vec::new();
        self.pinned.retain(|target, pinned| {
            let (until, why) = pinned.until(&gateway.limits_of(target));
            let is_over = until <= now || why == Expired::Ended;
            if is_over && pinned.session.state() == SessionState::Transaction {
                expired.push((target.clone(), why));
            }
            !is_over
        });
        for (target, why) in expired {
            self.cursor(&target).expired = Some(why);
        }
    }

    fn limits_of(&self, target: &Target) -> DatabaseLimits {
        self.shared.context.gateway.limits_of(target)
    }

    async fn run_on(
        &mut self,
        borrowed: &mut Borrowed,
        target: &Target,
        request: Request,
        due: Due,
    ) -> Result<Vec<u8>, Failure> {
        let DatabaseLimits { max_result_rows, max_result_bytes, .. } = self.limits_of(target);
        let options = Options {
            deadline: Some(due.at),
            policy: self.shared.context.settings.policy,
            // As with Python's driver.
            foreign_keys: false,
            max_rows: max_result_rows,
            max_bytes: max_result_bytes,
        };
        let kind = Kind::of(&request);
        let mut notices = borrowed.notices();
        let collected = tokio::select! {
            biased;
            collected = collect(borrowed, request, options) => collected,
            _ended = notices.wait_for(|ended| *ended) => {
                let ended = ConnectError::Acquire(AcquireError::Ended);
                return Err(error::connect(&target.to_string(), &ended).into());
            }
        };
        self.shared.context.gateway.note(borrowed, collected.as_ref().map(|(_, outcome)| *outcome));
        if let Err(gone @ (EngineError::Replaced | EngineError::ProcessEnded)) = collected {
            return Err(Failure::Gone(gone, borrowed.take_back()));
        }
        let (reply, outcome) = collected.map_err(|error| {
            let fault = match error {
                EngineError::TimedOut => error::statement_timed_out(&target.to_string(), due),
                error => error::engine(&target.to_string(), &error),
            };
            match kind {
                Kind::Script { .. } => error::with_note(fault, "what the script did before stays"),
                _ => fault,
            }
        })?;
        let cursor = self.cursor(target);
        cursor.record(kind, outcome);
        Ok(reply.finish(cursor.affected, Some(cursor.last_row).filter(|&key| key != 0)))
    }

    fn cursor(&mut self, target: &Target) -> &mut Cursor {
        if CURSORS_MAX <= self.cursors.len() && !self.cursors.contains_key(target) {
            self.cursors.retain(|_, cursor| cursor.expired.is_some());
        }
        self.cursors.entry(target.clone()).or_default()
    }
}

async fn collect(
    borrowed: &mut Borrowed,
    request: Request,
    options: Options,
) -> Result<(ReplyWriter, Outcome), EngineError> {
    let mut reply = ReplyWriter::default();
    let mut chunks = borrowed.run(request, options);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        chunk.rows.rows().for_each(|row| reply.row(row.values()));
        if let Some(outcome) = chunk.outcome {
            return Ok((reply, outcome));
        }
    }
    Err(EngineError::Lost)
}

/// Which database a name on the wire is.
pub(crate) fn target(database: &str) -> Result<Target, Fault> {
    if database.is_empty() {
        return Ok(Target::Default);
    }
    let name: DatabaseName = database.parse().map_err(|invalid: rowhouse_types::InvalidName| {
        error::not_found(database, ErrorCode::InvalidName, Some(invalid.to_string()))
    })?;
    Ok(Target::Named(name))
}

// === impl Cursor ===

/// What of a request decides how the cursor changes.
#[derive(Clone, Copy)]
enum Kind {
    Statement { may_insert: bool },
    Repeat,
    Script { may_insert: bool },
}

impl Kind {
    fn of(request: &Request) -> Self {
        match request {
            Request::Execute { sql, .. } => Self::Statement { may_insert: may_insert(sql) },
            Request::Repeat { .. } => Self::Repeat,
            Request::Script { sql } | Request::Sequence { sql } => {
                Self::Script { may_insert: may_insert(sql) }
            }
        }
    }
}

/// Whether a statement may insert a row: the connection's last key is another borrower's otherwise.
fn may_insert(sql: &str) -> bool {
    let has =
        |word: &str| sql.as_bytes().windows(word.len()).any(|w| w.eq_ignore_ascii_case(word.as_bytes()));
    has("insert") || has("replace")
}

impl Cursor {
    fn record(&mut self, kind: Kind, outcome: Outcome) {
        match kind {
            Kind::Statement { may_insert } => {
                self.affected = outcome.affected;
                if may_insert && outcome.affected != Some(0) {
                    self.inserted = outcome.last_insert_id;
                }
                self.last_row = self.inserted;
            }
            Kind::Repeat => {
                self.affected = outcome.affected;
                if outcome.affected != Some(0) {
                    self.inserted = outcome.last_insert_id;
                }
            }
            // A script leaves the cursor as it was.
            Kind::Script { may_insert: true } => self.inserted = outcome.last_insert_id,
            Kind::Script { may_insert: false } => {}
        }
    }
}
