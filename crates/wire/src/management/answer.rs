//! Replies about the server as a whole, and the two that answer most writes.
use super::percentage::Percentage;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `GET /health`: the process lives.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Health {
    /// The service's name: `rowhouse` unless configured otherwise.
    pub service: String,
    /// `healthy`.
    pub status: String,
}

/// `GET /ready`: whether the server takes clients, and why not.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ready {
    /// What it takes to be ready, and whether it is so.
    pub checks: ReadyChecks,
    /// `ready` or `not_ready`.
    pub status: String,
}

/// What it takes to be ready.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReadyChecks {
    /// Whether each database answers: `metadata`, and `results_NAME` for each that is open; of more than
    /// 1,000, those that do not come first.
    pub databases: BTreeMap<String, bool>,
    /// Whether the metadata database does.
    pub metadata_db: bool,
    /// The same without it.
    pub org_databases: BTreeMap<String, bool>,
    /// What it takes of the server itself: `listening`, `databases_open`, `not_draining`, `serving`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<BTreeMap<String, bool>>,
}

/// `GET /stats`: how many clients there are, and for how many more there is room.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stats {
    /// Clients connected.
    pub active_connections: u32,
    /// Clients there is room for; 0 while more are connected than a lowered limit allows.
    pub available_slots: u32,
    /// The most clients connected at once.
    pub max_connections: u32,
    /// `active_connections` of `max_connections`.
    pub usage_percentage: Percentage,
}

/// `GET /stats?detail=true`: the same, and more.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StatsDetail {
    /// Clients connected.
    pub active_connections: u32,
    /// Clients there is room for.
    pub available_slots: u32,
    /// Clients whose request is under way.
    pub busy_connections: u32,
    /// Clients that have nothing under way.
    pub idle_connections: u32,
    /// The most clients connected at once.
    pub max_connections: u32,
    /// Clients refused since the start because the limit was reached.
    pub refused_connections: u64,
    /// Clients that have not said who they are.
    pub unidentified_connections: u32,
    /// `active_connections` of `max_connections`.
    pub usage_percentage: Percentage,
}

/// What was asked for is done, and recorded.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Done {
    /// What was done, in words.
    pub message: String,
    /// `success`.
    pub status: String,
}

/// What was asked for is not done.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Failed {
    /// Why, and what to do.
    pub error: String,
    /// `failed`.
    pub status: String,
}

// === impl Health ===

impl Health {
    /// That the service of this name lives.
    pub fn of(service: &str) -> Self {
        Self { service: service.to_owned(), status: "healthy".to_owned() }
    }
}

// === impl Stats ===

impl Stats {
    /// What these two numbers amount to.
    pub fn of(active: u32, limit: u32) -> Self {
        Self {
            active_connections: active,
            available_slots: limit.saturating_sub(active),
            max_connections: limit,
            usage_percentage: Percentage::of(active, limit),
        }
    }
}

// === impl Done ===

impl Done {
    /// That this was done.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), status: super::SUCCESS.to_owned() }
    }
}

// === impl Failed ===

impl Failed {
    /// That nothing was done, because of this.
    pub fn new(error: impl Into<String>) -> Self {
        Self { error: error.into(), status: super::FAILED.to_owned() }
    }
}
