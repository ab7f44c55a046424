//! Why something was not done to a database.
use crate::clients::ChangeError;
use crate::journal::JournalError;
use crate::limits::InvalidLimit;
use crate::metadata::MetadataError;
use crate::migrate::MigrateError;
use crate::places::PlaceError;
use rowhouse_engine::EngineError;
use rowhouse_types::{ErrorCode, ErrorKind, Reportable};
use std::sync::Arc;
use std::time::Duration;

/// Why something was not done to a database. Unless it says otherwise, nothing has changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AdminError {
    /// There is no such database.
    #[error("no such database")]
    NotFound,
    /// There is one already.
    #[error("there is such a database already")]
    Exists,
    /// Databases are not opened by name on this server, so none is made or dropped by name.
    #[error("this server opens no databases by name")]
    NotByName,
    /// It is configured.
    #[error("a configured database cannot be {verb}")]
    Configured {
        /// What was to be done to it: created, dropped, evicted.
        verb: &'static str,
    },
    /// Somebody uses it.
    #[error("the database is in use by {sessions} sessions")]
    InUse {
        /// Sessions at work.
        sessions: u32,
    },
    /// Its sessions did not end in time.
    #[error("the database was in use by {sessions} sessions still, after {} s", .waited.as_secs_f64())]
    StillInUse {
        /// Sessions at work.
        sessions: u32,
        /// How long was waited for them.
        waited: Duration,
    },
    /// It was to be paused, and somebody resumed it before its requests had ended.
    #[error("the database was resumed meanwhile")]
    Resumed,
    /// It is being dropped.
    #[error("the database is being dropped")]
    BeingDropped,
    /// As many databases are paused, or have limits of their own, as may.
    #[error("as many as {limit} databases {what} already")]
    TooMany {
        /// The most there may be.
        limit: usize,
        /// What they are or have.
        what: &'static str,
    },
    /// A limit cannot be that.
    #[error(transparent)]
    Invalid(#[from] InvalidLimit),
    /// The limit of sessions cannot be that now.
    #[error(transparent)]
    Refused(#[from] ChangeError),
    /// It cannot be told where it is, or that cannot be kept.
    #[error(transparent)]
    Place(PlaceError),
    /// The engine failed.
    #[error("the database's engine could not do it")]
    Engine(#[source] EngineError),
    /// It could not be brought to the newest schema, and was not made.
    #[error("the database could not be migrated")]
    Migration(#[source] Arc<MigrateError>),
    /// It was done, but it could not be kept: it is lost when the server ends.
    #[error("it was done, but could not be kept over a restart")]
    NotKept(#[source] JournalError),
    /// The server is going down.
    #[error("the server is shutting down")]
    ShuttingDown,
}

impl From<EngineError> for AdminError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::NoSuchDatabase => Self::NotFound,
            EngineError::AlreadyExists => Self::Exists,
            error => Self::Engine(error),
        }
    }
}

impl From<PlaceError> for AdminError {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Engine(error) => error.into(),
            error => Self::Place(error),
        }
    }
}

impl From<MetadataError> for AdminError {
    fn from(error: MetadataError) -> Self {
        Self::Place(error.into())
    }
}

impl Reportable for AdminError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound => ErrorKind::NotFound,
            Self::Exists
            | Self::NotByName
            | Self::Configured { .. }
            | Self::Invalid(_)
            | Self::Refused(_)
            | Self::TooMany { .. } => ErrorKind::User,
            Self::InUse { .. } | Self::StillInUse { .. } | Self::Resumed | Self::BeingDropped => {
                ErrorKind::Overloaded
            }
            Self::Engine(source) => source.kind(),
            Self::Place(source) => source.kind(),
            Self::Migration(source) => source.kind(),
            Self::NotKept(_) => ErrorKind::Engine,
            Self::ShuttingDown => ErrorKind::ShuttingDown,
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::DatabaseNotFound,
            Self::Exists => ErrorCode::NameTaken,
            Self::NotByName => ErrorCode::CreationNotAllowed,
            Self::Configured { .. } => ErrorCode::DatabaseConfigured,
            Self::InUse { .. } | Self::StillInUse { .. } | Self::Resumed => ErrorCode::DatabaseBusy,
            Self::BeingDropped => ErrorCode::DatabaseUnavailable,
            Self::TooMany { .. } => ErrorCode::QueueFull,
            Self::Invalid(_) | Self::Refused(_) => ErrorCode::LimitRefused,
            Self::Engine(source) => source.code(),
            Self::Place(source) => source.code(),
            Self::Migration(source) => source.code(),
            Self::NotKept(_) => ErrorCode::Internal,
            Self::ShuttingDown => ErrorCode::ShuttingDown,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NotFound => "check the name",
            Self::Exists => "choose another name, or drop that one first",
            Self::NotByName => "start it with --auto-connect and --data-directory",
            Self::Configured { .. } => "take it out of the configuration and restart; its file stays",
            Self::InUse { .. } => "pause it first, which waits for its sessions to end, or try again later",
            Self::StillInUse { .. } => {
                "end their transactions and try again, wait for longer, or let their sessions be ended"
            }
            Self::Resumed => "pause it again, if it is still to be paused",
            Self::BeingDropped => "try again when that is over",
            Self::TooMany { .. } => "resume some, or give some the limits of all databases back",
            Self::NotKept(_) => "look at the disk of the data directory, and do it again",
            Self::Engine(source) => return source.hint(),
            Self::Place(source) => return source.hint(),
            Self::Migration(source) => return source.hint(),
            Self::Invalid(_) | Self::Refused(_) | Self::ShuttingDown => return None,
        };
        Some(text.to_owned())
    }

    fn public_message(&self) -> String {
        match self {
            Self::Engine(source) => source.public_message(),
            Self::Place(source) => source.public_message(),
            Self::Migration(source) => source.chain(),
            _ => self.to_string(),
        }
    }
}
