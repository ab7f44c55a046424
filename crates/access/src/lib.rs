//! L2, who may do what: credentials verified, and what their owner may do to which databases.
//!
//! It knows no protocol, opens no database and listens nowhere.
//!
//! | file | holds |
//! | --- | --- |
//! | `access` | the door: credentials in, an identity out |
//! | `identity` | who asks, and what they may do |
//! | `scope`, `databases`, `pace` | what, to which, and how often |
//! | `token`, `secret` | API tokens |
//! | `jwt` | tokens that others sign |
//! | `user`, `password`, `passwords`, `backoff` | users, and how their passwords are checked |
//! | `cache` | what was found right before |
//! | `file` | files that decide who comes in |
//! | `tls` | by which certificate we say who we are |
mod access;
mod backoff;
mod cache;
mod counts;
mod databases;
mod error;
mod file;
mod identity;
mod jwt;
mod pace;
mod password;
mod passwords;
mod scope;
mod secret;
mod text;
mod tls;
mod token;
mod user;

pub use access::{Access, AccessError, AccessParts, Credentials};
pub use counts::{AccessCounts, Kind};
pub use databases::{Databases, NoDatabases, Pattern};
pub use error::AuthError;
pub use file::{FileError, read_secret};
pub use identity::{Grant, Identity, Standing, TooOften};
pub use jwt::{KeyError, NoKey};
pub use pace::Pace;
pub use password::{NoPassword, PasswordHash};
pub use scope::{NoScope, Scope, Scopes};
pub use secret::{Digest, NoRandom, Secret};
pub use tls::{Tls, TlsError};
pub use token::{Label, NoLabel, Token, TokenError};
pub use user::{NoUser, User, UsersError};
