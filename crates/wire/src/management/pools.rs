//! Replies about pools: connections to servers, and whose they are.
use serde::{Deserialize, Serialize};

/// `GET /pools`: the servers, and one page of the open databases that take connections of theirs.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pools {
    /// That of the metadata database; null where it takes no connection of a server's.
    pub metadata: Option<Pool>,
    /// What to give as `after` for the next page; null on the last.
    pub next: Option<String>,
    /// Those of this page, by the names of their databases.
    pub pools: Vec<Pool>,
    /// The servers that were asked for a connection since the start.
    pub servers: Vec<Server>,
}

/// The connections of one database.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pool {
    /// The name of the database; `~default` is that of the default database, `~metadata` of the metadata.
    pub database: String,
    /// Connections that are kept unused.
    pub idle: u32,
    /// Connections at work, or being opened.
    pub lent: u32,
    /// How many more than `pool_size` there may be while they are at work.
    pub max_overflow: u32,
    /// How many of them are kept.
    pub pool_size: u32,
    /// How many were closed so far because another database had more need of the room.
    pub reclaimed: u64,
    /// The server.
    pub server: String,
    /// Requests that wait for a connection to the server.
    pub waiting: u32,
}

/// The connections to one server.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Server {
    /// The most that all databases on it may have together; null as long as that is not known.
    pub budget: Option<u32>,
    /// Connections that are being closed.
    pub closing: u32,
    /// Connections that are kept unused.
    pub idle: u32,
    /// Connections at work, or being opened.
    pub in_use: u32,
    /// How many were closed so far because another database had more need of the room.
    pub reclaimed: u64,
    /// How many of those it can take are left to administration; null as long as that is not known.
    pub reserved: Option<u32>,
    /// What it is called.
    pub server: String,
    /// How many connections it can take; null as long as that is not known.
    pub takes: Option<u32>,
    /// Requests that wait for a connection to it.
    pub waiting: u32,
}
