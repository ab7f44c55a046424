//! Why an engine could not do it, in terms every protocol can translate.
use crate::port::THAW;
use rowhouse_types::{ErrorCode, ErrorKind, Reportable};
use std::sync::Arc;
use std::time::Duration;

/// Why an engine could not do it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine refused the statement, or failed at it.
    #[error("{message}")]
    Statement {
        /// Which kind of failure.
        condition: Condition,
        /// The engine's own message; it holds no path.
        message: String,
        /// The engine's own numeric code: SQLite's extended result code, or an SQLSTATE as [`native`] packs it.
        native: i32,
    },
    /// The call does not fit the statement.
    #[error(transparent)]
    Misuse(#[from] Misuse),
    /// The deadline came first. The request was undone.
    #[error("statement was interrupted at its deadline")]
    TimedOut,
    /// The reader of the result left. The request was undone.
    #[error("statement was interrupted because its client left")]
    Cancelled,
    /// The result has more rows than allowed.
    #[error("result has more than {limit} rows")]
    TooManyRows {
        /// The most rows allowed.
        limit: u64,
    },
    /// The result has more bytes than allowed.
    #[error("result has more than {limit} bytes")]
    TooManyBytes {
        /// The most bytes allowed.
        limit: u64,
    },
    /// The database takes as many bytes as it may, or would.
    #[error("database or disk is full")]
    QuotaReached {
        /// The most bytes it may take.
        limit: u64,
    },
    /// The policy of the request lets it only read.
    #[error("not authorized to write")]
    MayNotWrite,
    /// There is no such database.
    #[error("database does not exist")]
    NoSuchDatabase,
    /// There is such a database already.
    #[error("database exists already")]
    AlreadyExists,
    /// Another database has this name but for the case of letters.
    #[error("another database has this name but for the case of letters")]
    NameTaken,
    /// What is at the place is no database: a directory, a link, another kind of file.
    #[error("there is something else where the database should be")]
    NotADatabase,
    /// Somebody has the database open, and what was asked for needs it alone.
    #[error("database is in use")]
    InUse,
    /// What was to be restored is no sound backup.
    #[error("not a sound backup: {reason}")]
    BadBackup {
        /// What is wrong with it.
        reason: String,
    },
    /// The database is closed; the connection is of no more use.
    #[error("database is closed")]
    Closed,
    /// What was opened is no longer what is at the place: it was replaced, renamed or removed.
    #[error("the database was replaced or removed while it was open")]
    Replaced,
    /// The same storage is open under another name.
    #[error("the database is still open under another name")]
    OpenElsewhere,
    /// The process that ran the database ended. What was under way may have taken effect.
    #[error("the database's process ended")]
    ProcessEnded,
    /// The process that runs the database ended so often lately that it is not started yet.
    #[error("the database's process ended {times} times within a minute and is started again in {} s", .again_in.as_secs_f64())]
    ProcessKeepsEnding {
        /// How often.
        times: u32,
        /// When it is started again.
        again_in: Duration,
    },
    /// A process for the database cannot be started, or does not answer.
    #[error("no process for the database")]
    NoProcess(#[source] Arc<std::io::Error>),
    /// The server that has the database does not answer, or lets nobody in.
    #[error("the database's server cannot be reached")]
    Unreachable(#[source] Arc<std::io::Error>),
    /// This kind of database cannot do it.
    #[error("{what} is not possible with this kind of database")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
    },
    /// The engine's storage failed outside of any statement.
    #[error("database storage failed")]
    Storage(#[source] Arc<std::io::Error>),
    /// The engine broke its own rules; the connection is of no more use.
    #[error("connection was lost")]
    Lost,
}

/// What kind of failure a statement met with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the field's own and say it")]
pub enum Condition {
    Sql,
    Constraint,
    Mismatch,
    TooBig,
    Denied,
    Busy,
    Locked,
    ReadOnly,
    Full,
    Io,
    CannotOpen,
    Corrupt,
    NotADatabase,
    NoMemory,
    Schema,
    Abort,
    Interrupted,
    Permission,
    Protocol,
    ApiMisuse,
    Range,
    NotFound,
    Internal,
    Other,
}

/// How a call does not fit the statement it is made with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// There is more than one statement.
    #[error("You can only execute one statement at a time.")]
    MultipleStatements,
    /// There are more or fewer arguments than the statement has places.
    #[error(
        "Incorrect number of bindings supplied. The current statement uses {expected}, and there are {supplied} supplied."
    )]
    ArgumentCount {
        /// Places in the statement.
        expected: usize,
        /// Arguments given.
        supplied: usize,
    },
    /// Arguments are given by name and one is missing.
    #[error("You did not supply a value for binding parameter :{name}.")]
    ArgumentMissing {
        /// The name, without its sigil.
        name: String,
    },
    /// Arguments are given by name and the place at `position` (from 1) has none.
    #[error("Binding {position} has no name, but you supplied a dictionary (which has only names).")]
    UnnamedPlace {
        /// The place, from 1.
        position: usize,
    },
    /// The text has a NUL character.
    #[error("the query contains a null character")]
    NullCharacter,
    /// A statement that does not change data cannot be repeated.
    #[error("executemany() can only execute DML statements.")]
    NotDataChanging,
    /// A text value is not UTF-8.
    #[error("Could not decode to UTF-8 column '{column}' with text '{text}'")]
    NotUtf8 {
        /// The column's name.
        column: String,
        /// The text, with what is not UTF-8 replaced.
        text: String,
    },
}

