//! One subscriber.
use super::feed::{Live, Refused};
use super::position::Position;
use super::window::Told;
use crate::client::Client;
use crate::connect::ConnectError;
use crate::pool::AcquireError;
use rowhouse_engine::{Change, EngineError, Untold};
use rowhouse_types::{ErrorCode, ErrorKind, Reportable, Target};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What somebody wants to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscribe {
    /// Of which tables, in any case of letters; of all if there are none.
    pub tables: Vec<String>,
    /// After which position, of one who was here before; from now on without one.
    pub from: Option<Position>,
}

/// One subscriber. While it lives its database stays open.
#[derive(Debug)]
pub struct Subscription {
    live: Live,
    number: u64,
    tables: Vec<String>,
    /// The number of what was looked at last.
    heard: u64,
    /// Where it began, or is.
    position: Position,
    /// It has missed what it came for.
    missed: bool,
    stirred: watch::Receiver<()>,
}

/// The subscription has ended: the database is paused, dropped or closing, or was replaced. Who comes
/// again is told where it was, or of a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the feed has ended")]
pub struct Ended;

/// Why somebody cannot subscribe.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SubscribeError {
    /// The database cannot be had.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// As many subscribe as may.
    #[error("as many as {limit} subscribe to changes of this database already")]
    Full {
        /// So many.
        limit: u32,
    },
    /// A transaction that has written was open all the time.
    #[error("no moment between two transactions was found within {} ms", .waited.as_millis())]
    Late {
        /// How long was waited.
        waited: Duration,
    },
}

// === impl Client ===

impl Client {
    /// Subscribes to what is committed to a database, which is opened if need be and not created.
    ///
    /// `deadline` bounds the wait for it, beside the timeout for connections.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up every place in a queue and loses nothing.
    pub async fn subscribe(
        &self,
        target: &Target,
        what: Subscribe,
        deadline: Option<Instant>,
    ) -> Result<Subscription, SubscribeError> {
        let (gateway, asker) = (self.gateway(), self.reader());
        let shared = &gateway.shared;
        let started = tokio::time::Instant::now().into_std();
        let latest = started + gateway.limits_of(target).acquire_timeout;
        let until = deadline.map_or(latest, |deadline| deadline.min(latest));
        let mut again = true;
        loop {
            gateway.pass_gate(target, deadline).await.map_err(ConnectError::from)?;
            let lease = gateway.lease(asker, target).await;
            if shared.gates.is_shut(target) {
                continue;
            }
            let lease = lease.map_err(ConnectError::from)?;
            let tenant = lease.tenant().clone();
            match tenant.live.enter(lease, tenant.database(), until).await {
                Ok((number, now)) => {
                    tenant.used();
                    // Whoever has shut it meanwhile has sent this one away, or is seen here.
                    if shared.gates.is_shut(target) {
                        tenant.live.let_go();
                    }
                    return Ok(Subscription::new(tenant.live.clone(), number, now, what));
                }
                Err(Refused::Engine(EngineError::Replaced | EngineError::ProcessEnded)) if again => {
                    again = false;
                    gateway.retire_tenant(&tenant);
                }
                Err(Refused::Over) if again => again = false,
                Err(refused) => {
                    tenant.counters.refused(false);
                    return Err(SubscribeError::of(refused, started));
                }
            }
        }
    }
}

// === impl Subscription ===

impl Subscription {
    fn new(live: Live, number: u64, now: Position, what: Subscribe) -> Self {
        let Subscribe { tables, from } = what;
        let heard = from.map_or(Some(now.number), |from| live.heard_by(from));
        let (missed, heard) = (heard.is_none(), heard.unwrap_or(now.number));
        let position = Position { number: heard, ..now };
        let stirred = live.stirred();
        Self { live, number, tables, heard, position, missed, stirred }
    }

    /// Where it is: to come again with. Nothing that it wants was told before that it has not heard.
    pub fn position(&self) -> Position {
        self.position
    }

    /// What is told next, one thing at least.
    ///
    /// # Errors
    ///
    /// When it was sent away.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn next(&mut self) -> Result<Vec<Told>, Ended> {
        if std::mem::take(&mut self.missed) {
            return Ok(vec![Told::Gap { position: self.position, why: Untold::Overrun }]);
        }
        loop {
            self.stirred.borrow_and_update();
            let tables = &self.tables;
            let wanted = |change: &Change| {
                tables.is_empty() || tables.iter().any(|table| table.eq_ignore_ascii_case(&change.table))
            };
            let told = self.live.look(self.number, &mut self.heard, wanted).ok_or(Ended)?;
            self.position.number = self.heard;
            if !told.is_empty() {
                return Ok(told);
            }
            // It fails when the feed is gone, which holds its subscribers.
            self.stirred.changed().await.map_err(|_gone| Ended)?;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.live.leave(self.number);
    }
}

// === impl SubscribeError ===

impl SubscribeError {
    fn of(refused: Refused, started: Instant) -> Self {
        match refused {
            Refused::Full(limit) => Self::Full { limit },
            Refused::Late => {
                let now = tokio::time::Instant::now().into_std();
                Self::Late { waited: now.saturating_duration_since(started) }
            }
            Refused::Over => Self::Connect(AcquireError::Closed.into()),
            Refused::Engine(error) => Self::Connect(AcquireError::Connect(error).into()),
        }
    }
}

impl Reportable for SubscribeError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Connect(source) => source.kind(),
            Self::Full { .. } | Self::Late { .. } => ErrorKind::Overloaded,
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::Connect(source) => source.code(),
            Self::Full { .. } => ErrorCode::QueueFull,
            Self::Late { .. } => ErrorCode::DatabaseBusy,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Connect(source) => source.hint(),
            Self::Full { limit } => Some(format!(
                "end a subscription, or ask the operator to raise live_subscribers (now {limit})"
            )),
            Self::Late { .. } => Some("try again later; end transactions sooner".to_owned()),
        }
    }

    fn public_message(&self) -> String {
        match self {
            Self::Connect(source) => source.public_message(),
            Self::Full { .. } | Self::Late { .. } => self.to_string(),
        }
    }
}
