//! Databases of organizations within a program: one metadata database, and one database for each organization,
//! made and opened when it is first asked for.
//!
//! A thin face over [`Gateway`](crate::Gateway) and [`Metadata`](crate::metadata::Metadata): what is promised of
//! those, limits and events included, holds here.
//!
//! | file | holds |
//! | --- | --- |
//! | `connections` | the face: engines, sessions, health, closing |
//! | `engine` | the pool of one organization |
//! | `session` | a session with SQL in and rows out |
//! | `behalf` | on whose behalf something is asked |
//! | `refusals` | what is recorded of those who were refused |
//! | `error` | why there is no session |
mod behalf;
mod connections;
mod engine;
mod error;
mod refusals;
mod session;

pub use behalf::Behalf;
pub use connections::ConnectionManager;
pub use engine::OrgEngine;
pub use error::{
    DatabaseConnectionError, DatabaseError, DatabaseProvisioningError, OrganizationNotFoundError, Unreachable,
};
pub use session::{DatabaseSession, Rows, StatementError};

/// What health checks call the metadata database.
const METADATA: &str = "metadata";

/// What stands before the name of an organization where health checks name its database.
const RESULTS: &str = "results_";
