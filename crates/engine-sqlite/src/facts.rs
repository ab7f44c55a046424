//! What a connection knows of the statements it has compiled: their columns, and whether they are short.
//!
//! Invariant: columns are those of the statement as it is compiled now. Who compiles is heard by the
//! authorizer, so that columns are looked at anew whenever anything was compiled since they were noted.
use lru::LruCache;
use rowhouse_engine::Column;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

/// The longest text of a statement of which anything is kept, in bytes.
const TEXT_MAX: usize = 4 << 10;

/// What a statement may take and be short: steps of SQLite's machine, rows, bytes of rows, and time.
const SHORT_STEPS: u32 = 2_000;
const SHORT_ROWS: u64 = 200;
const SHORT_BYTES: u64 = 16 << 10;
const SHORT_TIME: Duration = Duration::from_micros(500);

/// How often one that was taken for short and was not must be short before it is taken for it again: the
/// first time, and at most. It doubles each time, unless it was short so often in between.
const PENANCE: u8 = 8;
const PENANCE_MAX: u8 = 128;
const REDEMPTION: u8 = 64;

/// What is known of the statements that were used last.
#[derive(Debug)]
pub(crate) struct Facts {
    known: LruCache<Arc<str>, Fact>,
    most: usize,
}

#[derive(Debug)]
struct Fact {
    columns: Option<Arc<[Column]>>,
    /// How often it must be short before it is taken for short.
    due: u8,
    /// How often it was since it was due no more, as far as that counts.
    paid: u8,
    /// How often it will have to be when it is found not to be.
    penance: u8,
    /// Whether it calls what may take long however little it reads.
    is_costly: bool,
}

/// What running a statement took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    pub(crate) steps: u32,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) time: Duration,
}

/// What was heard while a statement was compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Something was compiled at all.
    pub(crate) compiled: bool,
    /// Something that calls what may take long however little it reads.
    pub(crate) costly: bool,
}

// === impl Facts ===

impl Facts {
    /// Of at most so many statements.
    pub(crate) fn new(most: usize) -> Self {
        // Grows as it is needed: most connections see few statements.
        Self { known: LruCache::unbounded(), most }
    }

    /// The columns of `sql`, as they were, or else as `look` sees them.
    pub(crate) fn columns(
        &mut self,
        sql: &Arc<str>,
        heard: Heard,
        (count, look): (usize, impl FnOnce() -> Arc<[Column]>),
    ) -> Arc<[Column]> {
        let Some(fact) = self.fact(sql) else { return look() };
        if heard.compiled {
            *fact = Fact { is_costly: heard.costly, ..Fact::NEW };
        }
        match &fact.columns {
            Some(columns) if columns.len() == count => columns.clone(),
            _ => fact.columns.insert(look()).clone(),
        }
    }

    /// Whether `sql` is short, as far as is known.
    pub(crate) fn is_short(&self, sql: &str) -> bool {
        self.known.peek(sql).is_some_and(|fact| fact.due == 0 && 0 < fact.paid)
    }

    /// Notes what `sql` took, which only reads.
    pub(crate) fn learn(&mut self, sql: &str, took: Took) {
        let Some(fact) = self.known.peek_mut(sql) else { return };
        if fact.is_costly {
            return;
        }
        if !took.is_short() {
            fact.paid = 0;
        } else if fact.due == 0 {
            fact.paid = fact.paid.saturating_add(1);
            if REDEMPTION <= fact.paid {
                fact.penance = PENANCE;
            }
        } else {
            fact.due -= 1;
        }
    }

    /// Notes that `sql` was taken for short and was not.
    pub(crate) fn distrust(&mut self, sql: &str) {
        if let Some(fact) = self.known.peek_mut(sql) {
            (fact.due, fact.paid) = (fact.penance, 0);
            fact.penance = fact.penance.saturating_mul(2).min(PENANCE_MAX);
        }
    }

    /// Nothing is known of `sql` any more.
    pub(crate) fn forget(&mut self, sql: &str) {
        self.known.pop(sql);
    }

