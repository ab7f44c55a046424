//! What was answered, counted: by who answered, and how.
use crate::endpoint::Endpoint;
use http::StatusCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What was answered over HTTP since the start. Cloning yields another handle.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// By [`ENDPOINTS`] and [`CLASSES`].
    answered: Arc<[[AtomicU64; CLASSES.len()]; ENDPOINTS.len()]>,
}

/// Who answers; the last is for what is refused before it is known who would.
const ENDPOINTS: [&str; 6] = ["hrana", "socket", "query", "live", "page", "none"];

/// How, by the first digit of the status.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Who answered a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Endpoint(Endpoint),
    Page,
    None,
}

// === impl Counters ===

impl Counters {
    /// Who answered, with which kind of status, how often.
    pub fn list(&self) -> Vec<(&'static str, &'static str, u64)> {
        let of = |(endpoint, classes): (&'static str, &[AtomicU64; CLASSES.len()])| {
            let counts = classes.iter().map(|count| count.load(Ordering::Relaxed));
            CLASSES
                .into_iter()
                .zip(counts)
                .map(move |(class, count)| (endpoint, class, count))
                .collect::<Vec<_>>()
        };
        ENDPOINTS
            .into_iter()
            .zip(self.answered.iter())
            .flat_map(of)
            .filter(|(.., count)| *count > 0)
            .collect()
    }

    pub(crate) fn answered(&self, by: By, status: StatusCode) {
        let by = match by {
            By::Endpoint(Endpoint::Hrana) => 0,
            By::Endpoint(Endpoint::Socket) => 1,
            By::Endpoint(Endpoint::Query) => 2,
            By::Endpoint(Endpoint::Live) => 3,
            By::Page => 4,
            By::None => 5,
        };
        let class = usize::from(status.as_u16() / 100).saturating_sub(1).min(CLASSES.len() - 1);
        self.answered[by][class].fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_who_gave_them_and_how() {
        let counters = Counters::default();
        counters.answered(By::Endpoint(Endpoint::Query), StatusCode::OK);
        counters.clone().answered(By::Endpoint(Endpoint::Query), StatusCode::NO_CONTENT);
        counters.answered(By::None, StatusCode::FORBIDDEN);
        counters.answered(By::Endpoint(Endpoint::Socket), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(counters.list(), [("socket", "1xx", 1), ("query", "2xx", 2), ("none", "4xx", 1)]);
    }
}
