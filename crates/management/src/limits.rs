//! Limits of a database as JSON: by the names of the options, read as the options are.
use crate::reply::Problem;
use rowhouse_gateway::{DatabaseLimits, LimitsPatch, Patch};
use rowhouse_wire::management::Limits;
use serde_json::Value;
use std::num::NonZeroU32;
use std::time::Duration;

/// The text for no bound.
const NONE: &str = "none";

/// What a database may use, as it is told: times as texts, null for no bound.
pub(crate) fn told(limits: &DatabaseLimits) -> Limits {
    let time = |time| Value::from(humantime::format_duration(time).to_string());
    let options = [
        ("pool_size", limits.sessions.get().into()),
        ("max_overflow", limits.overflow.into()),
        ("pre_ping", limits.pre_ping.into()),
        ("idle_timeout", time(limits.idle_timeout)),
        ("max_lifetime", time(limits.max_lifetime)),
        ("acquire_timeout", time(limits.acquire_timeout)),
        ("pool_queue", limits.queue.into()),
        ("requests_per_second", limits.requests_per_second.map(NonZeroU32::get).into()),
        ("statement_timeout", time(limits.statement_timeout)),
        ("idle_transaction_timeout", time(limits.idle_transaction_timeout)),
        ("transaction_timeout", time(limits.transaction_timeout)),
        ("max_result_rows", limits.max_result_rows.into()),
        ("max_result_bytes", limits.max_result_bytes.into()),
        ("max_database_bytes", limits.max_database_bytes.into()),
    ];
    Limits(options.map(|(key, value): (&str, Value)| (key.to_owned(), value)).into())
}

/// What a body asks to change, and whether a limit of sessions below those at work is taken (`drain`).
pub(crate) fn patch(asked: &Limits) -> Result<(LimitsPatch, bool), Problem> {
    let (mut patch, mut drain) = (LimitsPatch::default(), false);
    for (key, value) in &asked.0 {
        let wrong = |expected| Problem::bad_request(format!("{key} must be {expected}"));
        match key.as_str() {
            "pool_size" => patch.sessions = read(value, positive).ok_or(wrong(COUNT))?,
            "max_overflow" => patch.overflow = read(value, count).ok_or(wrong(COUNT))?,
            "pre_ping" => patch.pre_ping = read(value, truth).ok_or(wrong(TRUTH))?,
            "idle_timeout" => patch.idle_timeout = read(value, time).ok_or(wrong(TIME))?,
            "max_lifetime" => patch.max_lifetime = read(value, time).ok_or(wrong(TIME))?,
            "acquire_timeout" => patch.acquire_timeout = read(value, time).ok_or(wrong(TIME))?,
            "pool_queue" => patch.queue = read(value, count).ok_or(wrong(COUNT))?,
            "requests_per_second" => {
                patch.requests_per_second =
                    read(value, |value| bound(value, positive)).ok_or(wrong(BOUND))?;
            }
            "statement_timeout" => patch.statement_timeout = read(value, time).ok_or(wrong(TIME))?,
            "idle_transaction_timeout" => {
                patch.idle_transaction_timeout = read(value, time).ok_or(wrong(TIME))?;
            }
            "transaction_timeout" => patch.transaction_timeout = read(value, time).ok_or(wrong(TIME))?,
            "max_result_rows" => {
                patch.max_result_rows = read(value, |value| bound(value, whole)).ok_or(wrong(BOUND))?;
            }
            "max_result_bytes" => {
                patch.max_result_bytes = read(value, |value| bound(value, bytes)).ok_or(wrong(BYTES))?;
            }
            "max_database_bytes" => {
                patch.max_database_bytes = read(value, |value| bound(value, bytes)).ok_or(wrong(BYTES))?;
            }
            "drain" => drain = value.as_bool().ok_or(wrong("true or false"))?,
            _ => {
                let known = DatabaseLimits::OPTIONS.join(", ");
                return Err(Problem::bad_request(format!("unknown limit: there are {known}")));
            }
        }
    }
    Ok((patch, drain))
}

