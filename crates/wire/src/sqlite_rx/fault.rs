//! Errors as this protocol's clients read them.
use rowhouse_types::ErrorCode;

/// An error in a reply: a Python class, its text, and what rowhouse adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The Python class.
    pub class: Class,
    /// The text, without the class's name in front.
    pub message: String,
    /// The stable code.
    pub code: ErrorCode,
    /// What to do next.
    pub hint: Option<String>,
}

/// The Python classes that errors are told as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the Python class of the same name")]
pub enum Class {
    OperationalError,
    IntegrityError,
    DataError,
    DatabaseError,
    ProgrammingError,
    InterfaceError,
    InternalError,
    MemoryError,
    KeyError,
    TypeError,
    OverflowError,
    SQLiteRxError,
}

impl Class {
    /// The name with its module, as in a reply's `type`.
    pub fn qualified(self) -> &'static str {
        match self {
            Self::OperationalError => "sqlite3.OperationalError",
            Self::IntegrityError => "sqlite3.IntegrityError",
            Self::DataError => "sqlite3.DataError",
            Self::DatabaseError => "sqlite3.DatabaseError",
            Self::ProgrammingError => "sqlite3.ProgrammingError",
            Self::InterfaceError => "sqlite3.InterfaceError",
            Self::InternalError => "sqlite3.InternalError",
            Self::MemoryError => "builtins.MemoryError",
            Self::KeyError => "builtins.KeyError",
            Self::TypeError => "builtins.TypeError",
            Self::OverflowError => "builtins.OverflowError",
            Self::SQLiteRxError => "sqlite_rx.exception.SQLiteRxError",
        }
    }

    /// What stands before the text: a traceback's last line names the class, the router's errors do not.
    fn prefix(self) -> Option<&'static str> {
        match self {
            Self::SQLiteRxError => None,
            class => Some(class.qualified().strip_prefix("builtins.").unwrap_or(class.qualified())),
        }
    }
}

impl Fault {
    /// An error of one of Python's classes, without a hint.
    pub fn new(class: Class, code: ErrorCode, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), code, hint: None }
    }

    /// An error of the server itself.
    pub fn router(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::new(Class::SQLiteRxError, code, message)
    }

    /// A request that is no request.
    pub(super) fn processing(code: ErrorCode, cause: impl std::fmt::Display) -> Self {
        Self::router(code, format!("Error processing request: {cause}"))
    }

    /// The error with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// The text as in a reply's `message`.
    pub fn text(&self) -> String {
        match self.class.prefix() {
            None => self.message.clone(),
            Some(prefix) => format!("{prefix}: {}", self.message),
        }
    }
}
