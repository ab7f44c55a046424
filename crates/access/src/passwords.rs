//! Checking passwords: off the reactor, few at once, and no sooner after failures than is right.
//!
//! Invariants: at most [`AT_ONCE`] are hashed at once and at most [`WAITING`] wait for that; a name that
//! nobody has takes as long as a password that is wrong.
use crate::backoff::Backoff;
use crate::cache::{Cache, Mark};
use crate::error::AuthError;
use crate::identity::Identity;
use crate::password::{PASSWORD_MAX, PasswordHash};
use crate::token::Label;
use crate::user::Users;
use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

/// The most passwords that are hashed at once: each takes a processor for some 20 ms, and 19 MiB.
const AT_ONCE: usize = 2;

/// The most that may wait for that.
const WAITING: usize = 64;

/// base64 with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Who checks passwords.
#[derive(Debug)]
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    backoff: Backoff,
    /// What is checked for a name that nobody has; made with the first check, whoever that is for.
    nobody_s: Arc<OnceLock<Option<PasswordHash>>>,
    hashed: AtomicU64,
    tasks: TaskTracker,
}

/// One try.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Try<'a> {
    /// What follows `Basic`.
    pub(crate) presented: &'a str,
    pub(crate) mark: Mark,
    pub(crate) from: IpAddr,
}

/// A place among those who wait, given back on drop.
struct Place<'a>(&'a AtomicUsize);

// === impl Passwords ===

impl Passwords {
    pub(crate) fn new() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: AtomicUsize::new(0),
            backoff: Backoff::new(),
            nobody_s: Arc::default(),
            hashed: AtomicU64::new(0),
            tasks: TaskTracker::new(),
        }
    }

    /// Who presents it, remembered from now on.
    pub(crate) async fn check(
        &self,
        this: Try<'_>,
        users: &Users,
        cache: &Cache,
    ) -> Result<Arc<Identity>, AuthError> {
        let Try { presented, mark, from } = this;
        let (name, password) = name_and_password(presented).ok_or(AuthError::Invalid)?;
        let too_many = |retry_after| AuthError::TooManyFailures { retry_after };
        self.backoff.check(&name, from, Instant::now()).map_err(too_many)?;
        let turn = {
            let _place = self.place()?;
            self.turns.clone().acquire_owned().await.map_err(|_closed| AuthError::Busy { limit: WAITING })?
        };
        // Others may have tried meanwhile: the same, which is known now, or what was wrong.
        if let Some(identity) = cache.find(&mark) {
            return Ok(identity);
        }
        self.backoff.check(&name, from, Instant::now()).map_err(too_many)?;
        let known = name.parse::<Label>().ok().and_then(|name| users.find(&name));
        let (hash, nobody_s) =
            (known.as_ref().map(|known| known.user.password.clone()), self.nobody_s.clone());
        self.hashed.fetch_add(1, Ordering::Relaxed);
        let checking = self.tasks.spawn_blocking(move || {
            let _turn = turn;
            let nobody_s = nobody_s.get_or_init(|| PasswordHash::nobody_s().ok());
            hash.as_ref().or(nobody_s.as_ref()).is_some_and(|hash| hash.is_of(&password))
        });
        let is_right = checking.await.unwrap_or(false);
        match known.filter(|known| is_right && known.identity.stands()) {
            Some(known) => {
                self.backoff.succeeded(&name, from);
                cache.remember(mark, &known.identity);
                Ok(known.identity.clone())
            }
            None => {
                self.backoff.failed(&name, from, Instant::now());
                Err(AuthError::Invalid)
            }
        }
    }

    /// How many were hashed.
    pub(crate) fn hashed(&self) -> u64 {
        self.hashed.load(Ordering::Relaxed)
    }

    /// Waits until nothing is hashed any more.
    pub(crate) async fn close(&self) {
        self.turns.close();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn place(&self) -> Result<Place<'_>, AuthError> {
        let place = Place(&self.waiting);
        match self.waiting.fetch_add(1, Ordering::Relaxed) {
            before if before < WAITING + AT_ONCE => Ok(place),
            _ => Err(AuthError::Busy { limit: WAITING }),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is encoded in Basic credentials.
fn name_and_password(presented: &str) -> Option<(String, Zeroizing<String>)> {
    let bytes = Zeroizing::new(BASE64.decode(presented).ok()?);
    let (name, password) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    (password.len() <= PASSWORD_MAX).then(|| (name.to_owned(), Zeroizing::new(password.to_owned())))
}
