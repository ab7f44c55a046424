//! The API tokens and users that the server keeps: made, taken back, and recorded.
//!
//! Invariants: one is changed at a time, so that what is kept last is what is in force; what is taken back is
//! so when that is asked, whatever the disk says; a secret is never recorded.
use crate::journal::{Action, Cause, Entry, Journal, JournalError, Recording};
use rowhouse_access::{
    Access, Databases, Digest, Label, NoPassword, NoRandom, NoUser, PasswordHash, Scopes, Secret, Token,
    TokenError, User,
};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Mutex;

/// How tokens are called among what is kept.
const TOKEN: &str = "token/";

/// How users are.
const USER: &str = "user/";

/// Kept from the first of them on: without credentials nobody comes in any more.
const REQUIRED: &str = "access/required";

/// The API tokens and users that the server keeps. Cloning yields another handle.
#[derive(Clone, Debug)]
pub struct Roster {
    access: Access,
    journal: Journal,
    changing: Arc<Mutex<()>>,
}

/// What a new API token is for.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// What operators call it.
    pub name: Label,
    /// What may be done with it.
    pub scopes: Scopes,
    /// To which databases.
    pub databases: Databases,
    /// For how long.
    pub lasts: Option<Duration>,
    /// How many requests a second it is good for.
    pub rate: Option<NonZeroU32>,
}

/// A new user.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// What they call themselves.
    pub name: Label,
    /// What becomes of their password.
    pub password: PasswordHash,
    /// What they may do.
    pub scopes: Scopes,
    /// To which databases.
    pub databases: Databases,
}

/// A token that was made.
#[derive(Debug)]
pub struct Issued {
    /// What is known of it.
    pub token: Token,
    /// Its secret, which is kept nowhere.
    pub secret: Secret,
    /// Resolves when that is safe on disk in the journal.
    pub recording: Recording,
}

