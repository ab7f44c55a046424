//! The beginning of the path: `/db/NAME/...`, and `/dev/NAME/...` as libSQL's own server has it.
use crate::routing::error::RouteError;
use crate::routing::router::Source;
use rowhouse_types::DatabaseName;
use std::borrow::Cow;

/// What a path says that names a database.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::routing) struct Read<'a> {
    pub(in crate::routing) name: DatabaseName,
    /// Up to the name, included.
    pub(in crate::routing) prefix: &'a str,
    /// What follows, beginning with a slash.
    pub(in crate::routing) rest: &'a str,
}

const BEGINNINGS: [&str; 2] = ["/db/", "/dev/"];

/// What the path says, if it names a database. The name may be percent-encoded; it is decoded once.
pub(in crate::routing) fn read(path: &str) -> Result<Option<Read<'_>>, RouteError> {
    let Some(after) = BEGINNINGS.iter().find_map(|beginning| path.strip_prefix(beginning)) else {
        return Ok(None);
    };
    let start = path.len() - after.len();
    let end = after.find('/').map_or(path.len(), |length| start + length);
    let (prefix, rest) = path.split_at(end);
    let name = name(&decode(&prefix[start..]))?;
    Ok(Some(Read { name, prefix, rest: if rest.is_empty() { "/" } else { rest } }))
}

/// The name that a part of the path is, decoded already.
pub(in crate::routing) fn name(text: &str) -> Result<DatabaseName, RouteError> {
    text.parse().map_err(|error| RouteError::Name { part: Source::Path, error })
}

/// Decodes what is percent-encoded. What is not well encoded stays, and is part of no name.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let (mut decoded, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, after @ ..] = rest {
        let digit = |at: usize| after.get(at).and_then(|&byte| char::from(byte).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high << 4 | low).expect("two digits are a byte"));
                rest = &after[2..];
            }
            _ => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}
