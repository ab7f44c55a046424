//! Errors that know whose fault they are and what of them a stranger may read.
use std::fmt;

/// Who an error is attributed to, and so whom it is shown to. Bounded: it is a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The caller's doing: bad SQL, bad name, bad credentials.
    User,
    /// The named database does not exist, or is not visible to the caller.
    NotFound,
    /// A limit of ours was reached; retrying later may succeed.
    Overloaded,
    /// The engine behind us failed or is unreachable.
    Engine,
    /// The peer went away.
    Disconnect,
    /// We are going away.
    ShuttingDown,
    /// Our bug.
    Internal,
}

macro_rules! error_codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $text:literal),+ $(,)?) => {
        /// A stable word for one kind of failure, the same on every protocol.
        ///
        /// Programs match on it; it never changes its meaning and is never taken away.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ $variant),+
        }

        impl ErrorCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// What it means, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+)),+ }
            }
        }
    };
}

error_codes! {
    /// No credentials were given, or they are not valid.
    Unauthenticated = "unauthenticated",
    /// What was given does not permit this.
    Forbidden = "forbidden",
    /// The parts of the request name different databases.
    RouteConflict = "route_conflict",
    /// The name is empty, too long, reserved, or has a character outside `A-Za-z0-9_-`.
    InvalidName = "invalid_name",
    /// There is no such database, or databases are not opened by name on this server.
    DatabaseNotFound = "database_not_found",
    /// The database does not exist, and this server or this client may not create it.
    CreationNotAllowed = "creation_not_allowed",
    /// Another database has the same name but for the case of letters.
    NameTaken = "name_taken",
    /// This client creates databases faster than it may.
    CreationRateLimited = "creation_rate_limited",
    /// As many databases as may be open are open and in use.
    DatabaseLimitReached = "database_limit_reached",
    /// As many callers as may wait for something wait already.
    QueueFull = "queue_full",
    /// Every connection to this database was in use until the deadline.
    ConnectionLimitReached = "connection_limit_reached",
    /// Every connection that the server of this database can take was in use until the deadline.
    ServerConnectionLimitReached = "server_connection_limit_reached",
    /// This database is asked for, or these credentials are used, more often than may be.
    RateLimited = "rate_limited",
    /// The database is paused, and was not resumed in time.
    DatabasePaused = "database_paused",
    /// The operator has suspended the database: it is served again when that is undone.
    DatabaseSuspended = "database_suspended",
    /// The database is not served because its schema could not be brought up to date.
    DatabaseQuarantined = "database_quarantined",
    /// The session was ended by the operator, and what it had not committed is gone.
    SessionEnded = "session_ended",
    /// The database is in the server's configuration, which is where it is changed.
    DatabaseConfigured = "database_configured",
    /// The limit cannot be that, or not now.
    LimitRefused = "limit_refused",
    /// As many clients as may be connected are connected.
    ClientLimitReached = "client_limit_reached",
    /// The statement was interrupted at its deadline and did not apply.
    StatementTimeout = "statement_timeout",
    /// The transaction was idle too long and was rolled back.
    TransactionTimeout = "transaction_timeout",
    /// The transaction ended with the connection that it began on.
    TransactionLost = "transaction_lost",
    /// The stream was idle too long, or is not known; its transaction was rolled back.
    StreamExpired = "stream_expired",
    /// The statement was interrupted because its client left, and did not apply.
    Cancelled = "cancelled",
    /// The result has more rows or bytes than allowed.
    ResultTooLarge = "result_too_large",
    /// The request is longer, deeper or inflates to more than allowed.
    RequestTooLarge = "request_too_large",
    /// The request does not follow the protocol.
    MalformedRequest = "malformed_request",
    /// The SQL is wrong, or refers to what is not there.
    SqlError = "sql_error",
    /// The statement and its arguments do not fit, or the call is misused.
    SqlMisuse = "sql_misuse",
    /// A constraint does not hold, or a value has the wrong type.
    ConstraintViolation = "constraint_violation",
    /// The statement does what this server does not permit.
    NotAuthorized = "not_authorized",
    /// A value or the SQL text is longer than allowed.
    ValueTooLarge = "value_too_large",
    /// Somebody else holds the database's lock.
    DatabaseBusy = "database_busy",
    /// The database can be read but not written.
    ReadOnly = "read_only",
    /// The disk, or the database's quota, is full.
    DiskFull = "disk_full",
    /// The database's file is damaged or is not a database.
    DatabaseCorrupt = "database_corrupt",
    /// The database could not be opened or read.
    DatabaseUnavailable = "database_unavailable",
    /// The database's schema could not be brought to the newest version, and it is not served.
    MigrationFailed = "migration_failed",
    /// Memory ran out for this statement.
    OutOfMemory = "out_of_memory",
    /// The server is shutting down.
    ShuttingDown = "shutting_down",
    /// A fault of the server itself.
    Internal = "internal",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error that knows its kind, its code, and what of it a stranger may read.
pub trait Reportable: std::error::Error {
    /// The kind, for metrics, status codes and SQLSTATEs.
    fn kind(&self) -> ErrorKind;

    /// The stable code.
    fn code(&self) -> ErrorCode;

    /// What to do next: which limit it was, its value, how to change it.
    fn hint(&self) -> Option<String> {
        None
    }

    /// Whether the same request may succeed if simply sent again.
    fn is_retryable(&self) -> bool {
        matches!(self.kind(), ErrorKind::Overloaded | ErrorKind::ShuttingDown)
    }

    /// The text for the peer. The default hides everything that is not the peer's doing.
    fn public_message(&self) -> String {
        match self.kind() {
            ErrorKind::User | ErrorKind::NotFound | ErrorKind::Overloaded => self.to_string(),
            ErrorKind::Engine => "the database failed".to_owned(),
            ErrorKind::Disconnect => "the client left".to_owned(),
            ErrorKind::ShuttingDown => "the server is shutting down".to_owned(),
            ErrorKind::Internal => "internal error".to_owned(),
        }
    }
}
