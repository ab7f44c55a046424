//! From SQLite's result codes to the port's conditions.
use crate::control::{Control, Stop};
use rowhouse_engine::{Condition, EngineError};
use rowhouse_sync::Refused;
use rusqlite::ffi;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// What SQLite says of a statement it may not run, whatever the reason.
const NOT_AUTHORIZED: &str = "not authorized";

/// As SQLite says it when a lock is held by somebody else.
pub(crate) fn busy() -> EngineError {
    let message = "database is locked".to_owned();
    EngineError::Statement { condition: Condition::Busy, message, native: ffi::SQLITE_BUSY }
}

/// The turn to write was refused.
pub(crate) fn no_turn(refused: Refused) -> EngineError {
    match refused {
        Refused::QueueFull => too_many_waiting(),
        Refused::Closed => EngineError::Closed,
    }
}

/// More work waits for a thread than may.
pub(crate) fn too_many_waiting() -> EngineError {
    let message = "too many statements wait already".to_owned();
    EngineError::Statement { condition: Condition::Busy, message, native: ffi::SQLITE_BUSY }
}

/// More statements wait for somebody to read their rows than may.
pub(crate) fn too_many_readers() -> EngineError {
    let message = "too many statements wait for their rows to be read already; try again, and read them as \
                   they come"
        .to_owned();
    EngineError::Statement { condition: Condition::Busy, message, native: ffi::SQLITE_BUSY }
}

/// Nobody has read the rows of a statement for `patience`.
pub(crate) fn stalled(patience: Duration) -> EngineError {
    let message = format!("interrupted: its rows were not read for {patience:?}; read them as they come");
    EngineError::Statement { condition: Condition::Interrupted, message, native: ffi::SQLITE_INTERRUPT }
}

/// A statement wrote more than it may.
pub(crate) fn overspent(most: u64) -> EngineError {
    let message = format!("statement writes more than {most} bytes to disk, temporary files included");
    EngineError::Statement { condition: Condition::Full, message, native: ffi::SQLITE_FULL }
}

/// Storage failed outside of SQLite.
pub(crate) fn storage(error: impl Into<io::Error>) -> EngineError {
    EngineError::Storage(Arc::new(error.into()))
}

/// Tells an error of SQLite from an interruption of ours.
pub(crate) fn interpret(error: &rusqlite::Error, control: &Control) -> EngineError {
    let code = error.sqlite_extended_error_code().map(|code| code & 0xff);
    match (code, control.stop()) {
        (Some(ffi::SQLITE_INTERRUPT), Some(stop)) => stop.into(),
        // The busy handler gave up because of it.
        (Some(ffi::SQLITE_BUSY), Some(Stop::Deadline)) => EngineError::TimedOut,
        (Some(ffi::SQLITE_BUSY), Some(Stop::Cancelled)) => EngineError::Cancelled,
        _ => translate(error),
    }
}

/// Translates an error of SQLite.
pub(crate) fn translate(error: &rusqlite::Error) -> EngineError {
    let (native, message) = match error {
        rusqlite::Error::SqliteFailure(code, message) => (code.extended_code, message.clone()),
        rusqlite::Error::SqlInputError { error, msg, .. } => (error.extended_code, Some(msg.clone())),
        other => {
            tracing::debug!(error = %other, "unexpected error of the SQLite binding");
            return EngineError::Lost;
        }
    };
    // A refused function is the one refusal that does not come with its own code. The native code
    // stays SQLite's: a protocol that shows SQLite's classes can still tell.
    let refused = native == ffi::SQLITE_ERROR
        && message.as_deref().is_some_and(|message| message.starts_with("not authorized to use function"));
    let condition = if refused { Condition::Denied } else { condition(native) };
    let message = match condition {
        Condition::Denied => NOT_AUTHORIZED.to_owned(),
        // The binding adds the path.
        Condition::CannotOpen => "unable to open database file".to_owned(),
        _ => message.unwrap_or_else(|| ffi::code_to_str(native).to_owned()),
    };
    EngineError::Statement { condition, message, native }
}

fn condition(native: i32) -> Condition {
    match native & 0xff {
        ffi::SQLITE_ERROR => Condition::Sql,
        ffi::SQLITE_CONSTRAINT => Condition::Constraint,
        ffi::SQLITE_MISMATCH => Condition::Mismatch,
        ffi::SQLITE_TOOBIG => Condition::TooBig,
        ffi::SQLITE_AUTH => Condition::Denied,
        ffi::SQLITE_BUSY => Condition::Busy,
        ffi::SQLITE_LOCKED => Condition::Locked,
        ffi::SQLITE_READONLY => Condition::ReadOnly,
        ffi::SQLITE_FULL => Condition::Full,
        ffi::SQLITE_IOERR => Condition::Io,
        ffi::SQLITE_CANTOPEN => Condition::CannotOpen,
        ffi::SQLITE_CORRUPT => Condition::Corrupt,
        ffi::SQLITE_NOTADB => Condition::NotADatabase,
        ffi::SQLITE_NOMEM => Condition::NoMemory,
        ffi::SQLITE_SCHEMA => Condition::Schema,
        ffi::SQLITE_ABORT => Condition::Abort,
        ffi::SQLITE_INTERRUPT => Condition::Interrupted,
        ffi::SQLITE_PERM => Condition::Permission,
        ffi::SQLITE_PROTOCOL => Condition::Protocol,
        ffi::SQLITE_MISUSE => Condition::ApiMisuse,
        ffi::SQLITE_RANGE => Condition::Range,
        ffi::SQLITE_NOTFOUND => Condition::NotFound,
        ffi::SQLITE_INTERNAL => Condition::Internal,
        _ => Condition::Other,
    }
}
