//! Replies about those who are connected.
use serde::{Deserialize, Serialize};

/// `GET /connections`: one page of the clients connected.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Clients {
    /// How many there are, on all pages.
    pub active_connections: u32,
    /// Those of this page: by number, or the longest idle first.
    pub connections: Vec<Client>,
    /// What to give as `after` for the next page; null on the last.
    pub next: Option<String>,
}

/// One client.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Client {
    /// How long it has been connected.
    pub age_seconds: f64,
    /// Whether a request of its is under way.
    pub busy: bool,
    /// The database of its last request; null before the first.
    pub database: Option<String>,
    /// Its address.
    pub from: String,
    /// Its number, by which `DELETE /connections/{id}` closes it.
    pub id: u64,
    /// Whether it has said who it is.
    pub identified: bool,
    /// How long it has had nothing under way; 0 while it is busy.
    pub idle_seconds: f64,
    /// The language it speaks.
    pub protocol: String,
    /// Its requests so far.
    pub requests: u64,
    /// Who it is, as far as its protocol can tell.
    pub who: Option<String>,
}
