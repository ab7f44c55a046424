//! How often the log says the same.
use lru::LruCache;
use rowhouse_types::Target;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long what was said counts.
const PERIOD: Duration = Duration::from_secs(10);

/// The most lines about one cause in a period; about one cause and one database it is one.
const LINES: u32 = 20;

/// The most pairs of cause and database that are remembered.
const PAIRS: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

/// A kind of event, and its code or reason. Bounded: both are words of the code's.
pub(super) type Cause = (&'static str, &'static str);

/// What was said lately.
#[derive(Debug)]
pub(super) struct Moderation {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    causes: HashMap<Cause, Said>,
    pairs: LruCache<(Cause, Target), Instant>,
}

#[derive(Debug)]
struct Said {
    since: Instant,
    lines: u32,
    unsaid: u64,
}

impl Default for Moderation {
    fn default() -> Self {
        let state = State { causes: HashMap::new(), pairs: LruCache::new(PAIRS) };
        Self { state: Mutex::new(state) }
    }
}

impl Moderation {
    /// Asks for the word. Who gets it is told how much was left unsaid of this cause, if anything.
    pub(super) fn word(&self, cause: Cause, database: Option<&Target>, now: Instant) -> Option<Option<u64>> {
        let mut state = self.state.lock().expect("never panics while locked");
        let State { causes, pairs } = &mut *state;
        let is_recent = |since: Instant| now.saturating_duration_since(since) < PERIOD;
        let said = causes.entry(cause).or_insert(Said { since: now, lines: 0, unsaid: 0 });
        if !is_recent(said.since) {
            (said.since, said.lines) = (now, 0);
        }
        let pair = database.map(|database| (cause, database.clone()));
        let repeated = pair.as_ref().and_then(|pair| pairs.peek(pair)).is_some_and(|at| is_recent(*at));
        if repeated || LINES <= said.lines {
            said.unsaid += 1;
            return None;
        }
        if let Some(pair) = pair {
            pairs.put(pair, now);
        }
        said.lines += 1;
        Some(Some(std::mem::take(&mut said.unsaid)).filter(|&unsaid| unsaid != 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(n: u32) -> Target {
        Target::Named(format!("db{n}").parse().expect("valid"))
    }

    #[test]
    fn the_same_is_said_once_in_a_period_and_what_was_left_unsaid_is_counted() {
        let (moderation, start) = (Moderation::default(), Instant::now());
        let (cause, other) = (("failed", "disk_full"), ("failed", "read_only"));
        assert_eq!(moderation.word(cause, Some(&named(1)), start), Some(None));
        assert!((0..9).all(|_| moderation.word(cause, Some(&named(1)), start).is_none()));
        assert_eq!(moderation.word(other, Some(&named(1)), start), Some(None));
        assert_eq!(moderation.word(cause, Some(&named(2)), start), Some(Some(9)));
        assert_eq!(moderation.word(cause, Some(&named(1)), start + PERIOD), Some(None));
    }

    #[test]
    fn many_databases_do_not_fill_the_log_either() {
        let (moderation, start) = (Moderation::default(), Instant::now());
        let cause = ("open failed", "database_corrupt");
        let said = (0..10_000).filter(|&n| moderation.word(cause, Some(&named(n)), start).is_some());
        assert_eq!(said.count(), LINES as usize);
        let later = moderation.word(cause, Some(&named(0)), start + PERIOD);
        assert_eq!(later, Some(Some(10_000 - u64::from(LINES))));
    }
}
