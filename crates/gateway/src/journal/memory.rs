//! A journal in memory: bounded, and gone with the process.
use super::chain::{Link, Verified, Walk};
use super::entry::{Entry, Query, Recorded};
use super::error::JournalError;
use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

/// The most entries that are kept in memory.
pub(super) const KEPT_IN_MEMORY: usize = 10_000;

/// Entries in memory, the oldest first.
#[derive(Debug)]
pub(super) struct Memory {
    entries: VecDeque<Recorded>,
    /// The last entry that is no longer kept.
    anchor: Link,
    head: Link,
    kept: BTreeMap<String, String>,
}

impl Memory {
    pub(super) fn new() -> Self {
        let (entries, kept) = (VecDeque::new(), BTreeMap::new());
        Self { entries, anchor: Link::START, head: Link::START, kept }
    }

    pub(super) fn record(&mut self, at: SystemTime, entry: Entry) -> u64 {
        if self.entries.len() == KEPT_IN_MEMORY
            && let Some(Recorded { id, hash, .. }) = self.entries.pop_front()
        {
            self.anchor = Link { id, hash };
        }
        self.entries.push_back(self.head.append(at, entry));
        self.head.id
    }

    pub(super) fn entries(&self, query: &Query) -> Vec<Recorded> {
        let asked = self.entries.iter().rev().filter(|recorded| query.takes(recorded));
        asked.take(query.most()).cloned().collect()
    }

    pub(super) fn verify(&self) -> Result<Verified, JournalError> {
        let mut walk = Walk::from(self.anchor);
        self.entries.iter().try_for_each(|recorded| walk.step_over(recorded))?;
        walk.end(self.head)
    }

    pub(super) fn keep(&mut self, key: &str, value: Option<&str>) {
        match value {
            Some(value) => self.kept.insert(key.to_owned(), value.to_owned()),
            None => self.kept.remove(key),
        };
    }

    pub(super) fn kept(&self) -> BTreeMap<String, String> {
        self.kept.clone()
    }
}
