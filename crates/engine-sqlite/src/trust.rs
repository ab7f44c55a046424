//! Whether a database's short reads are run where they are asked for.
//!
//! Who runs there is not interrupted while one instruction of SQLite's works, however long. So whoever
//! has kept such a thread busy for longer than a read may is not let on it again for a while, and for
//! twice as long each time: what all its reads together keep of that thread stays a small part of the
//! time. What counts is the time of the processor: on a busy machine a thread rests in the middle of a
//! read, which is not the read's fault. To ask for that time costs as much as a short read itself, so
//! only some of those are timed whose database has kept a thread for long a moment ago, by chance, so that
//! nobody can be good while they are; who was not timed and has kept it for very long is taken to have kept
//! it busy. Who neither worked nor waited for so long has only been interrupted.
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a read may keep the thread it was asked for on, and how long it may keep it busy.
pub(crate) const HOLD_MAX: Duration = Duration::from_millis(1);

/// How long a read that is not timed keeps its thread before it counts as busy.
const FLAGRANT: Duration = Duration::from_millis(20);

/// Times how long a thread is kept, and how long it is kept busy.
#[derive(Debug)]
pub(crate) struct Hold {
    began: Instant,
    /// What the thread had done before, if that is looked at.
    before: Option<Past>,
}

/// What a thread has done since it began.
#[derive(Clone, Copy, Debug, Default)]
struct Past {
    busy: Duration,
    /// How often it has waited for something.
    waits: i64,
}

/// How a thread was kept for longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooLong {
    /// It was at work.
    Busy,
    /// It waited, for a disk perhaps.
    Idle,
    /// Neither: others were at work on a busy machine.
    Interrupted,
    /// Nobody looked: the next are timed.
    Untimed,
}

/// How long a database is not trusted after the first time, and at most.
const BAN: Duration = Duration::from_millis(100);
const BAN_MAX: Duration = Duration::from_secs(60);

/// How long a ban is remembered once it is over.
const REMEMBERED: Duration = Duration::from_secs(60);

/// How long some of a database's reads are timed after one that kept its thread for long, and one of how many.
const TIMED: Duration = Duration::from_secs(10);
const ONE_OF: u64 = 4;

/// Whether a database's short reads are run where they are asked for.
#[derive(Debug)]
pub(crate) struct Trust {
    epoch: Instant,
    /// When it is trusted again, in nanoseconds since `epoch`; 0 if it always was.
    until: AtomicU64,
    strikes: AtomicU32,
    /// Until when it is timed of some how long they keep a thread busy, in nanoseconds since `epoch`.
    timed_until: AtomicU64,
}

// === impl Hold ===

impl Hold {
    /// Since when the thread is kept.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// Whether it was too long, at `now`.
    fn end(&self, now: Instant) -> Option<TooLong> {
        let kept = now.duration_since(self.began);
        if kept <= HOLD_MAX {
            return None;
        }
        let Some(before) = self.before else {
            return Some(if FLAGRANT < kept { TooLong::Busy } else { TooLong::Untimed });
        };
        let past = Past::now();
        Some(if HOLD_MAX < past.busy.saturating_sub(before.busy) {
            TooLong::Busy
        } else if before.waits < past.waits {
            TooLong::Idle
        } else {
            TooLong::Interrupted
        })
    }
}

// === impl Past ===

impl Past {
    /// This thread's. It can always be told.
    fn now() -> Self {
        let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD) else { return Self::default() };
        let time = usage.user_time() + usage.system_time();
        let busy = Duration::from_micros(time.num_microseconds().unsigned_abs());
        Self { busy, waits: usage.voluntary_context_switches() }
    }
}

/// How long this thread has been at work since it began.
pub(crate) fn busy() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

// === impl Trust ===

impl Trust {
    pub(crate) fn new(now: Instant) -> Self {
        let (until, timed_until) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { epoch: now, until, strikes: AtomicU32::new(0), timed_until }
    }

    /// Keeps a thread from `now` on; `None` if it is not trusted with one.
    pub(crate) fn hold(&self, now: Instant) -> Option<Hold> {
        // Of most databases nothing was ever noted.
        let is_before = |mark: &AtomicU64| match mark.load(Ordering::Relaxed) {
            0 => false,
            mark => self.nanos(now) < mark,
        };
        if is_before(&self.until) {
            return None;
        }
        // The nanosecond in which it begins is nobody's choice.
        let is_timed = is_before(&self.timed_until) && self.nanos(now).is_multiple_of(ONE_OF);
        Some(Hold { began: now, before: is_timed.then(Past::now) })
    }

    /// Keeps it no more; whether it was for too long.
    pub(crate) fn let_go(&self, hold: &Hold) -> Option<TooLong> {
        self.let_go_at(hold, Instant::now())
    }

