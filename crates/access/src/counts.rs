//! How many came in, and how many did not, by words that never grow in number.
use crate::error::AuthError;
use std::sync::atomic::{AtomicU64, Ordering};

/// By what somebody comes in. Bounded: it is a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By nothing.
    Nothing,
    /// By an API token.
    Token,
    /// By a JWT.
    Jwt,
    /// By a name and a password.
    Password,
}

/// How many came in and how many did not since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessCounts {
    /// Who came in, by what.
    pub admitted: Vec<(Kind, u64)>,
    /// Who did not, by the word for why.
    pub refused: Vec<(&'static str, u64)>,
    /// Passwords that were hashed.
    pub hashed: u64,
    /// Credentials that are remembered.
    pub remembered: usize,
    /// API tokens there are.
    pub tokens: usize,
    /// Users there are.
    pub users: usize,
    /// Keys there are.
    pub keys: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    admitted: [AtomicU64; Kind::ALL.len()],
    refused: [AtomicU64; WHYS.len()],
}

/// The words for why somebody does not come in.
const WHYS: [&str; 6] = ["missing", "invalid", "expired", "too_many_failures", "busy", "too_often"];

// === impl Kind ===

impl Kind {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Nothing, Self::Token, Self::Jwt, Self::Password];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Token => "token",
            Self::Jwt => "jwt",
            Self::Password => "password",
        }
    }
}

// === impl Counters ===

impl Counters {
    pub(crate) fn admit(&self, kind: Kind) {
        self.admitted[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refuse(&self, error: &AuthError) {
        let why = WHYS.iter().position(|why| *why == error.as_str()).expect("it has every word");
        self.refused[why].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> AccessCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        AccessCounts {
            admitted: Kind::ALL.into_iter().zip(self.admitted.iter().map(read)).collect(),
            refused: WHYS.into_iter().zip(self.refused.iter().map(read)).collect(),
            ..AccessCounts::default()
        }
    }
}