/// Why the roster is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    /// The token cannot be.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The user cannot be.
    #[error(transparent)]
    User(#[from] NoUser),
    /// The password cannot be.
    #[error(transparent)]
    Password(#[from] NoPassword),
    /// It would allow nothing.
    #[error(
        "it would allow nothing: give scopes (read, write, create, admin) and databases (names, `eu-*`, `*`)"
    )]
    Nothing,
    /// It would last for ever or longer.
    #[error("it would end beyond all years")]
    TooLong,
    /// There is none of this name.
    #[error("there is no {what} {name:?}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The user is of the file.
    #[error("the user {0:?} is of users_file: remove the line there, and send the server SIGHUP")]
    Written(String),
    /// There are no random numbers.
    #[error(transparent)]
    Random(#[from] NoRandom),
    /// It could not be kept.
    #[error("it is in force, and cannot be kept now: see the server's log and its disk")]
    NotKept(#[source] JournalError),
}

// === impl Roster ===

impl Roster {
    /// With what was kept before. What cannot be understood is passed over: it was written by another
    /// version, and lets nobody in.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn open(access: Access, journal: Journal) -> Result<Self, JournalError> {
        for (key, value) in journal.kept().await? {
            if key == REQUIRED {
                access.require();
            } else if key.starts_with(TOKEN) {
                let token = serde_json::from_str(&value).ok();
                // One that is there twice was kept so by another hand; the first is as good.
                let _added = token.map(|token| access.add_token(token));
            } else if key.starts_with(USER) {
                let user = serde_json::from_str(&value).ok();
                let _added = user.map(|user| access.add_user(user));
            }
        }
        Ok(Self { access, journal, changing: Arc::default() })
    }

    /// Who may come in.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Makes an API token. From the first one on, nobody comes in without credentials, unless that is allowed
    /// by the configuration.
    ///
    /// # Errors
    ///
    /// When there is one of its name, it would allow nothing, or it cannot be kept; then there is none.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave a token whose secret nobody has.
    pub async fn issue(&self, new: NewToken, cause: &Cause) -> Result<Issued, RosterError> {
        let _one = self.changing.lock().await;
        let told = format!("{}: {} on {}", new.name.as_str(), new.scopes, new.databases);
        let made = self.make(new).await;
        let recording = self.record(Action::IssueToken, (None, Some(told)), cause, made.as_ref().err());
        let (token, secret) = made?;
        Ok(Issued { token, secret, recording })
    }

    /// Takes an API token back: whoever uses it may do nothing more.
    ///
    /// # Errors
    ///
    /// When there is none of this name. With [`RosterError::NotKept`] it is taken back until a restart, and
    /// for good as soon as the disk can be written.
    pub async fn revoke(&self, name: &Label, cause: &Cause) -> Result<Recording, RosterError> {
        let _one = self.changing.lock().await;
        let taken = self.access.remove_token(name).map(drop);
        let taken = taken.ok_or_else(|| not_found("token", name));
        let told = (Some(name.as_str().to_owned()), None);
        let recording = self.record(Action::RevokeToken, told, cause, taken.as_ref().err());
        taken?;
        self.keep(TOKEN, name, None).await?;
        Ok(recording)
    }

    /// Adds a user, as [`Roster::issue`] a token.
    ///
    /// # Errors
    ///
    /// When there is one of the name, they may do nothing, or cannot be kept; then there is none.
    pub async fn add_user(&self, new: NewUser, cause: &Cause) -> Result<Recording, RosterError> {
        let _one = self.changing.lock().await;
        let told = format!("{}: {} on {}", new.name.as_str(), new.scopes, new.databases);
        let added = self.add(new).await;
        let recording = self.record(Action::AddUser, (None, Some(told)), cause, added.as_ref().err());
        added.map(|()| recording)
    }

    /// Removes a user, as [`Roster::revoke`] a token.
    ///
    /// # Errors
    ///
    /// When there is none of the name, or it is one of the file.
    pub async fn remove_user(&self, name: &Label, cause: &Cause) -> Result<Recording, RosterError> {
        let _one = self.changing.lock().await;
        let is_written = || self.access.users().iter().any(|(user, written)| *written && user.name == *name);
        let removed = match self.access.remove_user(name) {
            Some(_user) => Ok(()),
            None if is_written() => Err(RosterError::Written(name.as_str().to_owned())),
            None => Err(not_found("user", name)),
        };
        let told = (Some(name.as_str().to_owned()), None);
        let recording = self.record(Action::RemoveUser, told, cause, removed.as_ref().err());
        removed?;
        self.keep(USER, name, None).await?;
        Ok(recording)
    }

    async fn make(&self, new: NewToken) -> Result<(Token, Secret), RosterError> {
        let NewToken { name, scopes, databases, lasts, rate } = new;
        if scopes.is_empty() || databases.0.is_empty() {
            return Err(RosterError::Nothing);
        }
        let created = now();
        let end = |lasts: Duration| created.checked_add(lasts.as_secs()).filter(|end| *end < YEARS_END);
        let expires = lasts.map(|lasts| end(lasts).ok_or(RosterError::TooLong)).transpose()?;
        let secret = Secret::generate()?;
        let digest = Digest::of(secret.reveal());
        let token = Token { name, digest, scopes, databases, created, expires, rate };
        self.access.add_token(token.clone())?;
        let text = serde_json::to_string(&token).expect("texts and numbers");
        if let Err(error) = self.keep_new(TOKEN, &token.name, &text).await {
            self.access.remove_token(&token.name);
            return Err(error);
        }
        Ok((token, secret))
    }

    async fn add(&self, new: NewUser) -> Result<(), RosterError> {
        let NewUser { name, password, scopes, databases } = new;
        if scopes.is_empty() || databases.0.is_empty() {
            return Err(RosterError::Nothing);
        }
        let user = User { name, password, scopes, databases, created: Some(now()) };
        self.access.add_user(user.clone())?;
        let text = serde_json::to_string(&user).expect("texts and numbers");
        if let Err(error) = self.keep_new(USER, &user.name, &text).await {
            self.access.remove_user(&user.name);
            return Err(error);
        }
        Ok(())
    }

    /// Keeps what is new, and that somebody has to say who they are; what cannot be kept now is not kept later
    /// either.
    async fn keep_new(&self, kind: &str, name: &Label, text: &str) -> Result<(), RosterError> {
        self.journal.keep(REQUIRED, Some("yes")).await.map_err(RosterError::NotKept)?;
        let kept = self.keep(kind, name, Some(text)).await;
        if kept.is_err() {
            // It waits behind the other, and undoes it.
            let _later = self.keep(kind, name, None).await;
        }
        kept
    }

    async fn keep(&self, kind: &str, name: &Label, text: Option<&str>) -> Result<(), RosterError> {
        let key = format!("{kind}{}", name.as_str());
        self.journal.keep(&key, text).await.map_err(RosterError::NotKept)
    }

    fn record(
        &self,
        action: Action,
        (from, to): (Option<String>, Option<String>),
        cause: &Cause,
        failed: Option<&RosterError>,
    ) -> Recording {
        let result = failed.map_or(Ok(()), |error| Err(error.to_string()));
        self.journal.record(Entry { from, to, result, ..Entry::of(action, cause.clone()) })
    }
}

/// The last second of the year 9999.
const YEARS_END: u64 = 253_402_300_799;

fn not_found(what: &'static str, name: &Label) -> RosterError {
    RosterError::NotFound { what, name: name.as_str().to_owned() }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
