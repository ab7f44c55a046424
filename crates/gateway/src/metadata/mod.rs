//! The metadata database: which organizations, users, identities and settings there are, where each
//! organization's database is and in what state (the catalog), and what was done with all of them.
//!
//! It is a database that is opened through the port: SQLite's by default, or a PostgreSQL server's, and then
//! several processes share it. It is opened when it is first asked, so that a server of its that is down
//! keeps nobody from databases that are open.
//!
//! Invariants: a name has one row and so has a place; what changes is changed together with its row of the
//! audit log, or not at all; no name leads to it, so that no request reaches it but through what is here.
mod audit;
mod entry;
mod error;
mod people;
mod rows;
mod schema;
mod settings;
mod store;

pub use audit::AuditRow;
pub use entry::{Entry, Schema, State};
pub use error::MetadataError;
pub use people::{Identity, Organization, User, UserState};
pub use settings::Setting;
pub use store::{Metadata, MetadataParts};
