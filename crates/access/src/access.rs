//! Who may come in: credentials, verified.
//!
//! Invariants: nothing is opened, created or looked up here but credentials; what was found is shared, so
//! that taking back a token, a key or a user is felt by everybody who came in by it, at their next request.
use crate::error::AuthError;
use crate::identity::Identity;
use crate::secret::PREFIX;
use crate::token::{Label, Token, TokenError, Tokens};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
}

struct Shared {
    allow_anonymous: bool,
    /// Whether there is, or once was, anything to come in by.
    configured: AtomicBool,
    anybody: Arc<Identity>,
    tokens: Tokens,
}

// === impl Credentials ===

impl<'a> Credentials<'a> {
    /// Those of the header `Authorization`, if it is one of these kinds.
    ///
    /// # Errors
    ///
    /// When it is of another kind.
    pub fn of(header: &'a str) -> Result<Self, AuthError> {
        let (scheme, rest) = header.trim().split_once(' ').ok_or(AuthError::Invalid)?;
        let rest = rest.trim_start();
        match scheme {
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
    pub fn new(parts: &AccessParts) -> Self {
        let AccessParts { allow_anonymous } = *parts;
        Self {
            shared: Arc::new(Shared {
                allow_anonymous,
                configured: AtomicBool::new(false),
                anybody: Arc::new(Identity::anybody()),
                tokens: Tokens::default(),
            }),
        }
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
        let identity = self.identify(credentials, from).await?;
        if !identity.is_current() {
            return Err(AuthError::Expired);
        }
        identity.turn()?;
        Ok(identity)
    }

    async fn identify(
        &self,
        credentials: Credentials<'_>,
        _from: IpAddr,
    ) -> Result<Arc<Identity>, AuthError> {
        let Shared { tokens, anybody, .. } = &*self.shared;
        match credentials {
            // Clients send what they were once told to; where nobody has to, it is as if they had not.
            _ if !self.is_configured() => Ok(anybody.clone()),
            Credentials::None if !self.is_required() => Ok(anybody.clone()),
            Credentials::None => Err(AuthError::Missing),
            Credentials::Bearer(text) if CREDENTIAL_MAX < text.len() => Err(AuthError::Invalid),
            Credentials::Bearer(text) if text.starts_with(PREFIX) => {
                tokens.find(text).ok_or(AuthError::Invalid)
            }
            Credentials::Bearer(_) | Credentials::Basic(_) => Err(AuthError::Invalid),
        }
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
}

impl Default for Access {
    /// Lets anybody in until there is something to come in by.
    fn default() -> Self {
        Self::new(&AccessParts::default())
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("required", &self.is_required()).finish_non_exhaustive()
    }
}
