//! `rowhouse token` and `rowhouse user`: who may come in over HTTP, with a running server or without one.
//!
//! | file | holds |
//! | --- | --- |
//! | `token`, `user` | the two commands |
//! | `place` | where they are done: by a server, or on its data directory |
//! | `password` | a password, asked for |
mod password;
mod place;
mod token;
mod user;

pub(crate) use token::TokenCommand;
pub(crate) use user::UserCommand;

use clap::Args;
use rowhouse_access::{Databases, Label, Scopes};

/// What somebody may do, and to which databases.
#[derive(Clone, Debug, Args)]
struct Allowed {
    /// What is allowed: read, write, create, admin, separated by commas
    #[arg(long, value_name = "SCOPES")]
    scopes: Scopes,
    /// To which databases: names, beginnings of names and *, ~default for the default one, separated by commas
    #[arg(long, value_name = "NAMES")]
    databases: Databases,
}

/// A name, from the command line.
fn label(text: &str) -> Result<Label, String> {
    text.parse().map_err(|error: rowhouse_access::NoLabel| error.to_string())
}
