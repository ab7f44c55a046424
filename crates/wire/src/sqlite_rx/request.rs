//! Requests: a msgpack map with `client_id`, `query`, `params`, `execute_many`, `execute_script` and,
//! from clients that know many databases, `database_name`.
//!
//! The order of the checks is the order in which the original finds fault, for clients compare texts.
use super::fault::{Class, Fault};
use super::python::{argument_type, is_truthy, type_name};
use bytes::Bytes;
use rmpv::ValueRef;
use rmpv::decode::Error as DecodeError;
use rowhouse_types::{Arguments, ErrorCode, Request, Value};

/// How deep arrays and maps may nest.
const MAX_DEPTH: u16 = 32;

/// The most values a request may hold, keys and elements included: each takes far more memory
/// decoded than the one byte it may take on the wire.
const MAX_VALUES: usize = 2_000_000;

/// The query that asks how the server is, exactly so.
const HEALTH_CHECK: &str = "HEALTH_CHECK";

/// A request, as far as it could be understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    /// The database's name as the client wrote it; empty means the default database. Not validated.
    pub database: String,
    /// Whether the client says which it is: `client_id`, a text that is not empty. Of the text nothing
    /// is kept, for requests of equal bytes have equal ids.
    pub identified: bool,
    /// What is asked of it.
    pub call: Call,
}

/// What a client asks.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// How the server is.
    HealthCheck,
    /// To run SQL; or why the request makes no sense, which is told only after the database was found.
    Run(Result<Request, Fault>),
}

/// Decodes the inflated body of a request.
///
/// # Errors
///
/// When it is no map, nests more than 32 deep, has something after its end, or names a database
/// with something that is no text.
pub fn decode(body: &[u8]) -> Result<Incoming, Fault> {
    let malformed = |cause: &dyn std::fmt::Display| Fault::processing(ErrorCode::MalformedRequest, cause);
    if MAX_VALUES < super::count::values(body, MAX_VALUES) {
        return Err(Fault::processing(
            ErrorCode::RequestTooLarge,
            format_args!("request holds more than {MAX_VALUES} values"),
        ));
    }
    let mut rest = body;
    let value =
        rmpv::decode::read_value_ref_with_max_depth(&mut rest, MAX_DEPTH.into()).map_err(|e| match e {
            DecodeError::DepthLimitExceeded => Fault::processing(
                ErrorCode::RequestTooLarge,
                format_args!("recursion limit exceeded, at most {MAX_DEPTH} levels may nest"),
            ),
            _ => malformed(&"Unpack failed: incomplete input"),
        })?;
    if !rest.is_empty() {
        return Err(malformed(&"unpack(b) received extra data."));
    }
    let ValueRef::Map(pairs) = &value else {
        return Err(malformed(&format_args!("'{}' object has no attribute 'get'", type_name(&value))));
    };
    let fields = Fields { pairs };
    let database = database_name(fields.get("database_name"))?;
    let is_id = |id: &&ValueRef<'_>| matches!(id, ValueRef::String(text) if !text.as_bytes().is_empty());
    let identified = fields.get("client_id").filter(is_id).is_some();
    let call = match fields.get("query") {
        Some(ValueRef::String(query)) if query.as_str() == Some(HEALTH_CHECK) => Call::HealthCheck,
        _ => Call::Run(fields.request()),
    };
    Ok(Incoming { database, identified, call })
}

fn database_name(value: Option<&ValueRef<'_>>) -> Result<String, Fault> {
    let malformed = |cause: String| Err(Fault::processing(ErrorCode::MalformedRequest, cause));
    match value {
        None => Ok(String::new()),
        Some(ValueRef::String(text)) => match text.as_str() {
            Some(text) => Ok(text.to_owned()),
            None => malformed("'utf-8' codec can't decode the database name".to_owned()),
        },
        Some(ValueRef::Nil) => Ok("None".to_owned()),
        Some(ValueRef::Binary(_)) => {
            malformed("cannot use a string pattern on a bytes-like object".to_owned())
        }
        Some(value @ (ValueRef::Array(_) | ValueRef::Map(_))) => {
            malformed(format!("unhashable type: '{}'", type_name(value)))
        }
        Some(value) => malformed(format!("object of type '{}' has no len()", type_name(value))),
    }
}

/// The request's map.
struct Fields<'a, 'b> {
    pairs: &'a [(ValueRef<'b>, ValueRef<'b>)],
}

impl<'a, 'b> Fields<'a, 'b> {
    /// The value of a key; of a repeated key the last, as in a Python dictionary.
    fn get(&self, key: &str) -> Option<&'a ValueRef<'b>> {
        let is = |found: &ValueRef<'_>| matches!(found, ValueRef::String(text) if text.as_str() == Some(key));
        self.pairs.iter().rev().find(|(found, _)| is(found)).map(|(_, value)| value)
    }

