//! Requests and replies about who may come in.
use serde::{Deserialize, Serialize};

/// `GET /tokens`: one page of the API tokens there are, by name.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tokens {
    /// What to give as `after` for the next page; null on the last.
    pub next: Option<String>,
    /// Those of this page.
    pub tokens: Vec<Token>,
}

/// One API token, without its secret.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Token {
    /// When it was made.
    pub created: String,
    /// For which databases: names, beginnings of names and `*`, `~default` for the default database.
    pub databases: Vec<String>,
    /// Whether its time is over.
    pub expired: bool,
    /// When it ends; null when it does not.
    pub expires: Option<String>,
    /// Its name.
    pub name: String,
    /// How many requests a second it is good for; null without a bound.
    pub rate: Option<u32>,
    /// What it allows: `read`, `write`, `create`, `admin`.
    pub scopes: Vec<String>,
}

/// `POST /tokens`: make one.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// For which databases: names, beginnings of names and `*`, `~default` for the default database.
    pub databases: Vec<String>,
    /// For how long, such as `30d`; for ever unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasts: Option<String>,
    /// Its name.
    pub name: String,
    /// How many requests a second it is good for; no bound unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// What it allows: `read`, `write`, `create`, `admin`.
    pub scopes: Vec<String>,
}

/// `POST /tokens` has made one.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenCreated {
    /// What was done, in words.
    pub message: String,
    /// Its name.
    pub name: String,
    /// Its secret, which is told this once.
    pub secret: String,
    /// `success`.
    pub status: String,
}

/// `GET /users`: one page of the users there are, by name.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Users {
    /// What to give as `after` for the next page; null on the last.
    pub next: Option<String>,
    /// Those of this page.
    pub users: Vec<User>,
}

/// One user, without their password.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct User {
    /// When they were added; null of those of the file.
    pub created: Option<String>,
    /// Which databases they may use.
    pub databases: Vec<String>,
    /// Their name.
    pub name: String,
    /// What they may do: `read`, `write`, `create`, `admin`.
    pub scopes: Vec<String>,
    /// Where they stand: in `file`, or in the server's `state`.
    pub source: String,
}

/// `POST /users`: add one.
#[derive(Clone, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// Which databases they may use.
    pub databases: Vec<String>,
    /// Their name.
    pub name: String,
    /// Their password.
    pub password: String,
    /// What they may do: `read`, `write`, `create`, `admin`.
    pub scopes: Vec<String>,
}

/// Without the password.
impl std::fmt::Debug for CreateUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreateUser").field("name", &self.name).finish_non_exhaustive()
    }
}
