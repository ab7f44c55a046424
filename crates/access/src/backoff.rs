//! Who has tried passwords that were wrong, and how long they wait for the next try.
//!
//! Counted are a user's name from one host, a host, and a user's name from anywhere; each has so many tries
//! that cost nothing, and from then on each failure doubles the wait. Addresses of this machine are no host:
//! everybody behind a proxy comes from there.
use crate::secret::Digest;
use lru::LruCache;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The most that are remembered; those who failed longest ago are forgotten first.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// After how long without a failure all is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(15 * 60);

/// The first wait.
const FIRST: Duration = Duration::from_secs(1);

/// Who fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Who {
    Pair(Digest, u128),
    Host(u128),
    User(Digest),
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Instant,
    until: Instant,
}

/// Those who failed.
#[derive(Debug)]
pub(crate) struct Backoff {
    failures: Mutex<LruCache<Who, Failures>>,
}

// === impl Who ===

impl Who {
    /// All that a try counts for.
    fn of(user: &str, from: IpAddr) -> impl Iterator<Item = Self> {
        let (user, from) = (Digest::of(user), from.to_canonical());
        let host = match from {
            IpAddr::V4(address) => u128::from(u32::from(address)),
            // Who has one address of a network has all of them.
            IpAddr::V6(address) => u128::from(address) >> 64 | 1 << 64,
        };
        let host_s = (!from.is_loopback()).then_some(Self::Host(host));
        [Self::Pair(user, host), Self::User(user)].into_iter().chain(host_s)
    }

    /// How many tries cost nothing, and the longest wait.
    fn terms(self) -> (u32, Duration) {
        match self {
            Self::Pair(..) => (5, Duration::from_secs(60)),
            Self::Host(_) => (20, Duration::from_secs(60)),
            // Short, for whoever knows a name could keep its owner out otherwise.
            Self::User(_) => (50, Duration::from_secs(5)),
        }
    }
}

// === impl Backoff ===

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { failures: Mutex::new(LruCache::new(REMEMBERED)) }
    }

    /// Whether a password may be tried for this user from there, or when it may.
    pub(crate) fn check(&self, user: &str, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let failures = self.failures();
        let waits = Who::of(user, from).filter_map(|who| failures.peek(&who));
        let longest = waits.map(|failed| failed.until.saturating_duration_since(now)).max();
        match longest {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => Ok(()),
        }
    }

    /// It was wrong.
    pub(crate) fn failed(&self, user: &str, from: IpAddr, now: Instant) {
        let mut failures = self.failures();
        for who in Who::of(user, from) {
            let none = Failures { count: 0, last: now, until: now };
            let before = failures.get(&who).copied().unwrap_or(none);
            let is_forgotten = FORGOTTEN <= now.saturating_duration_since(before.last);
            let count = if is_forgotten { 1 } else { before.count.saturating_add(1) };
            let (free, longest) = who.terms();
            let wait = match count.checked_sub(free) {
                None | Some(0) => Duration::ZERO,
                Some(over) => FIRST.saturating_mul(1 << (over - 1).min(16)).min(longest),
            };
            failures.put(who, Failures { count, last: now, until: now + wait });
        }
    }

    /// It was right: who knows the password has not been guessing.
    pub(crate) fn succeeded(&self, user: &str, from: IpAddr) {
        let mut failures = self.failures();
        for who in Who::of(user, from).filter(|who| matches!(who, Who::Pair(..))) {
            failures.pop(&who);
        }
    }

    fn failures(&self) -> MutexGuard<'_, LruCache<Who, Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn waits_double_up_to_a_minute_and_end_when_the_password_is_right() {
        let (backoff, mut now) = (Backoff::new(), Instant::now());
        let here = ip("10.0.0.1");
        let mut waits = Vec::new();
        for _ in 0..14 {
            let wait = backoff.check("alice", here, now).err().unwrap_or_default();
            waits.push(wait.as_secs());
            now += wait;
            backoff.failed("alice", here, now);
        }
        assert_eq!(waits, [0, 0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(backoff.check("alice", ip("10.0.0.2"), now).is_ok(), "from elsewhere she comes in");
        backoff.succeeded("alice", here);
        assert!(backoff.check("alice", here, now).is_ok());
        backoff.failed("alice", here, now);
        assert!(backoff.check("alice", here, now + SECOND).is_ok());
    }

    #[test]
    fn who_tries_many_names_waits_as_a_host_and_a_network_is_one() {
        let (backoff, now) = (Backoff::new(), Instant::now());
        for n in 0..30 {
            backoff.failed(&format!("user{n}"), ip(&format!("2001:db8::{n:x}")), now);
        }
        assert!(backoff.check("bob", ip("2001:db8::ffff"), now).is_err());
        assert!(backoff.check("bob", ip("2001:db9::1"), now).is_ok());
        for n in 0..100 {
            backoff.failed(&format!("user{n}"), ip("127.0.0.1"), now);
        }
        assert!(backoff.check("bob", ip("127.0.0.1"), now).is_ok(), "proxies come from there");
    }

    #[test]
    fn a_name_tried_from_everywhere_waits_shortly() {
        let (backoff, now) = (Backoff::new(), Instant::now());
        for n in 0..200_u32 {
            backoff.failed("alice", IpAddr::V4((0x0a00_0000 + n).into()), now);
        }
        let wait = backoff.check("alice", ip("192.0.2.1"), now).expect_err("for a moment");
        assert!(wait <= 5 * SECOND);
        assert!(backoff.check("alice", ip("192.0.2.1"), now + 5 * SECOND).is_ok());
        assert!(backoff.check("bob", ip("192.0.2.1"), now).is_ok());
    }
}
