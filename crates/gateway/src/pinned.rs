//! A session that is kept between requests, for what it holds.
use crate::limits::DatabaseLimits;
use crate::pool::Session;
use rowhouse_engine::SessionState;
use std::time::{Duration, Instant};

/// A session that holds something of its borrower's between two requests: a transaction, temporary
/// objects, changed settings.
#[derive(Debug)]
pub struct Pinned {
    /// The session.
    pub session: Session,
    /// Since when it has been idle.
    since: Instant,
    /// When its transaction began.
    began: Option<Instant>,
}

/// Why a transaction was rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    /// Nothing was asked in it for so long.
    Idle(Duration),
    /// It lasted so long, asked or not.
    Lasting(Duration),
    /// The operator ended it.
    Ended,
}

/// When a request is interrupted, and by which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// When.
    pub at: Instant,
    /// The limit's name.
    pub option: &'static str,
    /// The limit's value.
    pub value: Duration,
}

// === impl Pinned ===

impl Pinned {
    /// Keeps a session that is not clean, idle from now on. `began` is when its transaction began, if
    /// that was before the request that has just ended.
    pub fn new(session: Session, began: Option<Instant>) -> Self {
        let since = now();
        let began = (session.state() == SessionState::Transaction).then(|| began.unwrap_or(since));
        Self { session, since, began }
    }

    /// When its transaction began.
    pub fn began(&self) -> Option<Instant> {
        self.began
    }

    /// When it is to be given up, if nothing is asked before, and why.
    pub fn until(&self, limits: &DatabaseLimits) -> (Instant, Expired) {
        let DatabaseLimits { idle_transaction_timeout, transaction_timeout, .. } = *limits;
        if self.session.is_ended() {
            return (now(), Expired::Ended);
        }
        let idle = (self.since + idle_transaction_timeout, Expired::Idle(idle_transaction_timeout));
        let Some(began) = self.began else { return idle };
        let lasting = (began + transaction_timeout, Expired::Lasting(transaction_timeout));
        if lasting.0 <= idle.0 { lasting } else { idle }
    }
}

// === impl Due ===

impl Due {
    /// When a request that begins now is interrupted, in a transaction that began at `began`, if in one.
    pub fn of(limits: &DatabaseLimits, began: Option<Instant>) -> Self {
        let DatabaseLimits { statement_timeout, transaction_timeout, .. } = *limits;
        let by_itself =
            Self { at: now() + statement_timeout, option: "statement_timeout", value: statement_timeout };
        match began.map(|began| began + transaction_timeout) {
            Some(at) if at < by_itself.at => {
                Self { at, option: "transaction_timeout", value: transaction_timeout }
            }
            _ => by_itself,
        }
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
