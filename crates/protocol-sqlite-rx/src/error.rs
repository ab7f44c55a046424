//! What this protocol's clients read for each failure: the original's classes and texts.
use rowhouse_engine::{Condition, EngineError, Misuse, SessionState};
use rowhouse_gateway::{AcquireError, ClientsFull, ConnectError, Due, Expired, OpenError};
use rowhouse_types::{ErrorCode, Reportable};
use rowhouse_wire::sqlite_rx::{Class, Fault};

/// SQLite's result code for a plain error.
const SQLITE_ERROR: i32 = 1;

/// A name that leads nowhere, whatever the reason: one text, for strangers must not learn which.
pub(crate) fn not_found(database: &str, code: ErrorCode, hint: Option<String>) -> Fault {
    Fault::router(code, format!("Database '{database}' not found")).with_hint(hint)
}

/// No session could be had.
pub(crate) fn connect(database: &str, error: &ConnectError) -> Fault {
    match error {
        ConnectError::Open(OpenError::Engine(source) | OpenError::Create(source))
        | ConnectError::Acquire(AcquireError::Connect(source)) => engine(database, source),
        ConnectError::Open(OpenError::NotFound | OpenError::CreationNotAllowed) => {
            not_found(database, error.code(), error.hint())
        }
        ConnectError::Acquire(AcquireError::TimedOut { .. }) => {
            timed_out(database, error.code(), error.hint())
        }
        error => Fault::router(error.code(), error.public_message()).with_hint(error.hint()),
    }
}

/// A statement failed, or its database could not be opened.
pub(crate) fn engine(database: &str, error: &EngineError) -> Fault {
    let (code, hint) = (error.code(), error.hint());
    let class = match error {
        EngineError::TimedOut => return timed_out(database, code, hint),
        EngineError::NoSuchDatabase | EngineError::NameTaken => return not_found(database, code, hint),
        // SQLite calls a refused function a plain error, and so does the original.
        EngineError::Statement { condition: Condition::Denied, native: SQLITE_ERROR, .. } => {
            Class::OperationalError
        }
        EngineError::Statement { condition, .. } => class_of(*condition),
        EngineError::Misuse(Misuse::NotUtf8 { .. })
        | EngineError::Storage(_)
        | EngineError::Replaced
        | EngineError::QuotaReached { .. }
        | EngineError::InUse
        | EngineError::ProcessEnded
        | EngineError::ProcessKeepsEnding { .. }
        | EngineError::NoProcess(_)
        | EngineError::Unreachable(_)
        | EngineError::OpenElsewhere => Class::OperationalError,
        EngineError::Misuse(_) => Class::ProgrammingError,
        EngineError::MayNotWrite
        | EngineError::NotADatabase
        | EngineError::BadBackup { .. }
        | EngineError::Unsupported { .. } => Class::DatabaseError,
        EngineError::TooManyRows { .. } | EngineError::TooManyBytes { .. } => Class::DataError,
        EngineError::Cancelled | EngineError::AlreadyExists | EngineError::Closed | EngineError::Lost => {
            Class::SQLiteRxError
        }
    };
    Fault::new(class, code, error.public_message()).with_hint(hint)
}

/// The peer's transaction was rolled back, and the peer has not been told yet.
pub(crate) fn transaction_expired(expired: Expired) -> Fault {
    let (after, how, option) = match expired {
        Expired::Idle(after) => (after, " idle", "idle_transaction_timeout"),
        Expired::Lasting(after) => (after, "", "transaction_timeout"),
        Expired::Ended => return connect("", &ConnectError::Acquire(AcquireError::Ended)),
    };
    let seconds = after.as_secs_f64();
    let message = format!("transaction was rolled back after {seconds} s{how}; nothing of it was applied");
    let hint = format!("begin again; the operator may raise {option} (now {seconds} s)");
    Fault::new(Class::OperationalError, ErrorCode::TransactionTimeout, message).with_hint(Some(hint))
}

/// A statement was interrupted when it, or its transaction, had taken as long as it may.
pub(crate) fn statement_timed_out(database: &str, due: Due) -> Fault {
    let (option, seconds) = (due.option, due.value.as_secs_f64());
    let hint = format!("make the statement shorter, or ask the operator to raise {option} (now {seconds} s)");
    timed_out(database, ErrorCode::StatementTimeout, Some(hint))
}

/// The database was replaced, or its process ended, and with it went what the peer held on it.
pub(crate) fn gone(database: &str, error: &EngineError, held: SessionState) -> Fault {
    let fault = engine(database, error);
    match (held, error) {
        (SessionState::Stateful, _) => with_note(fault, "the temporary tables are gone"),
        (SessionState::Transaction, EngineError::ProcessEnded) => {
            let fault =
                fault.with_hint(Some("if this was COMMIT, look first whether it was applied".to_owned()));
            with_note(fault, "the transaction is gone: begin again")
        }
        (SessionState::Clean | SessionState::Transaction, _) => fault,
    }
}

/// The request was part of a transaction that ended with its connection.
pub(crate) fn transaction_lost() -> Fault {
    let message = "the transaction of this request ended with the connection that it began on";
    let hint = "begin again; if this was COMMIT, look first whether it was applied".to_owned();
    Fault::new(Class::OperationalError, ErrorCode::TransactionLost, message).with_hint(Some(hint))
}

/// As many clients are connected as may be.
pub(crate) fn clients_full(full: &ClientsFull) -> Fault {
    Fault::router(full.code(), full.public_message()).with_hint(full.hint())
}

/// The peer holds too many transactions and temporary tables.
pub(crate) fn too_many_sessions(limit: usize) -> Fault {
    let message =
        format!("one connection may hold transactions or temporary tables on at most {limit} databases");
    let hint = "end some, or use another connection".to_owned();
    Fault::router(ErrorCode::ConnectionLimitReached, message).with_hint(Some(hint))
}

/// The error, with one more thing to know in its hint.
pub(crate) fn with_note(fault: Fault, note: &str) -> Fault {
    let hint = fault.hint.as_deref().map_or_else(|| note.to_owned(), |hint| format!("{note}; {hint}"));
    fault.with_hint(Some(hint))
}

fn timed_out(database: &str, code: ErrorCode, hint: Option<String>) -> Fault {
    Fault::router(code, format!("Timeout waiting for response from database '{database}'")).with_hint(hint)
}

/// The class that CPython's sqlite3 raises for SQLite's result codes.
fn class_of(condition: Condition) -> Class {
    match condition {
        Condition::Sql
        | Condition::Busy
        | Condition::Locked
        | Condition::ReadOnly
        | Condition::Interrupted
        | Condition::Io
        | Condition::Full
        | Condition::CannotOpen
        | Condition::Schema
        | Condition::Permission
        | Condition::Protocol
        | Condition::Abort => Class::OperationalError,
        Condition::Constraint | Condition::Mismatch => Class::IntegrityError,
        Condition::TooBig => Class::DataError,
        Condition::Denied | Condition::Corrupt | Condition::NotADatabase | Condition::Other => {
            Class::DatabaseError
        }
        Condition::ApiMisuse | Condition::Range => Class::InterfaceError,
        Condition::NoMemory => Class::MemoryError,
        Condition::Internal | Condition::NotFound => Class::InternalError,
    }
}