const COUNT: &str = "a whole number, or null for the limit of all databases";
const TRUTH: &str = "true or false, or null for the limit of all databases";
const BOUND: &str =
    "a whole number of 1 or more, \"none\" for no bound, or null for the limit of all databases";
const TIME: &str = "a time such as 500ms or 30s, or null for the limit of all databases";
const BYTES: &str = "a size such as 64MiB, \"none\" for no bound, or null for the limit of all databases";

/// Null is the default; everything else is read.
fn read<T>(value: &Value, read: impl FnOnce(&Value) -> Option<T>) -> Option<Patch<T>> {
    if value.is_null() { Some(Patch::Default) } else { read(value).map(Patch::Set) }
}

fn bound<T>(value: &Value, read: impl FnOnce(&Value) -> Option<T>) -> Option<Option<T>> {
    if value.as_str() == Some(NONE) { Some(None) } else { read(value).map(Some) }
}

fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64(),
    }
}

fn count(value: &Value) -> Option<u32> {
    whole(value)?.try_into().ok()
}

fn positive(value: &Value) -> Option<NonZeroU32> {
    NonZeroU32::new(count(value)?)
}

fn truth(value: &Value) -> Option<bool> {
    match value {
        // As on a command line.
        Value::String(text) => text.parse().ok(),
        value => value.as_bool(),
    }
}

fn bytes(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.parse::<bytesize::ByteSize>().ok().map(|size| size.as_u64()),
        value => value.as_u64(),
    }
}

fn time(value: &Value) -> Option<Duration> {
    match value {
        Value::String(text) => match text.trim().parse() {
            Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
            Err(_) => humantime::parse_duration(text.trim()).ok(),
        },
        value => Duration::try_from_secs_f64(value.as_f64()?).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asked(value: Value) -> Limits {
        serde_json::from_value(value).expect("an object")
    }

    #[test]
    fn limits_are_told_under_the_names_of_all_options() {
        let told = told(&DatabaseLimits::default());
        let mut options = DatabaseLimits::OPTIONS.to_vec();
        options.sort_unstable();
        assert_eq!(told.0.keys().map(String::as_str).collect::<Vec<_>>(), options);
        assert_eq!(told.0["statement_timeout"], json!("30s"));
        assert_eq!(told.0["max_database_bytes"], Value::Null);
    }

    #[test]
    fn limits_are_read_as_the_options_are() {
        let body = json!({
            "pool_size": 5, "requests_per_second": "none", "statement_timeout": 1.5, "transaction_timeout": "2min",
            "max_result_rows": null, "max_database_bytes": "1GiB", "drain": true,
            "max_overflow": 0, "pre_ping": false, "max_lifetime": "1h"
        });
        let (patch, drain) = patch(&asked(body)).expect("valid");
        assert!(drain);
        assert_eq!(patch.sessions, Patch::Set(NonZeroU32::new(5).expect("not zero")));
        assert_eq!(patch.requests_per_second, Patch::Set(None));
        assert_eq!(patch.statement_timeout, Patch::Set(Duration::from_millis(1500)));
        assert_eq!(patch.transaction_timeout, Patch::Set(Duration::from_secs(120)));
        assert_eq!(patch.max_result_rows, Patch::Default);
        assert_eq!(patch.max_database_bytes, Patch::Set(Some(1 << 30)));
        assert_eq!((patch.overflow, patch.pre_ping), (Patch::Set(0), Patch::Set(false)));
        assert_eq!(patch.max_lifetime, Patch::Set(Duration::from_secs(3600)));
        assert_eq!(patch.queue, Patch::Keep);
    }

    #[test]
    fn what_no_limit_can_be_is_refused() {
        for body in [
            json!({"pool_size": 0}),
            json!({"pool_size": -1}),
            json!({"pool_size": 1.5}),
            json!({"pool_size": "none"}),
            json!({"statement_timeout": "soon"}),
            json!({"statement_timeout": -1}),
            json!({"max_database_bytes": true}),
            json!({"drain": 1}),
            json!({"pre_ping": "maybe"}),
            json!({"max_overflow": -1}),
            json!({"max_lifetime": "none"}),
            json!({"limit": 5}),
        ] {
            assert!(patch(&asked(body.clone())).is_err(), "{body}");
        }
    }
}
