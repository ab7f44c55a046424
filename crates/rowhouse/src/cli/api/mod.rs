//! The management API of a running server, seen from its client.
//!
//! Invariants: one connection for each request; an answer is bounded in time and size; the token travels
//! encrypted or not beyond this machine.
mod endpoint;
mod error;
mod http;
mod reach;
mod tls;

pub(super) use error::ApiError;
pub(super) use reach::{HEADING, Reach, USUAL};

use endpoint::Endpoint;
use hyper::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;
use std::time::Duration;
use tls::Trust;
use tokio::runtime::Runtime;

/// The pages of one listing that are read at most.
const MOST_PAGES: usize = 10_000;

/// A server to ask.
pub(super) struct Api {
    at: Endpoint,
    trust: Option<Trust>,
    token: Option<String>,
    timeout: Duration,
    runtime: Runtime,
}

/// What the server answered, if it did what it was asked.
#[derive(Debug)]
pub(super) struct Answer {
    /// Such as `200 OK`.
    pub(super) status: StatusCode,
    body: Vec<u8>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Question {
    method: Method,
    path: String,
    body: Option<Value>,
}

// === impl Api ===

impl Api {
    /// Asks for something that changes nothing.
    pub(super) fn get(&self, path: impl Into<String>) -> Result<Answer, ApiError> {
        self.ask(&Question::get(path))
    }

    /// Asks; the error says why what was asked for is not done.
    pub(super) fn ask(&self, question: &Question) -> Result<Answer, ApiError> {
        let exchange = http::exchange(self, question);
        let outcome = self.runtime.block_on(async { tokio::time::timeout(self.timeout, exchange).await });
        let answer = match outcome {
            Ok(answer) => answer?,
            Err(_elapsed) => return Err(ApiError::Slow(self.timeout)),
        };
        if answer.status.is_success() { Ok(answer) } else { Err(ApiError::refused(answer)) }
    }

    /// Reads a listing, every page of it: `items` names the list, and `turn` the parameter that a page's
    /// `next` is given back as. The result is one page that holds all.
    pub(super) fn all(&self, path: &str, items: &str, turn: &str) -> Result<Value, ApiError> {
        let mut whole: Value = self.get(path)?.read()?;
        for _page in 1..MOST_PAGES {
            let next = match whole["next"].take() {
                Value::Null => return Ok(whole),
                Value::String(text) => text,
                other => other.to_string(),
            };
            let joint = if path.contains('?') { '&' } else { '?' };
            let mut page: Value = self.get(format!("{path}{joint}{turn}={next}"))?.read()?;
            whole["next"] = page["next"].take();
            match (whole[items].as_array_mut(), page[items].as_array_mut()) {
                (Some(all), Some(more)) if !more.is_empty() => all.append(more),
                _ => return Ok(whole),
            }
        }
        Ok(whole)
    }

    /// The address of this path.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.at)
    }

    /// The port that is asked.
    pub(super) fn port(&self) -> u16 {
        self.at.port()
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("at", &self.at).finish_non_exhaustive()
    }
}

// === impl Answer ===

impl Answer {
    /// What it says.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_json::from_slice(&self.body).map_err(ApiError::Unknown)
    }

    /// What it says as it was sent, without the last line's end.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim_end().to_owned()
    }
}

// === impl Question ===

impl Question {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: None }
    }

    pub(super) fn put(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::PUT, path: path.into(), body: Some(body) }
    }

    pub(super) fn patch(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::PATCH, path: path.into(), body: Some(body) }
    }

    pub(super) fn post(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::POST, path: path.into(), body: Some(body) }
    }

    pub(super) fn delete(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::DELETE, path: path.into(), body: Some(body) }
    }

    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }
}
