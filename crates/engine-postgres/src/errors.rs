//! What a server says went wrong, in terms of the port.
//!
//! What concerns a statement is told as the server tells it. What concerns the server, its files or others
//! is told in general terms, and to operators in full.
use crate::wire::LoginError;
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::ErrorResponseBody;
use rowhouse_engine::{Condition, EngineError, Misuse, native};
use std::io;
use std::sync::Arc;

/// A failure of the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The five characters that say what it is.
    pub(crate) sqlstate: String,
    /// The server's own words.
    pub(crate) message: String,
}

// === impl Failure ===

impl Failure {
    pub(crate) fn read(body: &ErrorResponseBody) -> io::Result<Self> {
        let (mut sqlstate, mut message) = (String::new(), String::new());
        let mut fields = body.fields();
        while let Some(field) = fields.next()? {
            let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                b'C' => sqlstate = value,
                b'M' => message = value,
                _ => {}
            }
        }
        Ok(Self { sqlstate, message })
    }

    pub(crate) fn is(&self, sqlstate: &str) -> bool {
        self.sqlstate == sqlstate
    }

    /// What it is for who has run a statement.
    pub(crate) fn into_error(self) -> EngineError {
        let Self { sqlstate, message } = self;
        match sqlstate.as_str() {
            "42601" if message.contains("multiple commands") => return Misuse::MultipleStatements.into(),
            "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => return EngineError::Lost,
            _ => {}
        }
        let condition = condition(&sqlstate);
        let message = if is_of_statement(&sqlstate) {
            message
        } else {
            tracing::warn!(%sqlstate, %message, "a server failed");
            general(condition).to_owned()
        };
        EngineError::Statement { condition, message, native: native(&sqlstate) }
    }
}

/// Whether what the server says is about the statement and nothing else.
fn is_of_statement(sqlstate: &str) -> bool {
    !matches!(sqlstate.get(..2), None | Some("08" | "28" | "3D" | "53" | "58" | "57" | "F0" | "XX"))
}

fn general(condition: Condition) -> &'static str {
    match condition {
        Condition::Full => "database or disk is full",
        Condition::NoMemory => "out of memory",
        Condition::Corrupt => "the database is damaged",
        Condition::Interrupted => "statement was interrupted",
        Condition::Busy => "the server has no room for it",
        _ => "the server failed at it",
    }
}

fn condition(sqlstate: &str) -> Condition {
    match sqlstate {
        "42501" => Condition::Denied,
        "25006" => Condition::ReadOnly,
        "55P03" => Condition::Busy,
        "40001" | "40P01" => Condition::Locked,
        "53100" => Condition::Full,
        "53200" => Condition::NoMemory,
        "57014" => Condition::Interrupted,
        "22001" | "54000" => Condition::TooBig,
        "XX001" | "XX002" => Condition::Corrupt,
        "42804" | "22P02" | "22P03" => Condition::Mismatch,
        "58030" => Condition::Io,
        _ => match sqlstate.get(..2).unwrap_or("") {
            "23" => Condition::Constraint,
            "22" | "42" | "26" | "34" | "2F" | "38" | "39" | "P0" | "0A" | "21" => Condition::Sql,
            "25" | "2D" | "3B" => Condition::Abort,
            "53" => Condition::Busy,
            "54" => Condition::TooBig,
            "58" => Condition::Io,
            "XX" => Condition::Internal,
            _ => Condition::Other,
        },
    }
}

/// A connection that has failed.
pub(crate) fn broken(error: &io::Error) -> EngineError {
    tracing::debug!(%error, "a connection to a server was lost");
    EngineError::Lost
}

/// A login that has failed, for who wanted to open or use a database.
pub(crate) fn unreachable(error: LoginError) -> EngineError {
    match error {
        LoginError::Refused { sqlstate, message } => match sqlstate.as_str() {
            "3D000" => EngineError::NoSuchDatabase,
            "53300" | "55000" | "57P03" => {
                let condition = Condition::Busy;
                tracing::warn!(%sqlstate, %message, "a server takes no connection");
                let message = "the server takes no more connections".to_owned();
                EngineError::Statement { condition, message, native: native(&sqlstate) }
            }
            _ => {
                tracing::warn!(%sqlstate, %message, "a server refuses a login");
                EngineError::Unreachable(Arc::new(io::ErrorKind::PermissionDenied.into()))
            }
        },
        LoginError::Unreachable(error) => {
            tracing::warn!(%error, "a server cannot be reached");
            EngineError::Unreachable(Arc::new(error))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_itself_is_not_repeated() {
        let failure = |sqlstate: &str| Failure {
            sqlstate: sqlstate.to_owned(),
            message: "could not open file \"base/1/2\" of mad_results_victim".to_owned(),
        };
        for code in ["58030", "53100", "XX001", "3D000", "28000"] {
            let error = failure(code).into_error();
            assert!(!error.to_string().contains("base/1/2"), "{code}: {error}");
        }
        assert!(failure("42P01").into_error().to_string().contains("base/1/2"));
    }
}