    fn fact(&mut self, sql: &Arc<str>) -> Option<&mut Fact> {
        if TEXT_MAX < sql.len() || NonZeroUsize::new(self.most).is_none() {
            return None;
        }
        if !self.known.contains(&**sql) {
            if self.most <= self.known.len() {
                self.known.pop_lru();
            }
            self.known.push(sql.clone(), Fact::NEW);
        }
        self.known.get_mut(&**sql)
    }
}

// === impl Fact ===

impl Fact {
    const NEW: Self = Self { columns: None, due: 0, paid: 0, penance: PENANCE, is_costly: false };
}

// === impl Took ===

impl Took {
    fn is_short(self) -> bool {
        self.steps <= SHORT_STEPS
            && self.rows <= SHORT_ROWS
            && self.bytes <= SHORT_BYTES
            && self.time <= SHORT_TIME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPILED: Heard = Heard { compiled: true, costly: false };
    const NOTHING: Heard = Heard { compiled: false, costly: false };

    fn named(name: &str) -> Arc<[Column]> {
        [Column { name: name.to_owned(), decl_type: None }].into()
    }

    fn took(rows: u64) -> Took {
        Took { steps: 10, rows, bytes: 0, time: Duration::ZERO }
    }

    fn columns(facts: &mut Facts, sql: &str, heard: Heard, name: &str) -> String {
        facts.columns(&sql.into(), heard, (1, || named(name)))[0].name.clone()
    }

    #[test]
    fn columns_are_looked_at_anew_when_something_was_compiled() {
        let mut facts = Facts::new(2);
        assert_eq!(columns(&mut facts, "a", COMPILED, "one"), "one");
        assert_eq!(columns(&mut facts, "a", NOTHING, "two"), "one");
        assert_eq!(columns(&mut facts, "a", COMPILED, "two"), "two");
        let long = "x".repeat(TEXT_MAX + 1);
        assert_eq!(columns(&mut facts, &long, COMPILED, "one"), "one");
        assert_eq!(columns(&mut facts, &long, NOTHING, "two"), "two");
    }

    #[test]
    fn what_was_short_is_short_until_it_is_not() {
        let mut facts = Facts::new(2);
        columns(&mut facts, "a", COMPILED, "one");
        assert!(!facts.is_short("a"));
        facts.learn("a", took(1));
        assert!(facts.is_short("a"));
        facts.learn("a", took(SHORT_ROWS + 1));
        assert!(!facts.is_short("a"));
        facts.learn("a", took(1));
        assert!(facts.is_short("a"));
        let redeemed_after = |facts: &mut Facts| {
            facts.distrust("a");
            (1..=u8::MAX).find(|_| {
                facts.learn("a", took(1));
                facts.is_short("a")
            })
        };
        assert_eq!(redeemed_after(&mut facts), Some(PENANCE + 1));
        assert_eq!(redeemed_after(&mut facts), Some(2 * PENANCE + 1));
        for _ in 0..9 {
            redeemed_after(&mut facts);
        }
        assert_eq!(redeemed_after(&mut facts), Some(PENANCE_MAX + 1));
        for _ in 0..REDEMPTION {
            facts.learn("a", took(1));
        }
        assert_eq!(redeemed_after(&mut facts), Some(PENANCE + 1));
        columns(&mut facts, "a", COMPILED, "one");
        assert!(!facts.is_short("a"), "it is another statement now");
    }

    #[test]
    fn what_may_take_long_however_little_it_reads_is_never_short() {
        let mut facts = Facts::new(2);
        columns(&mut facts, "a", Heard { compiled: true, costly: true }, "one");
        facts.learn("a", took(1));
        assert!(!facts.is_short("a"));
    }

    #[test]
    fn no_more_is_known_than_may_be() {
        let mut facts = Facts::new(2);
        for sql in ["a", "b", "c"] {
            columns(&mut facts, sql, COMPILED, "one");
            facts.learn(sql, took(1));
        }
        assert!(!facts.is_short("a") && facts.is_short("b") && facts.is_short("c"));
        let mut none = Facts::new(0);
        columns(&mut none, "a", COMPILED, "one");
        assert!(!none.is_short("a"));
    }
}
