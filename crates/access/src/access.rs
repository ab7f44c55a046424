//! Who may come in: credentials, verified.
//!
//! Invariants: nothing is opened, created or looked up here but credentials; what was found is shared, so
//! that taking back a token, a key or a user is felt by everybody who came in by it, at their next request.
use crate::cache::{Cache, Mark};
use crate::counts::{AccessCounts, Counters, Kind};
use crate::error::AuthError;
use crate::identity::Identity;
use crate::jwt::{Expected, KeyError, KeyFiles, Keyring, NotBelieved, verify};
use crate::passwords::{Passwords, Try};
use crate::secret::{NoRandom, PREFIX};
use crate::token::{Label, Token, TokenError, Tokens};
use crate::user::{NoUser, User, Users, UsersError, users_in};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

/// The most bytes of a credential.
const CREDENTIAL_MAX: usize = 8 * 1024;

/// What somebody presents, as it stands in the header `Authorization`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credentials<'a> {
    /// Nothing.
    None,
    /// A JWT or an API token: what follows `Bearer`.
    Bearer(&'a str),
    /// A user's name and password, in base64: what follows `Basic`.
    Basic(&'a str),
}

/// What was found out at once.
enum Found<'a> {
    /// All.
    Known(Kind, Result<Arc<Identity>, AuthError>),
    /// That a password has to be checked.
    Password(&'a str, Mark),
}

/// Who may come in. Cloning yields another handle.
#[derive(Clone)]
pub struct Access {
    shared: Arc<Shared>,
}

/// By what somebody may come in.
#[derive(Clone, Debug, Default)]
pub struct AccessParts {
    /// Whether who presents nothing is let in, whatever is configured.
    pub allow_anonymous: bool,
    /// A file with public keys in PEM, or a bare one of Ed25519 in base64.
    pub jwt_key_file: Option<PathBuf>,
    /// A file with a set of public keys in JSON.
    pub jwks_file: Option<PathBuf>,
    /// A directory with public keys of single databases.
    pub database_keys_directory: Option<PathBuf>,
    /// Who may have issued JWTs; anybody with the key if none is said.
    pub jwt_issuers: Vec<String>,
    /// For whom JWTs may be; those that say so are refused if none is said.
    pub jwt_audiences: Vec<String>,
    /// A file with users and what argon2id makes of their passwords.
    pub users_file: Option<PathBuf>,
}

/// Why nobody can be let in.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Keys cannot be had.
    #[error("cannot use the keys of JWTs")]
    Keys(#[from] KeyError),
    /// Users cannot be had.
    #[error("cannot use the file of users")]
    Users(#[from] UsersError),
    /// The system has no random numbers.
    #[error(transparent)]
    Random(#[from] NoRandom),
}

struct Shared {
    allow_anonymous: bool,
    /// Whether there is, or once was, anything to come in by.
    configured: AtomicBool,
    anybody: Arc<Identity>,
    tokens: Tokens,
    files: KeyFiles,
    keyring: RwLock<Arc<Keyring>>,
    expected: Expected,
    users: Users,
    users_file: Option<PathBuf>,
    passwords: Passwords,
    cache: Cache,
    counters: Counters,
}

// === impl Credentials ===

impl<'a> Credentials<'a> {
    /// Those of the header `Authorization`, if it is one of these kinds. A bearer of nothing is nobody: clients
    /// send it that were given no token.
    ///
    /// # Errors
    ///
    /// When it is of another kind.
    pub fn of(header: &'a str) -> Result<Self, AuthError> {
        let header = header.trim();
        let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
        let rest = rest.trim_start();
        match scheme {
            bearer if bearer.eq_ignore_ascii_case("bearer") && rest.is_empty() => Ok(Self::None),
            bearer if bearer.eq_ignore_ascii_case("bearer") => Ok(Self::Bearer(rest)),
            basic if basic.eq_ignore_ascii_case("basic") => Ok(Self::Basic(rest)),
            _ => Err(AuthError::Invalid),
        }
    }
}

/// Without what is secret.
impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Bearer(_) => "Bearer",
            Self::Basic(_) => "Basic",
        })
    }
}

// === impl Access ===