/// What to do about a full disk or quota.
const FULL: &str = "free some room, or ask the operator to raise the quota";

/// What to do about what cannot be written.
const READ_ONLY: &str = "ask the operator to make the database and the data directory writable";

/// What to do about what cannot be opened or read.
const UNAVAILABLE: &str = "ask the operator to look at the disk and at the data directory's permissions";

/// Letters and digits of an SQLSTATE.
const SQLSTATE_RADIX: u32 = 36;

/// Packs the five characters of an SQLSTATE into the native code of an error: a negative number, which no code of
/// SQLite's is. [`EngineError::sqlstate`] unpacks it.
pub fn native(sqlstate: &str) -> i32 {
    let digits = sqlstate.chars().take(5).map(|c| c.to_digit(SQLSTATE_RADIX).unwrap_or(0));
    let packed = digits.fold(0, |packed, digit| packed * SQLSTATE_RADIX + digit);
    -i32::try_from(packed).expect("five digits of base 36 are fewer") - 1
}

// === impl EngineError ===

impl EngineError {
    /// The SQLSTATE of a failed statement, where the engine has such codes.
    pub fn sqlstate(&self) -> Option<String> {
        let Self::Statement { native: native @ ..0, .. } = self else { return None };
        let mut packed = (native + 1).unsigned_abs();
        let mut characters = ['0'; 5];
        for character in characters.iter_mut().rev() {
            let digit = char::from_digit(packed % SQLSTATE_RADIX, SQLSTATE_RADIX);
            *character = digit.expect("below the radix").to_ascii_uppercase();
            packed /= SQLSTATE_RADIX;
        }
        Some(characters.iter().collect())
    }
}

impl Reportable for EngineError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Statement { condition, .. } => condition.kind(),
            Self::Misuse(_)
            | Self::TooManyRows { .. }
            | Self::TooManyBytes { .. }
            | Self::MayNotWrite
            | Self::AlreadyExists
            | Self::NameTaken
            | Self::BadBackup { .. }
            | Self::Unsupported { .. } => ErrorKind::User,
            Self::TimedOut
            | Self::QuotaReached { .. }
            | Self::InUse
            | Self::Replaced
            | Self::OpenElsewhere
            | Self::ProcessEnded
            | Self::ProcessKeepsEnding { .. }
            | Self::Unreachable(_) => ErrorKind::Overloaded,
            Self::Cancelled => ErrorKind::Disconnect,
            Self::NoSuchDatabase => ErrorKind::NotFound,
            Self::NotADatabase | Self::Storage(_) | Self::NoProcess(_) => ErrorKind::Engine,
            Self::Closed => ErrorKind::ShuttingDown,
            Self::Lost => ErrorKind::Internal,
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::Statement { condition, .. } => condition.code(),
            Self::Misuse(_) => ErrorCode::SqlMisuse,
            Self::TimedOut => ErrorCode::StatementTimeout,
            Self::Cancelled => ErrorCode::Cancelled,
            Self::TooManyRows { .. } | Self::TooManyBytes { .. } => ErrorCode::ResultTooLarge,
            Self::QuotaReached { .. } => ErrorCode::DiskFull,
            Self::MayNotWrite => ErrorCode::Forbidden,
            Self::NoSuchDatabase => ErrorCode::DatabaseNotFound,
            Self::AlreadyExists | Self::NameTaken => ErrorCode::NameTaken,
            Self::NotADatabase | Self::BadBackup { .. } => ErrorCode::DatabaseCorrupt,
            Self::InUse => ErrorCode::DatabaseBusy,
            Self::Unsupported { .. } => ErrorCode::NotAuthorized,
            Self::Storage(source) => storage_code(source),
            Self::Replaced
            | Self::OpenElsewhere
            | Self::ProcessEnded
            | Self::ProcessKeepsEnding { .. }
            | Self::NoProcess(_)
            | Self::Unreachable(_) => ErrorCode::DatabaseUnavailable,
            Self::Closed => ErrorCode::ShuttingDown,
            Self::Lost => ErrorCode::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::TooManyRows { .. } => "fetch in pages, or ask the operator to raise max_result_rows",
            Self::TooManyBytes { .. } => "fetch in pages, or ask the operator to raise max_result_bytes",
            Self::TimedOut => "make the statement shorter, or ask the operator to raise statement_timeout",
            Self::QuotaReached { limit } => return Some(quota_hint(*limit)),
            Self::MayNotWrite => "use credentials that have the scope write",
            Self::NameTaken => "use the other database's name exactly, or choose another one",
            Self::NotADatabase => "ask the operator to look at what is in the data directory",
            Self::Replaced => "send it again: the next request sees what is there now",
            Self::ProcessEnded => {
                "send it again, and the process is started again; if it was a change, look first whether it was applied"
            }
            Self::ProcessKeepsEnding { .. } => "try again then; the operator finds why in the server's log",
            Self::NoProcess(_) => "ask the operator to look at the server's log",
            Self::Unreachable(_) => "try again; the operator finds why in the server's log",
            Self::OpenElsewhere => "its file was renamed while it was open; try again within a minute",
            Self::Statement { condition, .. } => return condition.hint().map(str::to_owned),
            Self::Storage(source) => match storage_code(source) {
                ErrorCode::DiskFull => FULL,
                ErrorCode::ReadOnly => READ_ONLY,
                _ => UNAVAILABLE,
            },
            _ => return None,
        };
        Some(text.to_owned())
    }

    fn public_message(&self) -> String {
        match self {
            // Written by this project, or by an engine that was told no path.
            Self::Statement { .. } | Self::Misuse(_) | Self::NotADatabase => self.to_string(),
            Self::Storage(source) => match source.kind() {
                std::io::ErrorKind::StorageFull => "database or disk is full".to_owned(),
                std::io::ErrorKind::ReadOnlyFilesystem => "attempt to write a readonly database".to_owned(),
                _ => "unable to open database file".to_owned(),
            },
            Self::NoProcess(_) => self.to_string(),
            _ => match self.kind() {
                ErrorKind::Internal => "internal error".to_owned(),
                _ => self.to_string(),
            },
        }
    }
}

