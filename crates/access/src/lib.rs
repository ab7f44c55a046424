//! L2, who may do what: credentials verified, and what their owner may do to which databases.
//!
//! It knows no protocol, opens no database and listens nowhere.
//!
//! | file | holds |
//! | --- | --- |
//! | `access` | the door: credentials in, an identity out |
//! | `identity` | who asks, and what they may do |
//! | `scope`, `databases` | what, and to which |
//! | `token`, `secret` | API tokens |
//! | `pace` | how often |
mod access;
mod databases;
mod error;
mod identity;
mod pace;
mod scope;
mod secret;
mod text;
mod token;

pub use access::{Access, AccessParts, Credentials};
pub use databases::{Databases, NoDatabases, Pattern};
pub use error::AuthError;
pub use identity::{Grant, Identity, Standing, TooOften};
pub use pace::Pace;
pub use scope::{NoScope, Scope, Scopes};
pub use secret::{Digest, NoRandom, Secret};
pub use token::{Label, NoLabel, Token, TokenError};
