//! Requests and replies about the server's configuration.
use serde::{Deserialize, Serialize};

/// `GET /config`: every option, its value and where that came from.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Config {
    /// The options, in the order of the documentation.
    pub options: Vec<ConfigEntry>,
}

/// One option.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConfigEntry {
    /// Whether it can be changed while the server runs.
    pub changes: bool,
    /// Its key.
    pub key: String,
    /// Where its value came from.
    pub origin: String,
    /// Its value; null for none.
    pub value: serde_json::Value,
}

/// `PATCH /config` has changed options.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConfigChanged {
    /// The keys whose value is another one now.
    pub changed: Vec<String>,
    /// What was done, in words.
    pub message: String,
    /// `success`.
    pub status: String,
    /// What was asked for and keeps its value, with the reason: one sentence each.
    pub unchanged: Vec<String>,
}

/// `GET` and `PUT /log-level`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LogLevel {
    /// What is logged, such as `info` or `rowhouse=debug`.
    pub level: String,
}