    fn let_go_at(&self, hold: &Hold, now: Instant) -> Option<TooLong> {
        let too_long = hold.end(now)?;
        if too_long == TooLong::Busy {
            self.strike(now);
        }
        if too_long != TooLong::Interrupted {
            self.timed_until.store(self.nanos(now + TIMED), Ordering::Relaxed);
        }
        Some(too_long)
    }

    /// Notes that a read has kept its thread busy for too long.
    fn strike(&self, now: Instant) {
        let (now, until) = (self.nanos(now), self.until.load(Ordering::Relaxed));
        let remembered = now.saturating_sub(until) < nanos(REMEMBERED);
        let strikes = if remembered { self.strikes.load(Ordering::Relaxed).saturating_add(1) } else { 1 };
        let ban = BAN.saturating_mul(1 << (strikes - 1).min(16)).min(BAN_MAX);
        self.strikes.store(strikes, Ordering::Relaxed);
        self.until.store(now.saturating_add(nanos(ban)), Ordering::Relaxed);
    }

    fn nanos(&self, at: Instant) -> u64 {
        nanos(at.saturating_duration_since(self.epoch))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_goes_on_is_trusted_less_and_less() {
        let begin = Instant::now();
        let trust = Trust::new(begin);
        let is_trusted = |at: Instant| trust.hold(at).is_some();
        assert!(is_trusted(begin));
        let (mut now, mut held) = (begin, Duration::ZERO);
        for _ in 0..20 {
            now += HOLD_MAX;
            held += HOLD_MAX;
            trust.strike(now);
            assert!(!is_trusted(now));
            while !is_trusted(now) {
                now += Duration::from_millis(10);
            }
        }
        assert!(held * 1_000 < now - begin, "{held:?} of {:?}", now - begin);
        trust.strike(now);
        assert!(!is_trusted(now + BAN_MAX / 2) && is_trusted(now + BAN_MAX));
    }

    #[test]
    fn who_waits_keeps_a_thread_and_who_works_keeps_it_busy() {
        let begin = Instant::now();
        let trust = Trust::new(begin);
        let hold = trust.hold(begin).unwrap();
        assert_eq!(hold.end(begin + HOLD_MAX), None);
        assert_eq!(hold.end(begin + 2 * HOLD_MAX), Some(TooLong::Untimed));
        let keep_busy = |hold: &Hold| {
            let before = busy();
            while busy() - before <= HOLD_MAX || hold.began.elapsed() <= HOLD_MAX {}
            trust.let_go(hold)
        };
        let first = trust.let_go_at(&hold, begin + 2 * HOLD_MAX);
        assert_eq!(first, Some(TooLong::Untimed), "the first time nobody looks how");
        let hold = trust.hold(begin).unwrap();
        assert_eq!(trust.let_go_at(&hold, begin + 2 * HOLD_MAX), Some(TooLong::Interrupted));
        let hold = trust.hold(begin).unwrap();
        std::thread::sleep(Duration::from_nanos(1));
        assert_eq!(trust.let_go_at(&hold, begin + 2 * HOLD_MAX), Some(TooLong::Idle));
        let hold = trust.hold(begin).unwrap();
        assert_eq!(keep_busy(&hold), Some(TooLong::Busy));
        assert!(trust.hold(begin).is_none());
    }

    #[test]
    fn after_one_that_was_long_some_are_timed_for_a_while() {
        let begin = Instant::now();
        let trust = Trust::new(begin);
        let timed = |from: Instant| {
            let at = |n| from + Duration::from_nanos(n);
            (0..100).filter(|n| trust.hold(at(*n)).unwrap().before.is_some()).count()
        };
        assert_eq!(timed(begin), 0);
        let end = begin + 2 * HOLD_MAX;
        trust.let_go_at(&trust.hold(begin).unwrap(), end);
        assert_eq!(timed(end), 25);
        assert_eq!(timed(end + TIMED), 0);
    }

    #[test]
    fn who_keeps_a_thread_for_very_long_is_banned_the_first_time() {
        let begin = Instant::now();
        let trust = Trust::new(begin);
        let hold = trust.hold(begin).unwrap();
        let end = begin + FLAGRANT + HOLD_MAX;
        assert_eq!(trust.let_go_at(&hold, end), Some(TooLong::Busy));
        assert!(trust.hold(end).is_none());
    }

    #[test]
    fn a_ban_is_forgotten_after_a_while() {
        let begin = Instant::now();
        let trust = Trust::new(begin);
        for _ in 0..9 {
            trust.strike(begin);
        }
        let later = begin + BAN_MAX + 2 * REMEMBERED;
        assert!(trust.hold(later).is_some());
        trust.strike(later);
        assert!(trust.hold(later + BAN).is_some());
    }
}
