//! What went wrong, in Hrana's words: SQLite's own names where SQLite refused, the conventional ones where
//! libSQL has one, and else the server's in capitals.
use super::sqlite;
use crate::error::Fault;
use rowhouse_engine::{EngineError, Misuse};
use rowhouse_gateway::{AcquireError, ConnectError, Due, Expired};
use rowhouse_types::ErrorCode;
use rowhouse_wire::hrana::{BothKinds, Error};
use std::borrow::Cow;

/// What went wrong.
#[derive(Clone, Debug)]
pub(crate) struct Fail {
    /// The same, for who cannot read it as Hrana's.
    pub(crate) fault: Box<Fault>,
    word: Cow<'static, str>,
    extended: Option<&'static str>,
    /// Message and hint in one.
    text: String,
}

// === impl Fail ===

impl Fail {
    /// A failure that libSQL has a word for.
    pub(crate) fn named(word: &'static str, fault: Fault) -> Self {
        Self { word: Cow::Borrowed(word), ..Self::from(fault) }
    }

    /// The stream is not there any more, or never was.
    pub(crate) fn expired() -> Self {
        let message = "The stream has expired due to inactivity, was ended, or never was";
        let hint = "begin again with a new stream; a transaction that was open was rolled back";
        Self::from(Fault::new(ErrorCode::StreamExpired, message).hint(hint))
    }

    /// A transaction was rolled back by something else than the client.
    pub(crate) fn rolled_back() -> Self {
        let message = "The stream has expired: its transaction was rolled back when a statement failed or was \
                       left, nothing of it was applied";
        let hint = "begin again with a new stream";
        Self::from(Fault::new(ErrorCode::StreamExpired, message).hint(hint))
    }

    /// Whether a statement failed for what it says itself. If that ends a transaction, the statement wants it:
    /// `OR ROLLBACK`, `RAISE(ROLLBACK)`, a `ROLLBACK` before it.
    pub(super) fn is_of_the_statement(&self) -> bool {
        matches!(&*self.word, "SQLITE_CONSTRAINT" | "SQLITE_ERROR" | "SQLITE_AUTH" | "ARGS_INVALID")
    }

    /// What the stream held was given up.
    pub(crate) fn given_up(why: Expired) -> Self {
        let (after, how, option) = match why {
            Expired::Idle(after) => (after, " idle", "idle_transaction_timeout"),
            Expired::Lasting(after) => (after, "", "transaction_timeout"),
            Expired::Ended => {
                let ended = ConnectError::Acquire(AcquireError::Ended);
                return Self { word: "STREAM_EXPIRED".into(), ..Self::from(&ended) };
            }
        };
        let seconds = after.as_secs_f64();
        let message = format!(
            "The stream has expired: its transaction was rolled back after {seconds} s{how}, nothing of it was applied"
        );
        let hint =
            format!("begin again with a new stream; the operator may raise {option} (now {seconds} s)");
        Self::from(Fault::new(ErrorCode::StreamExpired, message).hint(hint))
    }

    /// A statement was interrupted at its deadline.
    pub(crate) fn timed_out(due: Due) -> Self {
        let Due { option, value, .. } = due;
        let seconds = value.as_secs_f64();
        let hint =
            format!("make the statement shorter, or ask the operator to raise {option} (now {seconds} s)");
        let message = EngineError::TimedOut.to_string();
        Self::from(Fault::new(ErrorCode::StatementTimeout, message).hint(hint))
    }

    /// The same, with one more thing to know.
    pub(crate) fn with_note(self, note: &str) -> Self {
        let hint =
            self.fault.hint.as_deref().map_or_else(|| note.to_owned(), |hint| format!("{note}; {hint}"));
        let fault = self.fault.hint(hint);
        Self { text: text(&fault), fault: Box::new(fault), ..self }
    }

    /// As it is written.
    pub(crate) fn error(&self) -> Error<'_> {
        Error { message: &self.text, code: &self.word, extended_code: self.extended }
    }
}

impl From<Fault> for Fail {
    fn from(fault: Fault) -> Self {
        let word = Cow::Owned(fault.code.as_str().to_ascii_uppercase());
        Self { text: text(&fault), fault: Box::new(fault), word, extended: None }
    }
}

impl From<&ConnectError> for Fail {
    fn from(error: &ConnectError) -> Self {
        Fault::from(error).into()
    }
}

impl From<&EngineError> for Fail {
    fn from(error: &EngineError) -> Self {
        let fault = Fault::from(error);
        match error {
            // Not SQLite's: what it is called here is what it is.
            EngineError::Statement { native: ..0, .. } => fault.into(),
            EngineError::Statement { native, .. } => {
                let (word, extended) = sqlite::names(*native);
                Self { extended: Some(extended), ..Self::named(word, fault) }
            }
            EngineError::QuotaReached { .. } => {
                Self { extended: Some("SQLITE_FULL"), ..Self::named("SQLITE_FULL", fault) }
            }
            EngineError::Misuse(Misuse::MultipleStatements) => Self::named("SQL_MANY_STATEMENTS", fault),
            EngineError::Misuse(Misuse::NullCharacter) => Self::named("SQL_PARSE_ERROR", fault),
            EngineError::Misuse(
                Misuse::ArgumentCount { .. } | Misuse::ArgumentMissing { .. } | Misuse::UnnamedPlace { .. },
            ) => Self::named("ARGS_INVALID", fault),
            EngineError::TooManyRows { .. } | EngineError::TooManyBytes { .. } => {
                Self::named("RESPONSE_TOO_LARGE", fault)
            }
            _ => fault.into(),
        }
    }
}

impl From<BothKinds> for Fail {
    fn from(both: BothKinds) -> Self {
        Self::named("ARGS_BOTH_POSITIONAL_AND_NAMED", Fault::new(ErrorCode::SqlMisuse, both.to_string()))
    }
}

fn text(fault: &Fault) -> String {
    match &fault.hint {
        Some(hint) => format!("{}: {hint}", fault.message),
        None => fault.message.clone(),
    }
}
