//! Replies about a limit: that of clients, or that of one database's sessions.
use serde::{Deserialize, Serialize};

/// `GET /limit`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LimitStatus {
    /// How many there are.
    pub active_connections: u32,
    /// How many there may be.
    pub current_limit: u32,
}

/// `PUT /limit` has set it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LimitSet {
    /// `Connection limit updated to 2000`.
    pub message: String,
    /// The limit in force.
    pub new_limit: u32,
    /// `success`.
    pub status: String,
}

/// `POST /limit/increase` has raised it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Increased {
    /// By how much.
    pub increase_amount: u32,
    /// `Connection limit increased from 1000 to 1500`.
    pub message: String,
    /// The limit in force.
    pub new_limit: u32,
    /// The limit before.
    pub old_limit: u32,
    /// `success`.
    pub status: String,
}

/// `POST /limit/decrease` has lowered it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Decreased {
    /// By how much.
    pub decrease_amount: u32,
    /// `Connection limit decreased from 1500 to 1300`.
    pub message: String,
    /// The limit in force.
    pub new_limit: u32,
    /// The limit before.
    pub old_limit: u32,
    /// `success`.
    pub status: String,
}

/// `POST /limit/decrease` has not lowered it: more are connected than it would allow.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DecreaseRefused {
    /// How many there are.
    pub active_connections: u32,
    /// The limit, which stays in force.
    pub current_limit: u32,
    /// `cannot decrease limit to 2 when 3 connections are active`.
    pub error: String,
    /// The least the limit could be lowered to now.
    pub minimum_allowed: u32,
    /// `failed`.
    pub status: String,
}

// === impl LimitSet ===

impl LimitSet {
    /// That this is the limit now.
    pub fn to(limit: u32) -> Self {
        let message = format!("Connection limit updated to {limit}");
        Self { message, new_limit: limit, status: super::SUCCESS.to_owned() }
    }
}

// === impl Increased ===

impl Increased {
    /// That the limit was raised.
    pub fn new(from: u32, to: u32) -> Self {
        Self {
            increase_amount: to.saturating_sub(from),
            message: format!("Connection limit increased from {from} to {to}"),
            new_limit: to,
            old_limit: from,
            status: super::SUCCESS.to_owned(),
        }
    }
}

// === impl Decreased ===

impl Decreased {
    /// That the limit was lowered.
    pub fn new(from: u32, to: u32) -> Self {
        Self {
            decrease_amount: from.saturating_sub(to),
            message: format!("Connection limit decreased from {from} to {to}"),
            new_limit: to,
            old_limit: from,
            status: super::SUCCESS.to_owned(),
        }
    }
}

// === impl DecreaseRefused ===

impl DecreaseRefused {
    /// That the limit stays, because of `error`.
    pub fn new(active: u32, limit: u32, error: impl Into<String>) -> Self {
        Self {
            active_connections: active,
            current_limit: limit,
            error: error.into(),
            minimum_allowed: active.max(1),
            status: super::FAILED.to_owned(),
        }
    }
}
