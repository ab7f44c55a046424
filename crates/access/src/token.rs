//! API tokens: what is known of one, and the table of those there are.
//!
//! Invariants of the table, under one lock: no two have one name or one digest; at most [`TOKENS_MAX`]
//! are known; who leaves it stands no more.
use crate::databases::Databases;
use crate::identity::{Grant, Identity, Standing};
use crate::pace::Pace;
use crate::scope::Scopes;
use crate::secret::Digest;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The most tokens.
pub(crate) const TOKENS_MAX: usize = 65_536;

/// The longest name, in bytes.
const NAME_MAX: usize = 64;

/// What is known of an API token: all but its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// What operators call it.
    pub name: Label,
    /// What its secret comes to.
    pub digest: Digest,
    /// What may be done with it.
    #[serde(with = "crate::text")]
    pub scopes: Scopes,
    /// To which databases.
    #[serde(with = "crate::text")]
    pub databases: Databases,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// When it ends, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// How many requests a second it is good for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<NonZeroU32>,
}

/// What operators call a token or a user: 1 to 64 of `A-Z a-z 0-9 _ - . @`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Label(String);

/// The text is no name of a token or a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to {NAME_MAX} characters of A-Z a-z 0-9 _ - . @")]
pub struct NoLabel;

/// Why a token was not made known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is one of this name.
    #[error("there is a token {0:?} already: revoke it first, or choose another name")]
    Taken(String),
    /// There are as many as may be.
    #[error("there are {TOKENS_MAX} tokens, which is the most there may be: revoke some")]
    TooMany,
}

/// The tokens that are known.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    table: RwLock<Table>,
}

#[derive(Debug, Default)]
struct Table {
    by_digest: HashMap<Digest, Known>,
    by_name: HashMap<Label, Digest>,
}

#[derive(Debug)]
struct Known {
    token: Token,
    identity: Arc<Identity>,
}

// === impl Token ===

impl Token {
    fn identity(&self) -> Identity {
        let grant = Grant { scopes: self.scopes, databases: self.databases.clone() };
        let expires = self.expires.map(|at| UNIX_EPOCH + Duration::from_secs(at));
        let who = format!("token:{}", self.name.as_str()).into();
        Identity::new(Some(who), vec![grant], expires)
            .standing_on(Standing::good())
            .paced(self.rate.map(Pace::new))
    }

    /// Whether it has ended.
    pub fn is_over(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|at| UNIX_EPOCH + Duration::from_secs(at) <= now)
    }
}

// === impl Label ===

impl Label {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Label {
    type Error = NoLabel;

    fn try_from(text: String) -> Result<Self, NoLabel> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.@".contains(&byte);
        match (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(allowed) {
            true => Ok(Self(text)),
            false => Err(NoLabel),
        }
    }
}

impl std::str::FromStr for Label {
    type Err = NoLabel;

    fn from_str(text: &str) -> Result<Self, NoLabel> {
        text.to_owned().try_into()
    }
}

// === impl Tokens ===

impl Tokens {
    /// Makes one known.
    pub(crate) fn add(&self, token: Token) -> Result<(), TokenError> {
        let mut table = self.write();
        if table.by_name.contains_key(&token.name) || table.by_digest.contains_key(&token.digest) {
            return Err(TokenError::Taken(token.name.as_str().to_owned()));
        }
        if TOKENS_MAX <= table.by_digest.len() {
            return Err(TokenError::TooMany);
        }
        let identity = Arc::new(token.identity());
        table.by_name.insert(token.name.clone(), token.digest);
        table.by_digest.insert(token.digest, Known { token, identity });
        Ok(())
    }

    /// Forgets the one of this name: from now on it is good for nothing, wherever it is held.
    pub(crate) fn remove(&self, name: &Label) -> Option<Token> {
        let known = {
            let mut table = self.write();
            let digest = table.by_name.remove(name)?;
            table.by_digest.remove(&digest)?
        };
        known.identity.revoke();
        Some(known.token)
    }

    /// Who presents it, also when it has ended.
    pub(crate) fn find(&self, presented: &str) -> Option<Arc<Identity>> {
        let digest = Digest::of(presented);
        self.read().by_digest.get(&digest).map(|known| known.identity.clone())
    }

    /// All that are known, by name.
    pub(crate) fn list(&self) -> Vec<Token> {
        let mut tokens: Vec<_> = self.read().by_digest.values().map(|known| known.token.clone()).collect();
        tokens.sort_by(|a, b| a.name.cmp(&b.name));
        tokens
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.read().by_name.len()
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}
