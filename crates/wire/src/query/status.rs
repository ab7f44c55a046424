//! What codes are in HTTP's terms.
use rowhouse_types::ErrorCode;

/// The status of an answer that says so, the same wherever HTTP is spoken.
pub fn status(code: ErrorCode) -> u16 {
    use ErrorCode as Code;
    match code {
        Code::Unauthenticated => 401,
        Code::Forbidden | Code::NotAuthorized | Code::DatabaseSuspended => 403,
        Code::InvalidName | Code::DatabaseNotFound | Code::CreationNotAllowed | Code::NameTaken => 404,
        Code::CreationRateLimited | Code::RateLimited => 429,
        Code::DatabaseLimitReached
        | Code::QueueFull
        | Code::ConnectionLimitReached
        | Code::ServerConnectionLimitReached
        | Code::DatabasePaused
        | Code::DatabaseQuarantined
        | Code::ClientLimitReached
        | Code::DatabaseBusy
        | Code::DatabaseUnavailable
        | Code::MigrationFailed
        | Code::OutOfMemory
        | Code::SessionEnded
        | Code::ShuttingDown => 503,
        Code::DatabaseConfigured | Code::LimitRefused => 409,
        Code::StatementTimeout => 408,
        Code::RequestTooLarge => 413,
        Code::DiskFull => 507,
        Code::DatabaseCorrupt | Code::Internal => 500,
        // What is wrong with the request, its SQL, or the order in which they came.
        _ => 400,
    }
}
