//! Replies about what was done before: the history of limits, and the audit.
use serde::{Deserialize, Serialize};

/// `GET /limit/history`: changes of the limit of clients, the newest first.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct History {
    /// Those of this page.
    pub changes: Vec<LimitChange>,
    /// What to give as `before` for the next page; null on the last.
    pub next: Option<u64>,
}

/// One change of a limit, made or refused.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LimitChange {
    /// How many were connected.
    pub active: Option<u32>,
    /// When, in UTC: `2026-11-21T19:30:00.000Z`.
    pub at: String,
    /// Why it was refused; null when it was made.
    pub error: Option<String>,
    /// The limit before.
    pub from: Option<u32>,
    /// Its number; later ones are greater.
    pub id: u64,
    /// Why it was asked for, as far as was said.
    pub reason: Option<String>,
    /// `success` or `failed`.
    pub result: String,
    /// By which interface: `start`, `http`, `cli`, `signal`, `reload`, `autoscale` or `library`.
    pub source: String,
    /// The limit asked for.
    pub to: Option<i64>,
    /// Who asked for it.
    pub who: String,
}

/// `GET /audit`: what was done to the server, the newest first.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Audit {
    /// Those of this page.
    pub entries: Vec<AuditEntry>,
    /// What to give as `before` for the next page; null on the last.
    pub next: Option<u64>,
}

/// One thing that was done, or refused.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    /// What, such as `client_limit` or `drop_database`.
    pub action: String,
    /// How many were active, where it was counted.
    pub active: Option<u32>,
    /// When, in UTC: `2026-11-21T19:30:00.000Z`.
    pub at: String,
    /// To which database; null where it was to none.
    pub database: Option<String>,
    /// Why it was refused; null when it was done.
    pub error: Option<String>,
    /// What was so before.
    pub from: Option<String>,
    /// Its number; later ones are greater.
    pub id: u64,
    /// Why it was asked for, as far as was said.
    pub reason: Option<String>,
    /// `success` or `failed`.
    pub result: String,
    /// By which interface.
    pub source: String,
    /// What is so since.
    pub to: Option<String>,
    /// Who asked for it.
    pub who: String,
}
