//! What a query asks.
use crate::hrana::MAX_ARGUMENTS;
use crate::json::{Kind, Reader};
use crate::malformed::{Malformed, Problem};
use base64::Engine as _;
use bytes::Bytes;
use rowhouse_types::{Arguments, Value};
use std::sync::Arc;

/// The body of `POST /query`: `{"sql": "...", "args": [...]}`, or `{...}` for arguments by name.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryRequest {
    /// The statement.
    pub sql: Arc<str>,
    /// Its arguments.
    pub arguments: Arguments,
}

// === impl QueryRequest ===

impl QueryRequest {
    /// Decodes a body of JSON.
    ///
    /// # Errors
    ///
    /// When it asks for nothing, or for something else as well.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body)?;
        let (mut sql, mut arguments) = (None, Arguments::None);
        reader.object(|reader, key| {
            match key {
                "sql" => sql = Some(Arc::from(&*reader.string()?)),
                "args" => arguments = reader.optional(arguments_of)?.unwrap_or_default(),
                _ => return Err(reader.fail(Problem::Unknown("sql and args"))),
            }
            Ok(())
        })?;
        let sql = sql.ok_or_else(|| reader.fail(Problem::Missing("sql")))?;
        reader.finish()?;
        Ok(Self { sql, arguments })
    }

    /// Decodes a body that is the statement itself.
    ///
    /// # Errors
    ///
    /// When it is not UTF-8.
    pub fn of_text(body: &[u8]) -> Result<Self, Malformed> {
        match std::str::from_utf8(body) {
            Ok(sql) => Ok(Self { sql: sql.into(), arguments: Arguments::None }),
            Err(error) => Err(Malformed::new(error.valid_up_to(), Problem::NotUtf8)),
        }
    }
}

fn arguments_of(reader: &mut Reader<'_>) -> Result<Arguments, Malformed> {
    match reader.peek()? {
        Kind::Array => {
            let mut values = Vec::new();
            reader.array(MAX_ARGUMENTS, |reader| {
                values.push(argument(reader)?);
                Ok(())
            })?;
            Ok(if values.is_empty() { Arguments::None } else { Arguments::Positional(values) })
        }
        Kind::Object => {
            let mut named: Vec<(String, Value)> = Vec::new();
            reader.object(|reader, key| {
                if named.len() == MAX_ARGUMENTS {
                    return Err(reader.fail(Problem::TooMany(MAX_ARGUMENTS)));
                }
                let name = key.strip_prefix([':', '@', '$']).unwrap_or(key);
                named.push((name.to_owned(), argument(reader)?));
                Ok(())
            })?;
            Ok(if named.is_empty() { Arguments::None } else { Arguments::Named(named) })
        }
        found => {
            let wanted = "an array, or an object of arguments by name";
            Err(reader.fail(Problem::Type { wanted, found: found.noun() }))
        }
    }
}

fn argument(reader: &mut Reader<'_>) -> Result<Value, Malformed> {
    match reader.peek()? {
        Kind::Null => reader.skip().map(|()| Value::Null),
        Kind::Bool => Ok(Value::Integer(reader.bool()?.into())),
        Kind::String => Ok(Value::Text(reader.string()?.into_owned())),
        Kind::Number => number(reader),
        Kind::Object => bytes(reader).map(Value::Blob),
        Kind::Array => {
            let wanted = "null, a boolean, a number, a string or {\"base64\": \"...\"}";
            Err(reader.fail(Problem::Type { wanted, found: "an array" }))
        }
    }
}

/// A number is an integer as long as it is written as one.
fn number(reader: &mut Reader<'_>) -> Result<Value, Malformed> {
    let number = reader.numeric()?;
    match number.integer {
        Some(integer) => Ok(Value::Integer(integer)),
        None if number.is_whole => {
            Err(reader.fail(Problem::Wanted("an integer of 64 bits; with a decimal point it is a double")))
        }
        None => Ok(Value::Real(number.float)),
    }
}

fn bytes(reader: &mut Reader<'_>) -> Result<Bytes, Malformed> {
    let mut bytes = None;
    reader.object(|reader, key| {
        if key != "base64" {
            return Err(reader.fail(Problem::Unknown("base64")));
        }
        let text = reader.string()?;
        let decoded = crate::base64::ANY.decode(&*text);
        bytes = Some(decoded.map_err(|_| reader.fail(Problem::Wanted("base64")))?.into());
        Ok(())
    })?;
    bytes.ok_or_else(|| reader.fail(Problem::Missing("base64")))
}
