//! Why a message is none, and where in it.
use std::fmt;

/// A message that does not follow its protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// From the outermost key inward, as in `requests[0].stmt`; empty for the message itself.
    path: String,
    at: usize,
    problem: Problem,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("the message is not UTF-8")]
    NotUtf8,
    #[error("the message ends too early")]
    Truncated,
    #[error("something follows the message's end")]
    Trailing,
    #[error("this is no protobuf")]
    NoProtobuf,
    #[error("this is no JSON")]
    NoJson,
    #[error("a text holds half of a surrogate pair, which is no character")]
    LoneSurrogate,
    #[error("nested deeper than {0}, which is the most allowed")]
    TooDeep(usize),
    #[error("more than {0}, which is the most allowed")]
    TooMany(usize),
    #[error("this must be {wanted}, not {found}")]
    Type { wanted: &'static str, found: &'static str },
    #[error("this must be {0}")]
    Wanted(&'static str),
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("this word is unknown; known are {0}")]
    Unknown(&'static str),
    #[error("{0}")]
    Rule(&'static str),
}

// === impl Malformed ===

impl Malformed {
    pub(crate) fn new(at: usize, problem: Problem) -> Self {
        Self { path: String::new(), at, problem }
    }

    /// The error as seen from outside of what is under `key`.
    pub(crate) fn under(mut self, key: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{key}{dot}{}", self.path);
        self
    }

    /// The error as seen from outside of an array.
    pub(crate) fn within(self, index: usize) -> Self {
        self.under(&format!("[{index}]"))
    }

    /// Which byte of the message it was found at.
    pub fn at(&self) -> usize {
        self.at
    }
}

impl std::error::Error for Malformed {}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{} (at byte {})", self.problem, self.at)
    }
}
