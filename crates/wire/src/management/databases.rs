//! Requests and replies about databases.
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `GET /databases`: one page of the databases known, by name.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Databases {
    /// Those of this page.
    pub databases: Vec<Database>,
    /// How many there are, on all pages; null where only the open ones were asked for.
    pub known: Option<u64>,
    /// What to give as `after` for the next page; null on the last.
    pub next: Option<String>,
    /// How many are open.
    pub open: u64,
}

/// One database, in brief.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Database {
    /// Its name; `~default` is that of the default database.
    pub name: String,
    /// Sessions at work.
    pub sessions: u32,
    /// `open` or `closed`.
    pub state: String,
}

/// `GET /databases/{name}`: one database.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DatabaseDetail {
    /// The bytes it takes on disk; null where that cannot be told.
    pub bytes: Option<u64>,
    /// Whether it has failed lately by the engine's fault.
    pub failing: bool,
    /// Whether it takes no writes because it is as large as it may be.
    pub frozen: bool,
    /// `configured`, or `by-name`.
    pub kind: String,
    /// What it may use, by option; null means no bound.
    pub limits: Limits,
    /// Its name; `~default` is that of the default database.
    pub name: String,
    /// How long it has been open; null while it is closed.
    pub open_seconds: Option<f64>,
    /// Whether new requests wait until it is resumed.
    pub paused: bool,
    /// Its connections to its server; null where it takes none, or is closed.
    pub pool: Option<super::Pool>,
    /// Sessions at work.
    pub sessions: u32,
    /// `open` or `closed`.
    pub state: String,
    /// Sessions lent since it was opened.
    pub uses: u64,
    /// Requests that wait for a session.
    pub waiting: u32,
}

/// `GET` and `PATCH /databases/{name}/limits`: what a database may use, by the names of the options.
///
/// Times are texts such as `30s`, bytes and counts are numbers, null means no bound. A change takes
/// times as numbers of seconds too, bytes as texts such as `64MiB`, and null for the default.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Limits(pub BTreeMap<String, serde_json::Value>);

/// `POST /databases`: create one.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateDatabase {
    /// Its name.
    pub name: String,
}

/// `DELETE /databases/{name}`: the name once more, so that no slip of the hand drops a database.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// The name of the database.
    pub confirm: String,
    /// Whether sessions that do not end by themselves are ended.
    #[serde(default)]
    pub force: bool,
}

/// `POST /databases/{name}/backup` has made one.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Backup {
    /// The backup's name, as `rowhouse restore` takes it.
    pub backup: String,
    /// How large it is.
    pub bytes: u64,
    /// What was done, in words.
    pub message: String,
    /// `success`.
    pub status: String,
}
