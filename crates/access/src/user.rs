//! Users: people and scripts with a name and a password.
//!
//! Invariants of the table, under one lock: at most [`USERS_MAX`] are known; those of the file come before
//! those that were added; whose record changes or goes stands no more.
use crate::databases::{Databases, NoDatabases};
use crate::file::{FileError, read_secret};
use crate::identity::{Grant, Identity};
use crate::password::{NoPassword, PasswordHash};
use crate::scope::{NoScope, Scopes};
use crate::token::{Label, NoLabel};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The most users.
const USERS_MAX: usize = 16_384;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// What they call themselves.
    pub name: Label,
    /// What becomes of their password.
    pub password: PasswordHash,
    /// What they may do.
    #[serde(with = "crate::text")]
    pub scopes: Scopes,
    /// To which databases.
    #[serde(with = "crate::text")]
    pub databases: Databases,
    /// When they were added, in seconds since 1970; not known of those of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<u64>,
}

/// Why a line is no user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoUser {
    /// It has not four parts.
    #[error("write `NAME:HASH:SCOPES:DATABASES`, such as `alice:$argon2id$...:read,write:acme,eu-*`")]
    Parts,
    /// The name is none.
    #[error(transparent)]
    Name(#[from] NoLabel),
    /// The password is not hashed.
    #[error(transparent)]
    Password(#[from] NoPassword),
    /// A scope is none.
    #[error(transparent)]
    Scope(#[from] NoScope),
    /// The databases are none.
    #[error(transparent)]
    Databases(#[from] NoDatabases),
    /// There is one of this name.
    #[error("there is a user of this name already")]
    Taken,
    /// There are as many as may be.
    #[error("there are {USERS_MAX} users, which is the most there may be")]
    TooMany,
}

/// Why the users of a file cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The file cannot be.
    #[error(transparent)]
    File(#[from] FileError),
    /// A line is no user.
    #[error("line {line} of {} is no user", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// Why.
        #[source]
        source: NoUser,
    },
}

/// The users that are known.
#[derive(Debug, Default)]
pub(crate) struct Users {
    table: RwLock<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// Those of the file.
    written: HashMap<Label, Arc<Known>>,
    /// Those that were added.
    added: HashMap<Label, Arc<Known>>,
}

/// A user, and who they are when their password is right.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) user: User,
    pub(crate) identity: Arc<Identity>,
}

// === impl User ===

impl User {
    /// As it stands in a file of users.
    pub fn line(&self) -> String {
        let Self { name, password, scopes, databases, .. } = self;
        format!("{}:{}:{scopes}:{databases}", name.as_str(), password.as_str())
    }

    fn read(line: &str) -> Result<Self, NoUser> {
        let parts: Vec<_> = line.split(':').collect();
        let [name, password, scopes, databases] = parts[..] else { return Err(NoUser::Parts) };
        Ok(Self {
            name: name.parse()?,
            password: password.parse()?,
            scopes: scopes.parse()?,
            databases: databases.parse()?,
            created: None,
        })
    }

    fn identity(&self) -> Identity {
        let grant = Grant { scopes: self.scopes, databases: self.databases.clone() };
        Identity::new(Some(format!("user:{}", self.name.as_str()).into()), vec![grant], None)
    }
}

// === impl Known ===

impl From<User> for Known {
    fn from(user: User) -> Self {
        let identity = Arc::new(user.identity());
        Self { user, identity }
    }
}

// === impl Users ===

impl Users {
    /// The one of this name.
    pub(crate) fn find(&self, name: &Label) -> Option<Arc<Known>> {
        let table = self.read();
        table.written.get(name).or_else(|| table.added.get(name)).cloned()
    }

    /// Makes one known.
    pub(crate) fn add(&self, user: User) -> Result<(), NoUser> {
        let mut table = self.write();
        if table.written.contains_key(&user.name) || table.added.contains_key(&user.name) {
            return Err(NoUser::Taken);
        }
        if USERS_MAX <= table.added.len() {
            return Err(NoUser::TooMany);
        }
        table.added.insert(user.name.clone(), Arc::new(user.into()));
        Ok(())
    }

    /// Forgets one that was added: from now on they may do nothing.
    pub(crate) fn remove(&self, name: &Label) -> Option<User> {
        let known = self.write().added.remove(name)?;
        known.identity.revoke();
        Some(known.user.clone())
    }

    /// Those of the file are these from now on; who is as before stands as before.
    pub(crate) fn set_written(&self, users: Vec<User>) {
        let mut ended = Vec::new();
        {
            let mut table = self.write();
            let before = std::mem::take(&mut table.written);
            for user in users {
                let known = before.get(&user.name).filter(|known| known.user == user).cloned();
                let known = known.unwrap_or_else(|| Arc::new(user.clone().into()));
                // Who was added under this name is not who it is now.
                if let Some(added) =
                    table.added.get_mut(&user.name).filter(|_| !before.contains_key(&user.name))
                {
                    let fresh = Arc::new(added.user.clone().into());
                    ended.push(std::mem::replace(added, fresh));
                }
                table.written.insert(user.name, known);
            }
            let stays = |known: &Arc<Known>| {
                table.written.get(&known.user.name).is_some_and(|now| Arc::ptr_eq(now, known))
            };
            ended.extend(before.into_values().filter(|known| !stays(known)));
        }
        ended.iter().for_each(|known| known.identity.revoke());
    }

    /// All that are known, by name, and whether each is of the file.
    pub(crate) fn list(&self) -> Vec<(User, bool)> {
        let table = self.read();
        let written = table.written.values().map(|known| (known.user.clone(), true));
        let added = table.added.values().filter(|known| !table.written.contains_key(&known.user.name));
        let mut users: Vec<_> = written.chain(added.map(|known| (known.user.clone(), false))).collect();
        users.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
        users
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        let table = self.read();
        table.written.is_empty() && table.added.is_empty()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        let table = self.read();
        let hidden = table.added.keys().filter(|name| table.written.contains_key(*name)).count();
        table.written.len() + table.added.len() - hidden
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The users of a file that nobody but its owner may read, one a line; `#` begins a comment.
pub(crate) fn users_in(file: &Path) -> Result<Vec<User>, UsersError> {
    let text = read_secret(file)?;
    let mut users: Vec<User> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let failed = |source| UsersError::Line { file: file.to_owned(), line: at + 1, source };
        let user = User::read(line).map_err(failed)?;
        if users.iter().any(|other| other.name == user.name) {
            return Err(failed(NoUser::Taken));
        }
        users.push(user);
    }
    Ok(users)
}
