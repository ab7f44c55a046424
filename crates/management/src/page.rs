//! Pages of long lists, and how times are written.
use crate::reply::Problem;
use std::time::{Duration, SystemTime};

/// How many a page has unless said.
const USUAL: u32 = 100;

/// The most a page has.
const MOST: u32 = 1000;

/// How many the page asked for has.
pub(crate) fn size(asked: Option<u32>) -> Result<usize, Problem> {
    match asked.unwrap_or(USUAL) {
        size @ 1..=MOST => Ok(size as usize),
        _ => Err(Problem::bad_request(format!("limit must be a whole number from 1 to {MOST}"))),
    }
}

/// In seconds, to the millisecond.
pub(crate) fn seconds(duration: Duration) -> f64 {
    Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)).as_secs_f64()
}

/// In UTC, to the millisecond.
pub(crate) fn moment(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}
