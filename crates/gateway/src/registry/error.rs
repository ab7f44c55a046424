//! Why a database could not be opened.
use crate::event::Refusal;
use crate::migrate::MigrateError;
use crate::places::PlaceError;
use rowhouse_engine::EngineError;
use rowhouse_types::{ErrorCode, ErrorKind, Reportable};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// Why a database could not be opened. Shared by all who waited for it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such database, or none is opened by name.
    #[error("no such database")]
    NotFound,
    /// There is no such database, and none is created by being named.
    #[error("no such database, and this server creates none by name")]
    CreationNotAllowed,
    /// There is no such database, and this client may create none.
    #[error("no such database, and this client may not create it")]
    MayNotCreate,
    /// The client has created as many as it may in this time.
    #[error("this client creates databases faster than {rate} a second")]
    TooFast {
        /// How many it may create in a second.
        rate: NonZeroU32,
    },
    /// Every open database was in use until the deadline.
    #[error("max_connections reached: all {limit} databases that may be open were in use for {} ms", .waited.as_millis())]
    Full {
        /// The most that may be open.
        limit: NonZeroU32,
        /// How long was waited.
        waited: Duration,
    },
    /// As many wait as may wait.
    #[error("max_connections reached: as many as {limit} databases wait to be opened already")]
    QueueFull {
        /// The most that may wait.
        limit: u32,
    },
    /// It has to be opened anew, and its last opening was not closed until the deadline.
    #[error("the database was replaced, and what was there before was in use for {} ms", .waited.as_millis())]
    Closing {
        /// How long was waited.
        waited: Duration,
    },
    /// It is being dropped.
    #[error("the database is being dropped")]
    BeingDropped,
    /// It is not served from where it lives.
    #[error(transparent)]
    Place(PlaceError),
    /// The engine failed.
    #[error("the database could not be opened")]
    Engine(#[source] EngineError),
    /// It could not be brought to the newest schema.
    #[error("the database could not be migrated")]
    Migration(#[source] Arc<MigrateError>),
    /// There was none, and the engine could not make it.
    #[error("the database could not be created")]
    Create(#[source] EngineError),
    /// The process is going down.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The opening task died.
    #[error("opening was interrupted")]
    Interrupted,
}

/// What an engine says of a place is in its own words.
impl From<PlaceError> for OpenError {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Engine(error) => Self::Engine(error),
            error => Self::Place(error),
        }
    }
}

impl OpenError {
    /// What refused it, if that was a rule or a limit and not a failure.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        Some(match self {
            Self::NotFound | Self::CreationNotAllowed | Self::MayNotCreate => Refusal::Unknown,
            Self::TooFast { .. } => Refusal::CreateRate,
            Self::Full { .. } => Refusal::Room,
            Self::QueueFull { .. } => Refusal::RoomQueue,
            Self::Closing { .. } | Self::BeingDropped | Self::ShuttingDown => Refusal::Closing,
            Self::Place(PlaceError::Suspended | PlaceError::Quarantined) => Refusal::Paused,
            Self::Place(PlaceError::BeingDropped) => Refusal::Closing,
            Self::Engine(source) | Self::Create(source) if is_unknown(source) => Refusal::Unknown,
            Self::Engine(_) | Self::Create(_) | Self::Place(_) | Self::Migration(_) | Self::Interrupted => {
                return None;
            }
        })
    }
}

impl Reportable for OpenError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound | Self::CreationNotAllowed | Self::MayNotCreate => ErrorKind::NotFound,
            Self::TooFast { .. }
            | Self::Full { .. }
            | Self::QueueFull { .. }
            | Self::Closing { .. }
            | Self::BeingDropped => ErrorKind::Overloaded,
            Self::Engine(source) | Self::Create(source) => source.kind(),
            Self::Place(source) => source.kind(),
            Self::Migration(source) => source.kind(),
            Self::ShuttingDown => ErrorKind::ShuttingDown,
            Self::Interrupted => ErrorKind::Internal,
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::DatabaseNotFound,
            Self::CreationNotAllowed | Self::MayNotCreate => ErrorCode::CreationNotAllowed,
            Self::TooFast { .. } => ErrorCode::CreationRateLimited,
            Self::Full { .. } => ErrorCode::DatabaseLimitReached,
            Self::QueueFull { .. } => ErrorCode::QueueFull,
            Self::Closing { .. } | Self::BeingDropped => ErrorCode::DatabaseUnavailable,
            Self::Engine(source) | Self::Create(source) => source.code(),
            Self::Place(source) => source.code(),
            Self::Migration(source) => source.code(),
            Self::ShuttingDown => ErrorCode::ShuttingDown,
            Self::Interrupted => ErrorCode::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotFound => "check the name, or ask the operator for --auto-connect".to_owned(),
            Self::CreationNotAllowed => "check the name, or ask the operator for --auto-create".to_owned(),
            Self::MayNotCreate => "check the name, or use credentials with the scope `create`".to_owned(),
            Self::TooFast { rate } => {
                format!("create fewer at once, or ask the operator to raise create_rate (now {rate})")
            }
            Self::Full { limit, .. } => {
                format!("try again later, or ask the operator to raise max_connections (now {limit})")
            }
            Self::QueueFull { .. } => "try again later".to_owned(),
            Self::Closing { .. } => "end the transactions that are open on it, and try again".to_owned(),
            Self::BeingDropped => "try again later: the name may be free then".to_owned(),
            Self::Engine(source) | Self::Create(source) => return source.hint(),
            Self::Place(source) => return source.hint(),
            Self::Migration(_) => {
                "try again later, or ask the operator to look at the server's log".to_owned()
            }
            Self::ShuttingDown | Self::Interrupted => return None,
        })
    }

    fn public_message(&self) -> String {
        match self {
            Self::Engine(source) | Self::Create(source) => source.public_message(),
            Self::Place(source) => source.public_message(),
            Self::Migration(source) => source.public_message(),
            Self::Interrupted => "internal error".to_owned(),
            _ => self.to_string(),
        }
    }
}

/// Whether it says that there is none of this name.
fn is_unknown(error: &EngineError) -> bool {
    matches!(error, EngineError::NoSuchDatabase | EngineError::NameTaken)
}
