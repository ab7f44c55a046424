//! The journal itself: entries come in by one door, in the order of the calls.
use super::chain::Verified;
use super::counts::JournalCounts;
use super::entry::{Entry, Query, Recorded};
use super::error::JournalError;
use super::event::JournalEvent;
use super::queue::{Accepted, Ledger};
use super::reader::{JournalReader, counted};
use super::writer::{Writer, prepare};
use crate::event::{Event, Observer};
use rowhouse_engine::Database;
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;
use tokio_util::task::TaskTracker;

/// What administration did, by whom, and how it ended. Cloning yields another handle.
///
/// Entries are numbered in the order of the calls of [`Journal::record`]. Texts of entries are data,
/// whatever characters they have; each is cut at 1024 bytes. At most 16,384 entries wait to be written.
///
/// A journal that cannot be written holds nobody up: what was done stands, its [`Recording`] says that
/// it could not be recorded, and the entry waits in memory for the disk.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

/// What a journal on the disk is made of.
#[derive(Clone, Debug)]
pub struct JournalParts {
    /// How many entries are kept; a tenth more may be there for a while.
    pub keep: NonZeroU32,
    /// Whether each change of the client limit is kept under the key `client_limit`, together with its
    /// entry or not at all.
    pub persist_client_limit: bool,
    /// Who hears of it when it cannot be written, and where its chain ends.
    pub observer: Arc<dyn Observer>,
}

struct Shared {
    ledger: Arc<Ledger>,
    disk: Option<Disk>,
}

struct Disk {
    reader: Arc<JournalReader>,
    observer: Arc<dyn Observer>,
    tasks: TaskTracker,
}

/// An entry on its way: resolves with its number when it is safe on the disk.
///
/// Dropping it changes nothing: the entry is on its way.
#[derive(Debug)]
pub struct Recording(Accepted);

// === impl Journal ===

impl Journal {
    /// A journal that ends with the process and keeps the latest 10,000 entries: where there is no data
    /// directory, and in tests.
    pub fn in_memory() -> Self {
        Self { shared: Arc::new(Shared { ledger: Arc::new(Ledger::in_memory()), disk: None }) }
    }

    /// The journal in this database, which is the journal's own from now on; one is made of an empty
    /// database. Needs a Tokio runtime with time enabled.
    ///
    /// Observers are told if the latest entries are not as they were recorded; it goes on all the same.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or a newer program has written it.
    pub async fn open(database: Arc<dyn Database>, parts: JournalParts) -> Result<Self, JournalError> {
        let reader = Arc::new(JournalReader::of(database));
        let mut found = prepare(&reader, &*parts.observer).await?;
        let counts = JournalCounts { entries: counted(&mut *found.connection).await?, ..Default::default() };
        let latest = reader.entries(&Query { limit: 1, ..Query::default() }).await?;
        let last = latest.first().map_or(SystemTime::UNIX_EPOCH, |recorded| recorded.at);
        let ledger = Arc::new(Ledger::on_disk(last, counts));
        let (observer, tasks) = (parts.observer.clone(), TaskTracker::new());
        tasks.spawn(Writer::new(reader.clone(), ledger.clone(), parts, found).run());
        tasks.close();
        Ok(Self { shared: Arc::new(Shared { ledger, disk: Some(Disk { reader, observer, tasks }) }) })
    }

    /// Records an entry. Never blocks: what it returns resolves when the entry is safe.
    ///
    /// Called where the thing is done, under the same lock if there is one, so that the order of the
    /// entries is the order in which things took effect.
    pub fn record(&self, entry: Entry) -> Recording {
        Recording(self.shared.ledger.record(entry))
    }

    /// The entries asked for that are safe, the newest first.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub async fn entries(&self, query: Query) -> Result<Vec<Recorded>, JournalError> {
        match &self.shared.disk {
            Some(disk) => disk.reader.entries(&query).await,
            None => Ok(self.shared.ledger.memory(|memory| memory.entries(&query)).unwrap_or_default()),
        }
    }

    /// How many entries were made, and how recording them goes.
    pub fn counts(&self) -> JournalCounts {
        self.shared.ledger.counts()
    }

    /// Goes through the chain of all entries that are kept.
    ///
    /// # Errors
    ///
    /// [`JournalError::Broken`] with the first entry that is not as it was recorded.
    pub async fn verify(&self) -> Result<Verified, JournalError> {
        match &self.shared.disk {
            Some(disk) => disk.reader.verify(&[]).await,
            None => self.shared.ledger.memory(|memory| memory.verify()).expect("it is in memory"),
        }
    }

    /// Keeps a value under a key over restarts, or forgets it. Returns when that is safe.
    ///
    /// # Errors
    ///
    /// When it cannot be written; then it will be as soon as that is possible.
    pub async fn keep(&self, key: &str, value: Option<&str>) -> Result<(), JournalError> {
        Recording(self.shared.ledger.keep(key, value)).await.map(drop)
    }

    /// What is kept and safe.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn kept(&self) -> Result<BTreeMap<String, String>, JournalError> {
        match &self.shared.disk {
            Some(disk) => disk.reader.kept().await,
            None => Ok(self.shared.ledger.memory(|memory| memory.kept()).unwrap_or_default()),
        }
    }

    /// Makes safe what has been recorded, and ends. Whatever is recorded later is refused.
    pub async fn close(&self) {
        self.shared.ledger.close();
        let Some(Disk { reader, observer, tasks }) = &self.shared.disk else { return };
        tasks.wait().await;
        let JournalCounts { owed, .. } = self.counts();
        if 0 < owed {
            observer.observe(&Event::Journal(JournalEvent::Lost { entries: owed }));
        }
        if let Err(error) = reader.close().await {
            observer.observe(&Event::Journal(JournalEvent::NotClosed { error: &error }));
        }
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").finish_non_exhaustive()
    }
}

// === impl Shared ===

/// The writer makes safe what is there, and ends.
impl Drop for Shared {
    fn drop(&mut self) {
        self.ledger.close();
    }
}

// === impl Recording ===

impl Recording {
    /// One that has ended so: what was never to be recorded, or could not be.
    pub fn ended(outcome: Result<u64, JournalError>) -> Self {
        Self(Accepted::Ended(outcome))
    }
}

impl Future for Recording {
    type Output = Result<u64, JournalError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Accepted::Ended(outcome) => Poll::Ready(outcome.clone()),
            Accepted::Waits(told) => {
                Pin::new(told).poll(context).map(|told| told.unwrap_or(Err(JournalError::Closed)))
            }
        }
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