    fn require(&self, key: &str) -> Result<&'a ValueRef<'b>, Fault> {
        self.get(key)
            .ok_or_else(|| Fault::new(Class::KeyError, ErrorCode::MalformedRequest, format!("'{key}'")))
    }

    fn request(&self) -> Result<Request, Fault> {
        let many = is_truthy(self.require("execute_many")?);
        let script = is_truthy(self.require("execute_script")?);
        if script {
            return Ok(Request::Script { sql: self.sql("executescript() argument")?.into() });
        }
        let params = self.require("params")?;
        if many && is_truthy(params) {
            let sql = self.sql("executemany() argument 1")?.into();
            return Ok(Request::Repeat { sql, sets: sets(params)? });
        }
        let sql = self.sql("execute() argument 1")?.into();
        let arguments = if is_truthy(params) { arguments(params)? } else { Arguments::None };
        Ok(Request::Execute { sql, arguments })
    }

    fn sql(&self, what: &str) -> Result<&'a str, Fault> {
        let type_error = |message: String| Fault::new(Class::TypeError, ErrorCode::MalformedRequest, message);
        match self.require("query")? {
            ValueRef::String(text) => {
                text.as_str().ok_or_else(|| type_error(format!("{what} must be UTF-8 text")))
            }
            value => Err(type_error(format!("{what} must be str, not {}", argument_type(value)))),
        }
    }
}

fn sets(params: &ValueRef<'_>) -> Result<Vec<Arguments>, Fault> {
    match params {
        ValueRef::Array(items) => items.iter().map(arguments).collect(),
        // Iterating a dictionary yields its keys.
        ValueRef::Map(pairs) => pairs.iter().map(|(key, _)| arguments(key)).collect(),
        ValueRef::String(text) => {
            let characters = text.as_str().unwrap_or_default().chars();
            Ok(characters.map(|c| Arguments::Positional(vec![Value::Text(c.into())])).collect())
        }
        value => {
            let message = format!("'{}' object is not iterable", type_name(value));
            Err(Fault::new(Class::TypeError, ErrorCode::SqlMisuse, message))
        }
    }
}

fn arguments(params: &ValueRef<'_>) -> Result<Arguments, Fault> {
    match params {
        ValueRef::Array(items) => {
            let numbered = items.iter().enumerate();
            let values = numbered.map(|(i, item)| argument(item, || (i + 1).to_string()));
            Ok(Arguments::Positional(values.collect::<Result<_, _>>()?))
        }
        ValueRef::Map(pairs) => {
            let named = pairs.iter().filter_map(|(key, value)| match key {
                ValueRef::String(key) => key.as_str().map(|key| (key, value)),
                _ => None,
            });
            let pairs =
                named.map(|(key, value)| Ok((key.to_owned(), argument(value, || format!("':{key}'"))?)));
            Ok(Arguments::Named(pairs.collect::<Result<_, Fault>>()?))
        }
        // A text is a sequence of characters, bytes one of integers.
        ValueRef::String(text) => {
            let characters = text.as_str().unwrap_or_default().chars();
            Ok(Arguments::Positional(characters.map(|c| Value::Text(c.into())).collect()))
        }
        ValueRef::Binary(bytes) => {
            Ok(Arguments::Positional(bytes.iter().map(|&byte| Value::Integer(byte.into())).collect()))
        }
        _ => {
            let message = "parameters are of unsupported type";
            Err(Fault::new(Class::ProgrammingError, ErrorCode::SqlMisuse, message))
        }
    }
}

fn argument(value: &ValueRef<'_>, place: impl FnOnce() -> String) -> Result<Value, Fault> {
    Ok(match value {
        ValueRef::Nil => Value::Null,
        ValueRef::Boolean(truth) => Value::Integer((*truth).into()),
        ValueRef::Integer(n) => Value::Integer(n.as_i64().ok_or_else(|| {
            let message = "Python int too large to convert to SQLite INTEGER";
            Fault::new(Class::OverflowError, ErrorCode::SqlMisuse, message)
        })?),
        ValueRef::F32(x) => Value::Real((*x).into()),
        ValueRef::F64(x) => Value::Real(*x),
        ValueRef::String(text) => match text.as_str() {
            Some(text) => Value::Text(text.to_owned()),
            None => {
                let message = format!("Error binding parameter {}: text is not UTF-8", place());
                return Err(Fault::new(Class::ProgrammingError, ErrorCode::SqlMisuse, message));
            }
        },
        ValueRef::Binary(bytes) => Value::Blob(Bytes::copy_from_slice(bytes)),
        value => {
            let message =
                format!("Error binding parameter {}: type '{}' is not supported", place(), type_name(value));
            return Err(Fault::new(Class::ProgrammingError, ErrorCode::SqlMisuse, message));
        }
    })
}

#[cfg(test)]
mod tests;
