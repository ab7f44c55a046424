//! What each command asks of the server.
use super::super::api::{Api, ApiError, Question};
use super::super::{Failure, Program};
use super::{Ask, Connections, Lower, Order, Said};
use rowhouse_wire::management::DEFAULT_AMOUNT;
use serde_json::{Value, json};

/// What `reset` sets.
pub(super) const DEFAULT_LIMIT: i64 = 1000;

// === impl Ask ===

impl Ask {
    /// The question; the server says what is wrong with a number.
    pub(super) fn question(&self, program: Program) -> Result<Question, Failure> {
        Ok(match self {
            Self::Status => Question::get("/limit"),
            Self::Stats => Question::get("/stats"),
            Self::Limit { limit: None, .. } => {
                let name = program.name();
                return Err(Failure::usage(format!("Usage: {name} manager <port> limit <new_limit>")));
            }
            Self::Limit { limit: Some(limit), how } => {
                let wrong = |_| Failure::usage(format!("Error: Invalid limit value: {limit}"));
                Question::put("/limit", how.and("limit", limit.parse().map_err(wrong)?))
            }
            Self::Increase { amount: by, reason } => {
                let how = Lower { drain: false, reason: reason.clone() };
                Question::post("/limit/increase", how.and("amount", amount(by.as_deref())?))
            }
            Self::Decrease { amount: by, how } => {
                Question::post("/limit/decrease", how.and("amount", amount(by.as_deref())?))
            }
            Self::Reset { how } => Question::put("/limit", how.and("limit", DEFAULT_LIMIT)),
            Self::Health => Question::get("/health"),
            Self::History { count } => Question::get(format!("/limit/history?limit={count}")),
            Self::Connections { command: None, sort } => {
                Question::get(format!("/connections?sort={}&limit=1000", sort.word()))
            }
            Self::Connections { command: Some(Connections::Close { id }), .. } => {
                Question::delete(format!("/connections/{id}"), json!({}))
            }
            Self::Databases { open: true } => Question::get("/databases?state=open&limit=1000"),
            Self::Databases { open: false } => Question::get("/databases?limit=1000"),
            Self::Other(words) => {
                let word = words.first().map(|word| word.to_string_lossy()).unwrap_or_default();
                return Err(Failure::usage(format!("Error: Unknown command: {word}")));
            }
        })
    }

    /// Asks it; a listing wholly.
    pub(super) fn put(&self, api: &Api, question: &Question) -> Result<Said, ApiError> {
        let path = question.path();
        match self {
            Self::Connections { command: None, .. } => api.all(path, "connections", "after").map(Said::Page),
            Self::Databases { .. } => api.all(path, "databases", "after").map(Said::Page),
            Self::History { .. } => api.get(path)?.read().map(Said::Page),
            _ => api.ask(question).map(Said::One),
        }
    }

    /// Whether it changes anything.
    pub(super) fn changes(&self) -> bool {
        matches!(
            self,
            Self::Limit { .. }
                | Self::Increase { .. }
                | Self::Decrease { .. }
                | Self::Reset { .. }
                | Self::Connections { command: Some(_), .. }
        )
    }
}

/// The amount that is meant.
fn amount(text: Option<&str>) -> Result<i64, Failure> {
    let Some(text) = text else { return Ok(DEFAULT_AMOUNT.into()) };
    text.parse().map_err(|_| Failure::usage(format!("Error: Invalid amount: {text}")))
}

// === impl Lower ===

impl Lower {
    /// The body of a request with this number.
    fn and(&self, key: &str, number: i64) -> Value {
        let mut body = json!({ key: number });
        if self.drain {
            body["drain"] = true.into();
        }
        if let Some(reason) = &self.reason {
            body["reason"] = reason.as_str().into();
        }
        body
    }
}

// === impl Order ===

impl Order {
    fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Id => "id",
        }
    }
}
