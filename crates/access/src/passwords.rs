//! Checking passwords: off the reactor, few at once, and no sooner after failures than is right.
//!
//! Invariants: at most [`at_once`] are hashed at once and at most [`WAITING`] wait for that; a name that
//! nobody has takes as long as a password that is wrong, unless nobody has any.
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
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::available_parallelism;
use std::time::Instant;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

/// The most passwords that are hashed at once, whatever the machine: each takes 19 MiB.
const AT_ONCE_MAX: usize = 8;

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
    /// How many are hashed at once.
    at_once: usize,
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
        let at_once = at_once(available_parallelism().map_or(1, NonZeroUsize::get));
        Self {
            turns: Arc::new(Semaphore::new(at_once)),
            at_once,
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
        if users.is_empty() {
            // Nothing could be right, and so nothing is worth the work.
            return Err(AuthError::Invalid);
        }
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
            before if before < WAITING + self.at_once => Ok(place),
            _ => Err(AuthError::Busy { limit: WAITING }),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many are hashed at once: each takes a processor for some 20 ms, and half of them are for all else.
fn at_once(processors: usize) -> usize {
    (processors / 2).clamp(1, AT_ONCE_MAX)
}

/// What is encoded in Basic credentials.
fn name_and_password(presented: &str) -> Option<(String, Zeroizing<String>)> {
    let bytes = Zeroizing::new(BASE64.decode(presented).ok()?);
    let (name, password) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    (password.len() <= PASSWORD_MAX).then(|| (name.to_owned(), Zeroizing::new(password.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_processors_at_most_hash_passwords() {
        for (processors, expected) in [(1, 1), (2, 1), (3, 1), (4, 2), (16, 8), (128, AT_ONCE_MAX)] {
            assert_eq!(at_once(processors), expected, "{processors}");
        }
    }
}
