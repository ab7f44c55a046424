//! Why the metadata database could not do it.
use crate::pool::AcquireError;
use rowhouse_engine::EngineError;
use rowhouse_types::{ErrorCode, ErrorKind, Reportable};

/// Why the metadata database could not do it. Unless it says otherwise, nothing has changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MetadataError {
    /// It cannot be opened, read or written.
    #[error("the metadata database cannot be used")]
    Engine(#[from] EngineError),
    /// All its connections were in use.
    #[error("the metadata database is busy")]
    Busy(#[from] AcquireError),
    /// A newer program has written it.
    #[error(
        "the metadata database was written by a newer rowhouse (schema {found}, this one knows up to {known})"
    )]
    Newer {
        /// The schema found.
        found: u64,
        /// The newest this program knows.
        known: u64,
    },
    /// It holds what no version of this program has written.
    #[error("the metadata database is damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: &'static str,
    },
    /// There is one already.
    #[error("there is such {what} already")]
    Exists {
        /// What was to be made.
        what: &'static str,
    },
    /// There is none.
    #[error("there is no such {what}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// Another database is where this one would be.
    #[error("another database is where this one would be")]
    PlaceTaken,
    /// A text cannot be that.
    #[error("{what} must be {rule}")]
    Invalid {
        /// Which.
        what: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// The state does not allow it.
    #[error("the database is {state}")]
    State {
        /// How it stands with it.
        state: super::State,
    },
}

impl Reportable for MetadataError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Engine(source) => match source.kind() {
                // Whatever it was, it was no client's doing.
                ErrorKind::User | ErrorKind::NotFound => ErrorKind::Engine,
                kind => kind,
            },
            Self::Busy(source) => source.kind(),
            Self::Newer { .. } | Self::Damaged { .. } => ErrorKind::Engine,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Exists { .. } | Self::Invalid { .. } | Self::State { .. } => ErrorKind::User,
            Self::PlaceTaken => ErrorKind::Internal,
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::Engine(_) | Self::Newer { .. } | Self::Damaged { .. } => ErrorCode::DatabaseUnavailable,
            Self::Busy(source) => source.code(),
            Self::NotFound { .. } => ErrorCode::DatabaseNotFound,
            Self::Exists { .. } | Self::PlaceTaken => ErrorCode::NameTaken,
            Self::Invalid { .. } => ErrorCode::InvalidName,
            Self::State { .. } => ErrorCode::DatabaseUnavailable,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Engine(_) | Self::Busy(_) => {
                "try again later; if it goes on, the operator should look at the metadata database's server"
            }
            Self::Newer { .. } => "use that version",
            Self::Damaged { .. } => "the operator should restore it from a backup",
            Self::Exists { .. } | Self::PlaceTaken => "choose another name",
            Self::NotFound { .. } => "check the name",
            Self::State { .. } => "ask the operator what is to be done with it",
            Self::Invalid { .. } => return None,
        };
        Some(text.to_owned())
    }

    fn public_message(&self) -> String {
        self.to_string()
    }
}
