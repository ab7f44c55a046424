//! L2, who may do what: credentials verified, and what their owner may do to which databases.
//!
//! It knows no protocol, opens no database and listens nowhere.
mod identity;

pub use identity::{Databases, Grant, Identity, Pattern, Scope, Scopes};
