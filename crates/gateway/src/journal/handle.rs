//! The journal itself: entries come in by one door, in the order of the calls.
use super::chain::Verified;
use super::counts::JournalCounts;
use super::entry::{Entry, Query, Recorded};
use super::error::JournalError;
use super::memory::Memory;
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::SystemTime;

/// What administration did, by whom, and how it ended. Cloning yields another handle.
///
/// Entries are numbered in the order of the calls of [`Journal::record`]. Texts of entries are data,
/// whatever characters they have; each is cut at 1024 bytes.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    memory: Memory,
    /// Of the last entry; time does not run backwards here, even if the clock does.
    last: SystemTime,
    counts: JournalCounts,
}

/// An entry on its way: resolves with its number when it is safe on the disk.
///
/// Dropping it changes nothing: the entry is on its way.
#[derive(Debug)]
pub struct Recording(Result<u64, JournalError>);

// === impl Journal ===

impl Journal {
    /// A journal that ends with the process and keeps the latest 10,000 entries: where there is no data
    /// directory, and in tests.
    pub fn in_memory() -> Self {
        let state =
            State { memory: Memory::new(), last: SystemTime::UNIX_EPOCH, counts: JournalCounts::default() };
        Self { shared: Arc::new(Shared { state: Mutex::new(state) }) }
    }

    /// Records an entry. Never blocks: what it returns resolves when the entry is safe.
    ///
    /// Called where the thing is done, under the same lock if there is one, so that the order of the
    /// entries is the order in which things took effect.
    pub fn record(&self, entry: Entry) -> Recording {
        let entry = entry.bounded();
        let mut state = self.state();
        let at = state.now();
        state.counts.add(&entry);
        Recording(Ok(state.memory.record(at, entry)))
    }

    /// The entries asked for, the newest first.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub async fn entries(&self, query: Query) -> Result<Vec<Recorded>, JournalError> {
        Ok(self.state().memory.entries(&query))
    }

    /// How many entries were made, and how recording them goes.
    pub fn counts(&self) -> JournalCounts {
        self.state().counts.clone()
    }

    /// Goes through the chain of all entries that are kept.
    ///
    /// # Errors
    ///
    /// [`JournalError::Broken`] with the first entry that is not as it was recorded.
    pub async fn verify(&self) -> Result<Verified, JournalError> {
        self.state().memory.verify()
    }

    /// Keeps a value under a key over restarts, or forgets it. Returns when that is safe.
    ///
    /// # Errors
    ///
    /// When it cannot be written; then it will be as soon as that is possible.
    pub async fn keep(&self, key: &str, value: Option<&str>) -> Result<(), JournalError> {
        self.state().memory.keep(key, value);
        Ok(())
    }

    /// What is kept.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn kept(&self) -> Result<BTreeMap<String, String>, JournalError> {
        Ok(self.state().memory.kept())
    }

    /// Makes safe what has been recorded, and ends. Whatever is recorded later is refused.
    pub async fn close(&self) {}

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").finish_non_exhaustive()
    }
}

// === impl State ===

impl State {
    fn now(&mut self) -> SystemTime {
        self.last = self.last.max(SystemTime::now());
        self.last
    }
}

// === impl Recording ===

impl Future for Recording {
    type Output = Result<u64, JournalError>;

    fn poll(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Action, Cause, Interface, Verdict};
    use super::*;
    use rowhouse_types::Target;

    fn change(to: &str) -> Entry {
        let cause = Cause::new(Interface::Http, "127.0.0.1").because("load");
        Entry { to: Some(to.to_owned()), ..Entry::of(Action::ClientLimit, cause) }
    }

    #[tokio::test]
    async fn entries_come_back_newest_first_and_filtered() {
        let journal = Journal::in_memory();
        assert_eq!(journal.record(change("1")).await.unwrap(), 1);
        let database: Target = Target::Named("a".parse().unwrap());
        let evicted = Entry::of(Action::Evict, Cause::new(Interface::Command, "root"));
        let evicted = Entry { database: Some(database.clone()), ..evicted };
        assert_eq!(journal.record(evicted.clone()).await.unwrap(), 2);
        assert_eq!(journal.record(Entry { result: Err("no".into()), ..change("3") }).await.unwrap(), 3);
        let ids = |entries: Vec<Recorded>| entries.iter().map(|recorded| recorded.id).collect::<Vec<_>>();
        assert_eq!(ids(journal.entries(Query::default()).await.unwrap()), [3, 2, 1]);
        let query = Query { action: Some(Action::ClientLimit), ..Query::default() };
        assert_eq!(ids(journal.entries(query.clone()).await.unwrap()), [3, 1]);
        let query = Query { before: Some(3), limit: 1, ..query };
        assert_eq!(ids(journal.entries(query).await.unwrap()), [1]);
        let query = Query { database: Some(database), ..Query::default() };
        let found = journal.entries(query).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].entry, evicted);
        let counted: Vec<_> = journal.counts().limit_changes().collect();
        assert_eq!(counted, [(Interface::Http, Verdict::Applied, 1), (Interface::Http, Verdict::Refused, 1)]);
    }

    #[tokio::test]
    async fn memory_keeps_the_latest_and_its_chain_holds() {
        let journal = Journal::in_memory();
        for n in 0..super::super::memory::KEPT_IN_MEMORY + 5 {
            drop(journal.record(change(&n.to_string())));
        }
        let verified = journal.verify().await.unwrap();
        assert_eq!((verified.entries, verified.first, verified.last), (10_000, 6, 10_005));
    }
}