impl Access {
    /// Lets in by these.
    ///
    /// # Errors
    ///
    /// When a file cannot be had, or holds what it should not.
    pub fn new(parts: AccessParts) -> Result<Self, AccessError> {
        let files = KeyFiles {
            pem: parts.jwt_key_file,
            jwks: parts.jwks_file,
            directory: parts.database_keys_directory,
        };
        let keyring = files.read(&Keyring::default())?;
        let users = Users::default();
        if let Some(file) = &parts.users_file {
            users.set_written(users_in(file)?);
        }
        let configured = !files.is_empty() || parts.users_file.is_some();
        let shared = Shared {
            allow_anonymous: parts.allow_anonymous,
            configured: AtomicBool::new(configured),
            anybody: Arc::new(Identity::anybody()),
            tokens: Tokens::default(),
            files,
            keyring: RwLock::new(Arc::new(keyring)),
            expected: Expected { issuers: parts.jwt_issuers, audiences: parts.jwt_audiences },
            users,
            users_file: parts.users_file,
            passwords: Passwords::new(),
            cache: Cache::new()?,
            counters: Counters::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Reads the files again. What cannot be read stays as it is, and is told; who came in by what is no
    /// longer there may do nothing more.
    pub fn reload(&self) -> Vec<AccessError> {
        let Shared { files, keyring, users, users_file, .. } = &*self.shared;
        let mut errors = Vec::new();
        let before = self.keyring();
        match files.read(&before) {
            Ok(read) => {
                let read = Arc::new(read);
                *keyring.write().unwrap_or_else(PoisonError::into_inner) = read.clone();
                before.give_way_to(&read);
            }
            Err(error) => errors.push(error.into()),
        }
        match users_file.as_deref().map(users_in).transpose() {
            Ok(read) => users.set_written(read.unwrap_or_default()),
            Err(error) => errors.push(error.into()),
        }
        errors
    }

    /// Whether who presents nothing is refused.
    pub fn is_required(&self) -> bool {
        !self.shared.allow_anonymous && self.is_configured()
    }

    /// Whether there is, or once was, anything to come in by.
    pub fn is_configured(&self) -> bool {
        self.shared.configured.load(Ordering::Acquire)
    }

    /// From now on nobody comes in without credentials, unless that is allowed whatever is configured.
    pub fn require(&self) {
        self.shared.configured.store(true, Ordering::Release);
        if !self.shared.allow_anonymous {
            // Whoever came in without may do nothing more, wherever they are still held.
            self.shared.anybody.revoke();
        }
    }

    /// Finds out who presents this, and takes a turn of their rate. Touches nothing else.
    ///
    /// Ready at once, but for a password that is not remembered.
    ///
    /// # Errors
    ///
    /// When nobody does.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn authenticate(
        &self,
        credentials: Credentials<'_>,
        from: IpAddr,
    ) -> Result<Arc<Identity>, AuthError> {
        let counters = &self.shared.counters;
        let (kind, identity) = match self.find(credentials) {
            Found::Known(kind, identity) => (kind, identity),
            Found::Password(presented, mark) => {
                let Shared { passwords, users, cache, .. } = &*self.shared;
                let checked = passwords.check(Try { presented, mark, from }, users, cache).await;
                (Kind::Password, checked)
            }
        };
        let admitted = identity.and_then(|identity| match identity.is_current() {
            true => identity.turn().map(|()| identity).map_err(AuthError::from),
            false => Err(AuthError::Expired),
        });
        match &admitted {
            Ok(_) => counters.admit(kind),
            Err(error) => counters.refuse(error),
        }
        admitted
    }

    /// All that can be found out at once.
    fn find<'a>(&self, credentials: Credentials<'a>) -> Found<'a> {
        let Shared { tokens, anybody, cache, .. } = &*self.shared;
        let nothing = |identity| Found::Known(Kind::Nothing, identity);
        match credentials {
            // Clients send what they were once told to; where nobody has to, it is as if they had not.
            _ if !self.is_configured() => nothing(Ok(anybody.clone())),
            Credentials::None if !self.is_required() => nothing(Ok(anybody.clone())),
            Credentials::None => nothing(Err(AuthError::Missing)),
            Credentials::Bearer(text) | Credentials::Basic(text) if CREDENTIAL_MAX < text.len() => {
                nothing(Err(AuthError::Invalid))
            }
            Credentials::Bearer(text) if text.starts_with(PREFIX) => {
                Found::Known(Kind::Token, tokens.find(text).ok_or(AuthError::Invalid))
            }
            Credentials::Bearer(text) => Found::Known(Kind::Jwt, self.jwt(text)),
            Credentials::Basic(text) => {
                let mark = cache.mark("basic", text);
                match cache.find(&mark) {
                    Some(identity) => Found::Known(Kind::Password, Ok(identity)),
                    None => Found::Password(text, mark),
                }
            }
        }
    }

    fn jwt(&self, text: &str) -> Result<Arc<Identity>, AuthError> {
        let Shared { cache, expected, .. } = &*self.shared;
        let mark = cache.mark("jwt", text);
        if let Some(identity) = cache.find(&mark) {
            return Ok(identity);
        }
        let identity = verify(text, &self.keyring(), expected, SystemTime::now());
        let identity = Arc::new(identity.map_err(|error| match error {
            NotBelieved::Expired => AuthError::Expired,
            NotBelieved::Invalid => AuthError::Invalid,
        })?);
        cache.remember(mark, &identity);
        Ok(identity)
    }

    fn keyring(&self) -> Arc<Keyring> {
        self.shared.keyring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many came in, and by what one can.
    pub fn counts(&self) -> AccessCounts {
        let Shared { counters, cache, tokens, users, passwords, .. } = &*self.shared;
        AccessCounts {
            hashed: passwords.hashed(),
            remembered: cache.len(),
            tokens: tokens.len(),
            users: users.len(),
            keys: self.keyring().len(),
            ..counters.counts()
        }
    }

    /// Waits until no password is being checked, and checks none from now on.
    pub async fn close(&self) {
        self.shared.passwords.close().await;
    }

    /// Makes an API token known. From the first one on, nobody comes in without credentials.
    ///
    /// # Errors
    ///
    /// When there is one of its name, or as many as may be.
    pub fn add_token(&self, token: Token) -> Result<(), TokenError> {
        self.shared.tokens.add(token)?;
        self.require();
        Ok(())
    }

    /// Takes an API token back: who came in by it may do nothing more.
    pub fn remove_token(&self, name: &Label) -> Option<Token> {
        self.shared.tokens.remove(name)
    }

    /// The API tokens there are, by name.
    pub fn tokens(&self) -> Vec<Token> {
        self.shared.tokens.list()
    }

    /// Makes a user known. From the first one on, nobody comes in without credentials.
    ///
    /// # Errors
    ///
    /// When there is one of the name, or as many as may be.
    pub fn add_user(&self, user: User) -> Result<(), NoUser> {
        self.shared.users.add(user)?;
        self.require();
        Ok(())
    }

    /// Forgets a user that was added: who came in as they may do nothing more. One of the file stays.
    pub fn remove_user(&self, name: &Label) -> Option<User> {
        self.shared.users.remove(name)
    }

    /// The users there are, by name, and whether each is of the file.
    pub fn users(&self) -> Vec<(User, bool)> {
        self.shared.users.list()
    }
}

impl Default for Access {
    /// Lets anybody in until there is something to come in by.
    ///
    /// # Panics
    ///
    /// When the system has no random numbers.
    fn default() -> Self {
        Self::new(AccessParts::default()).expect("no file is read, and the system has random numbers")
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("required", &self.is_required()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_of_nothing_is_nobody_and_an_unknown_kind_is_refused() {
        for header in ["Bearer", "bearer ", "  BEARER  "] {
            assert!(matches!(Credentials::of(header), Ok(Credentials::None)), "{header:?}");
        }
        assert!(matches!(Credentials::of("Bearer  x"), Ok(Credentials::Bearer("x"))));
        assert!(matches!(Credentials::of("basic eA=="), Ok(Credentials::Basic("eA=="))));
        for header in ["", "Digest x", "x"] {
            assert!(Credentials::of(header).is_err(), "{header:?}");
        }
    }
}
