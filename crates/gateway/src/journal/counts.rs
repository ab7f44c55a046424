//! How many entries were made.
use super::entry::{Action, Entry, Interface, Verdict};
use std::collections::BTreeMap;

/// How many entries were made, and how recording them goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalCounts {
    /// Of all time, those no longer kept included: by action, interface and how it ended. Bounded by
    /// the words there are.
    pub entries: BTreeMap<(Action, Interface, Verdict), u64>,
    /// Entries that wait in memory because they could not be written. Not 0: health is degraded.
    pub owed: u64,
    /// Entries lost since the start: they could not be written, and there were too many to hold them.
    pub lost: u64,
    /// Transactions committed since the start; each made everything safe that had come in together.
    pub commits: u64,
}

impl JournalCounts {
    /// Changes of the client limit: by interface and how they ended, and how many.
    pub fn limit_changes(&self) -> impl Iterator<Item = (Interface, Verdict, u64)> {
        self.entries
            .iter()
            .filter(|((action, ..), _)| *action == Action::ClientLimit)
            .map(|(&(_, interface, verdict), &count)| (interface, verdict, count))
    }

    pub(super) fn add(&mut self, entry: &Entry) {
        *self.entries.entry((entry.action, entry.cause.interface, entry.verdict())).or_default() += 1;
    }
}
