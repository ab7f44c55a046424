//! Why it cannot be told which database a request is for.
use super::router::Source;
use rowhouse_types::{ErrorCode, ErrorKind, InvalidName, Reportable};

/// Why it cannot be told which database a request is for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Two parts of the request name different databases.
    #[error("{one} and {other} name different databases")]
    Conflict {
        /// The one that is read first.
        one: Source,
        /// The one that differs.
        other: Source,
    },
    /// A part of the request is there more than once and does not say the same.
    #[error("{part} is there more than once and not the same")]
    Differing {
        /// Which.
        part: Source,
    },
    /// The token is for another database than the request.
    #[error("the token is for another database than {part} names")]
    Forbidden {
        /// What names a database beside the token.
        part: Source,
    },
    /// What is said is no name of a database.
    #[error("{part} does not name a database: {error}")]
    Name {
        /// What says it.
        part: Source,
        /// What is wrong with it.
        error: InvalidName,
    },
    /// The host is not one.
    #[error("the host that the request was sent to is not valid")]
    Host,
    /// Nothing in the request names a database, and there has to be a name.
    #[error("the request names no database")]
    Unnamed,
}

// === impl RouteError ===

impl RouteError {
    /// What it means that these two name different databases.
    pub(super) fn between(one: Source, other: Source) -> Self {
        match (one, other) {
            (Source::Claim, part) | (part, Source::Claim) => Self::Forbidden { part },
            (one, other) => Self::Conflict { one, other },
        }
    }
}

impl Reportable for RouteError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::Conflict { .. } | Self::Differing { .. } => ErrorCode::RouteConflict,
            Self::Forbidden { .. } => ErrorCode::Forbidden,
            Self::Name { .. } | Self::Unnamed => ErrorCode::InvalidName,
            Self::Host => ErrorCode::MalformedRequest,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Conflict { .. } | Self::Differing { .. } => {
                "name the database once, or the same everywhere"
            }
            Self::Forbidden { .. } => {
                "ask for the database that the token is for, or send a token for this one"
            }
            Self::Name { .. } => "a name is 1 to 64 of A-Z a-z 0-9 _ -",
            Self::Host => "send a host such as name.example.com, with a port if need be",
            Self::Unnamed => "ask for /db/NAME/..., or name it as this server is configured to read it",
        };
        Some(hint.to_owned())
    }
}
