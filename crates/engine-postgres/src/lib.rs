//! L2, PostgreSQL behind the engine port: one database per tenant, with a role of its own, on one or
//! several servers.
//!
//! A session of a tenant's is a connection that is logged in as the tenant's role, which may connect to that
//! database and to no other; whatever administers a server has other connections, which live for one
//! errand (`admin`) and which no request can get at. A session is driven by who uses it (`session`,
//! `perform`): there is no task per connection, what is not read is not taken off the socket, and what is
//! abandoned is cancelled on the server.
//!
//! The protocol is spoken here and not by a driver, because what a session holds is told by command tags
//! and by the status that follows each answer, which drivers keep to themselves, and because results are
//! read as the text PostgreSQL prints.
mod admin;
mod config;
mod connection;
mod copies;
mod database;
mod dsn;
mod engine;
mod errors;
mod inspect;
mod names;
mod occupancy;
mod outlet;
mod password;
mod perform;
mod provision;
mod quota;
mod request;
mod secret;
mod server;
mod session;
mod sql;
mod values;
mod wire;

pub use config::{Config, Server};
pub use dsn::{Dsn, DsnError, Encryption, Host, Target};
pub use engine::{EngineConfigError, PostgresEngine};
pub use inspect::{InspectError, Inspection, inspect};
pub use names::{MAX_NAME, NameTemplate, TemplateError};
pub use provision::{NoSteps, Step, Steps};
pub use secret::Secret;
pub use wire::TlsError;
