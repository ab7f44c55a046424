//! Why somebody is not let in.
use crate::identity::TooOften;
use rowhouse_types::{ErrorCode, ErrorKind, Reportable};
use std::num::NonZeroU32;
use std::time::Duration;

/// Why somebody is not let in. What a stranger reads tells nothing of what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No credentials were given, and some are needed.
    #[error("credentials are required")]
    Missing,
    /// Those given are none of those that are known.
    #[error("the credentials are not valid")]
    Invalid,
    /// They were valid once.
    #[error("the credentials have expired")]
    Expired,
    /// Too many that were not valid came from there, or for this user.
    #[error("too many credentials that are not valid were tried")]
    TooManyFailures {
        /// When it is worth to try again.
        retry_after: Duration,
    },
    /// As many passwords as may be are being checked.
    #[error("as many as {limit} passwords are being checked already")]
    Busy {
        /// How many that is.
        limit: usize,
    },
    /// Asked more often than these credentials are good for.
    #[error("these credentials are good for {rate} requests a second, and more came")]
    TooOften {
        /// How many a second.
        rate: NonZeroU32,
        /// When it is worth to ask again.
        retry_after: Duration,
    },
}

impl AuthError {
    /// The word for it. Bounded: it is a metric label.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::Expired => "expired",
            Self::TooManyFailures { .. } => "too_many_failures",
            Self::Busy { .. } => "busy",
            Self::TooOften { .. } => "too_often",
        }
    }

    /// When it is worth to ask again, if that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyFailures { retry_after } | Self::TooOften { retry_after, .. } => Some(*retry_after),
            Self::Busy { .. } => Some(Duration::from_secs(1)),
            Self::Missing | Self::Invalid | Self::Expired => None,
        }
    }
}

impl From<TooOften> for AuthError {
    fn from(TooOften { rate, retry_after }: TooOften) -> Self {
        Self::TooOften { rate, retry_after }
    }
}

impl Reportable for AuthError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing | Self::Invalid | Self::Expired => ErrorKind::User,
            Self::TooManyFailures { .. } | Self::Busy { .. } | Self::TooOften { .. } => ErrorKind::Overloaded,
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::Missing | Self::Invalid | Self::Expired => ErrorCode::Unauthenticated,
            Self::TooManyFailures { .. } | Self::TooOften { .. } => ErrorCode::RateLimited,
            Self::Busy { .. } => ErrorCode::QueueFull,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing => {
                "send `Authorization: Bearer TOKEN`, or a user's name and password as Basic credentials"
                    .into()
            }
            Self::Invalid => "check the token, or the user's name and password".into(),
            Self::Expired => "ask the operator for new ones".into(),
            Self::TooManyFailures { retry_after } | Self::TooOften { retry_after, .. } => {
                format!("try again in {} s", retry_after.as_secs_f64().ceil())
            }
            Self::Busy { .. } => "try again later".into(),
        })
    }

    fn public_message(&self) -> String {
        self.to_string()
    }
}
