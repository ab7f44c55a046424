//! What a client asks a database to run.
use crate::value::Value;
use std::sync::Arc;

/// One request to run SQL, in the engine's own dialect.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Exactly one statement (or none: blank or comments only).
    Execute {
        /// The text.
        sql: Arc<str>,
        /// Its arguments.
        arguments: Arguments,
    },
    /// One data-changing statement, run once for each set of arguments, all or (on the first
    /// error) none when it runs in autocommit.
    Repeat {
        /// The text.
        sql: Arc<str>,
        /// The sets of arguments, in order.
        sets: Vec<Arguments>,
    },
    /// Any number of statements, without arguments; rows are discarded. Stops at the first
    /// error; what went before it stays. A transaction that is open is committed first.
    Script {
        /// The text.
        sql: Arc<str>,
    },
    /// As `Script`, but within the transaction that is open, if one is.
    Sequence {
        /// The text.
        sql: Arc<str>,
    },
}

/// The arguments of a statement.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Arguments {
    /// None.
    #[default]
    None,
    /// By position, the first for `?1`.
    Positional(Vec<Value>),
    /// By name, without the leading `:`, `@` or `$`. Names the statement does not use are ignored.
    Named(Vec<(String, Value)>),
}

impl Request {
    /// One statement without arguments.
    pub fn execute(sql: impl Into<Arc<str>>) -> Self {
        Self::Execute { sql: sql.into(), arguments: Arguments::None }
    }

    /// One statement with arguments by position.
    pub fn execute_with(sql: impl Into<Arc<str>>, arguments: impl Into<Vec<Value>>) -> Self {
        Self::Execute { sql: sql.into(), arguments: Arguments::Positional(arguments.into()) }
    }

    /// A script.
    pub fn script(sql: impl Into<Arc<str>>) -> Self {
        Self::Script { sql: sql.into() }
    }

    /// A sequence.
    pub fn sequence(sql: impl Into<Arc<str>>) -> Self {
        Self::Sequence { sql: sql.into() }
    }

    /// The text.
    pub fn sql(&self) -> &str {
        match self {
            Self::Execute { sql, .. }
            | Self::Repeat { sql, .. }
            | Self::Script { sql }
            | Self::Sequence { sql } => sql,
        }
    }
}
