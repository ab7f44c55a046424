//! What the catalog says of one database.
use crate::journal::words::words;
use rowhouse_engine::Whereabouts;
use rowhouse_types::DatabaseName;
use std::time::SystemTime;

words! {
    /// How it stands with a database.
    State {
        /// It is being made.
        Creating = "creating",
        /// It was made, and its schema is being brought to head.
        Migrating = "migrating",
        /// It is served.
        Active = "active",
        /// An operator has closed it: it is not served until it is resumed.
        Suspended = "suspended",
        /// Its schema could not be brought to head: it is not served until that was done.
        Quarantined = "quarantined",
        /// It is being dropped.
        Dropping = "dropping",
    }
}

/// How far a database's schema is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The number of the last migration; 0 before the first.
    pub version: u64,
    /// What tells that the migrations up to there are the same.
    pub sum: String,
}

/// What the catalog says of one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name that clients know it by.
    pub name: DatabaseName,
    /// Where it is.
    pub at: Whereabouts,
    /// How it stands with it.
    pub state: State,
    /// Why it is quarantined or suspended, for operators.
    pub why: Option<String>,
    /// How far its schema is, if that was ever told.
    pub schema: Option<Schema>,
    /// When it was first named.
    pub created_at: SystemTime,
    /// When its state changed last.
    pub changed_at: SystemTime,
}