/// What to do about a quota.
fn quota_hint(limit: u64) -> String {
    let thaw = limit / 100 * THAW;
    format!(
        "max_database_bytes is {limit}: delete rows or drop tables, or ask the operator to raise it; writing goes on when less than {thaw} bytes are in use"
    )
}

fn storage_code(source: &std::io::Error) -> ErrorCode {
    match source.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorCode::DiskFull,
        std::io::ErrorKind::ReadOnlyFilesystem => ErrorCode::ReadOnly,
        _ => ErrorCode::DatabaseUnavailable,
    }
}

// === impl Condition ===

impl Condition {
    fn kind(self) -> ErrorKind {
        match self {
            Self::Sql
            | Self::Constraint
            | Self::Mismatch
            | Self::TooBig
            | Self::Denied
            | Self::ApiMisuse
            | Self::Range
            | Self::Schema
            | Self::Abort
            | Self::Locked
            | Self::Interrupted => ErrorKind::User,
            Self::Busy | Self::NoMemory | Self::Full | Self::Protocol => ErrorKind::Overloaded,
            Self::ReadOnly
            | Self::Io
            | Self::CannotOpen
            | Self::Corrupt
            | Self::NotADatabase
            | Self::Permission
            | Self::NotFound
            | Self::Other => ErrorKind::Engine,
            Self::Internal => ErrorKind::Internal,
        }
    }

    fn code(self) -> ErrorCode {
        match self {
            Self::Sql | Self::Schema | Self::Abort | Self::Interrupted | Self::NotFound | Self::Other => {
                ErrorCode::SqlError
            }
            Self::Constraint | Self::Mismatch => ErrorCode::ConstraintViolation,
            Self::TooBig => ErrorCode::ValueTooLarge,
            Self::Denied => ErrorCode::NotAuthorized,
            Self::Busy | Self::Locked | Self::Protocol => ErrorCode::DatabaseBusy,
            Self::ReadOnly => ErrorCode::ReadOnly,
            Self::Full => ErrorCode::DiskFull,
            Self::Io | Self::CannotOpen | Self::Permission => ErrorCode::DatabaseUnavailable,
            Self::Corrupt | Self::NotADatabase => ErrorCode::DatabaseCorrupt,
            Self::NoMemory => ErrorCode::OutOfMemory,
            Self::ApiMisuse | Self::Range => ErrorCode::SqlMisuse,
            Self::Internal => ErrorCode::Internal,
        }
    }

    fn hint(self) -> Option<&'static str> {
        Some(match self {
            Self::Denied => "this server's SQL policy does not permit it (see sql_policy)",
            Self::Busy => "another transaction holds the lock; try again",
            Self::Full => FULL,
            Self::Corrupt | Self::NotADatabase => "ask the operator to restore this database from a backup",
            Self::ReadOnly => READ_ONLY,
            Self::Io | Self::CannotOpen | Self::Permission => UNAVAILABLE,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sqlstate_survives_as_a_number() {
        let error =
            |native| EngineError::Statement { condition: Condition::Other, message: String::new(), native };
        for code in ["00000", "23505", "42P04", "XX000", "ZZZZZ"] {
            assert_eq!(error(native(code)).sqlstate().as_deref(), Some(code));
        }
        assert_eq!(error(2067).sqlstate(), None);
        assert_eq!(EngineError::Lost.sqlstate(), None);
    }
}
