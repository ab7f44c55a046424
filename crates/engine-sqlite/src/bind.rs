//! Arguments into the places of a statement, with the rules of Python's driver.
use rowhouse_engine::{EngineError, Misuse};
use rowhouse_types::{Arguments, Value};
use rusqlite::Statement;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};

/// Binds `arguments`, one to each place of `statement`.
///
/// # Errors
///
/// A [`Misuse`] when they do not fit, or SQLite's own refusal (a value too long).
pub(crate) fn bind(statement: &mut Statement<'_>, arguments: &Arguments) -> Result<(), BindError> {
    let places = statement.parameter_count();
    match arguments {
        Arguments::Named(named) => bind_named(statement, places, named),
        Arguments::None if places == 0 => Ok(()),
        Arguments::None => Err(Misuse::ArgumentCount { expected: places, supplied: 0 }.into()),
        Arguments::Positional(values) if values.len() == places => {
            for (position, value) in (1..).zip(values) {
                statement.raw_bind_parameter(position, Bound(value))?;
            }
            Ok(())
        }
        Arguments::Positional(values) => {
            Err(Misuse::ArgumentCount { expected: places, supplied: values.len() }.into())
        }
    }
}

/// Why arguments could not be bound.
#[derive(Debug)]
pub(crate) enum BindError {
    Misuse(Misuse),
    Sqlite(rusqlite::Error),
}

struct Bound<'a>(&'a Value);

fn bind_named(
    statement: &mut Statement<'_>,
    places: usize,
    named: &[(String, Value)],
) -> Result<(), BindError> {
    for position in 1..=places {
        // The name without its sigil (`:`, `@`, `$`; `?` of a numbered place).
        let name = statement.parameter_name(position).map(|name| name[1..].to_owned());
        let name = name.ok_or(Misuse::UnnamedPlace { position })?;
        let given = named.iter().rev().find(|(given, _)| *given == name);
        let (_, value) = given.ok_or(Misuse::ArgumentMissing { name })?;
        statement.raw_bind_parameter(position, Bound(value))?;
    }
    Ok(())
}

// === impl BindError ===

impl BindError {
    /// The port's error.
    pub(crate) fn into_engine_error(self) -> EngineError {
        match self {
            Self::Misuse(misuse) => misuse.into(),
            Self::Sqlite(error) => crate::errors::translate(&error),
        }
    }
}

impl From<Misuse> for BindError {
    fn from(misuse: Misuse) -> Self {
        Self::Misuse(misuse)
    }
}

impl From<rusqlite::Error> for BindError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

// === impl Bound ===

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Integer(n) => ValueRef::Integer(*n),
            Value::Real(x) => ValueRef::Real(*x),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
