//! Why no connection could be lent.
use crate::event::Refusal;
use rowhouse_engine::EngineError;
use rowhouse_types::{ErrorCode, ErrorKind, Reportable};
use std::num::NonZeroU32;
use std::time::Duration;

/// Why no connection could be lent.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AcquireError {
    /// As many wait as may wait.
    #[error("as many as {limit} requests wait for this database already")]
    QueueFull {
        /// The most that may wait.
        limit: u32,
    },
    /// None came free in time.
    #[error("no connection to this database came free within {} ms", .waited.as_millis())]
    TimedOut {
        /// How long was waited.
        waited: Duration,
        /// How many connections there may be.
        limit: u32,
    },
    /// All that the server can take were in use, by this database and others.
    #[error("no connection to the server of this database came free within {} ms", .waited.as_millis())]
    ServerBusy {
        /// How long was waited.
        waited: Duration,
        /// How many connections all databases on it may have together.
        limit: u32,
    },
    /// It is asked for more often than it may be.
    #[error("more than {rate} requests a second for this database")]
    TooOften {
        /// How many there may be in a second.
        rate: NonZeroU32,
        /// When one would be served at once.
        retry_after: Duration,
    },
    /// It is paused, and was not resumed in time.
    #[error("the database is paused, and was not resumed within {} ms", .waited.as_millis())]
    Paused {
        /// How long was waited.
        waited: Duration,
    },
    /// It is being dropped, and that was not over in time.
    #[error("the database is being dropped")]
    BeingDropped,
    /// Its sessions were ended by an operator.
    #[error("the session was ended by the operator")]
    Ended,
    /// The database is closing.
    #[error("database is closing")]
    Closed,
    /// A new connection was needed and the engine refused it.
    #[error("cannot connect")]
    Connect(#[source] EngineError),
}

// === impl AcquireError ===

impl AcquireError {
    /// What refused it, if that was a rule or a limit and not a failure.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::QueueFull { .. } => Some(Refusal::ConnectionQueue),
            Self::TimedOut { .. } => Some(Refusal::Connections),
            Self::ServerBusy { .. } => Some(Refusal::ServerConnections),
            Self::TooOften { .. } => Some(Refusal::Rate),
            Self::Paused { .. } | Self::BeingDropped => Some(Refusal::Paused),
            Self::Ended | Self::Closed => Some(Refusal::Closing),
            Self::Connect(_) => None,
        }
    }
}

impl Reportable for AcquireError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::QueueFull { .. }
            | Self::TimedOut { .. }
            | Self::ServerBusy { .. }
            | Self::TooOften { .. }
            | Self::Paused { .. }
            | Self::BeingDropped
            | Self::Ended => ErrorKind::Overloaded,
            Self::Closed => ErrorKind::ShuttingDown,
            Self::Connect(source) => source.kind(),
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::QueueFull { .. } => ErrorCode::QueueFull,
            Self::TimedOut { .. } => ErrorCode::ConnectionLimitReached,
            Self::ServerBusy { .. } => ErrorCode::ServerConnectionLimitReached,
            Self::TooOften { .. } => ErrorCode::RateLimited,
            Self::Paused { .. } => ErrorCode::DatabasePaused,
            Self::BeingDropped => ErrorCode::DatabaseUnavailable,
            Self::Ended => ErrorCode::SessionEnded,
            Self::Closed => ErrorCode::ShuttingDown,
            Self::Connect(source) => source.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::QueueFull { limit } => {
                Some(format!("try again later, or ask the operator to raise pool_queue (now {limit})"))
            }
            Self::TooOften { rate, retry_after } => Some(format!(
                "try again in {} ms, or ask the operator to raise requests_per_second (now {rate})",
                retry_after.as_millis()
            )),
            Self::Paused { .. } => Some("try again later, or ask the operator to resume it".to_owned()),
            Self::BeingDropped => Some("try again later: the name may be free then".to_owned()),
            Self::Ended => Some("send it again; what was not committed is gone".to_owned()),
            Self::TimedOut { limit, .. } => Some(format!(
                "{limit} connections to this database are in use; end transactions sooner, or ask the operator to raise pool_size or max_overflow"
            )),
            Self::ServerBusy { limit, .. } => Some(format!(
                "the {limit} connections that all databases on its server may have together are in use; try again, end transactions sooner, or ask the operator to raise server_connections"
            )),
            Self::Closed => None,
            Self::Connect(source) => source.hint(),
        }
    }

    fn public_message(&self) -> String {
        match self {
            Self::Connect(source) => source.public_message(),
            _ => self.to_string(),
        }
    }
}
