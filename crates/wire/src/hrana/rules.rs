//! What the protocol demands of requests beyond their shape, in both encodings.
use super::condition::Condition;
use super::request::{Sql, StreamRequest};
use crate::malformed::Problem;
use std::borrow::Cow;
use std::sync::Arc;

/// `close` is the last request of a pipeline.
pub(super) fn nothing_follows_a_close(before: Option<&StreamRequest>) -> Result<(), Problem> {
    match before {
        Some(StreamRequest::Close) => Err(Problem::Rule("close must be the last request")),
        _ => Ok(()),
    }
}

/// A condition of step `at` speaks of steps before it.
pub(super) fn speaks_of_earlier_steps(condition: Option<&Condition>, at: usize) -> Result<(), Problem> {
    match condition.and_then(Condition::latest) {
        Some(latest) if at <= latest as usize => {
            Err(Problem::Rule("a condition must refer to steps before its own"))
        }
        _ => Ok(()),
    }
}

/// There is a text or the number of one, and not both.
pub(super) fn one_text(sql: Option<Arc<str>>, sql_id: Option<i32>) -> Result<Sql, Problem> {
    match (sql, sql_id) {
        (Some(text), None) => Ok(Sql::Text(text)),
        (None, Some(id)) => Ok(Sql::Stored(id)),
        (None, None) => Err(Problem::Rule("sql or sql_id is missing")),
        (Some(_), Some(_)) => Err(Problem::Rule("sql and sql_id are both given, one is needed")),
    }
}

/// What a name of an argument may begin with that is not of the name.
const PREFIXES: [char; 3] = [':', '@', '$'];

/// The name of an argument without its prefix.
pub(super) fn bare(mut name: String) -> String {
    if name.starts_with(PREFIXES) {
        name.remove(0);
    }
    name
}

/// A bare name as it is written: with a prefix where it would be read without its first letter otherwise.
pub(super) fn spelled(name: &str) -> Cow<'_, str> {
    if name.starts_with(PREFIXES) { format!(":{name}").into() } else { name.into() }
}
