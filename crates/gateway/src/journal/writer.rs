//! The one task that writes a journal: what has come in together becomes safe together.
use super::chain::{Hash, Link};
use super::entry::{Action, Entry, Interface, Recorded};
use super::error::JournalError;
use super::event::JournalEvent;
use super::handle::JournalParts;
use super::queue::{Ledger, Waiting, Work};
use super::reader::{Counted, JournalReader, schema, walk};
use super::sql::{COLUMNS, MAKE, MAKE_STATE, Mark, link, row_of};
use crate::event::{Event, Observer};
use crate::sql::{execute, number, repeat, run, text, words};
use rowhouse_engine::{Batch, Connection, EngineError};
use rowhouse_types::Request;
use std::sync::Arc;
use std::time::Duration;

/// The most that one transaction makes safe.
const BATCH: usize = 1000;

/// How long after a failure it is tried again, if nothing new comes before.
const RETRY: Duration = Duration::from_secs(5);

/// After how many entries the chain's head is told to observers.
const ANCHOR_EVERY: u64 = 1000;

/// How many of the latest entries are gone through when a journal is opened.
const LOOKED_AT: u64 = 1000;

/// The key of the client limit among what is kept.
pub(super) const CLIENT_LIMIT: &str = "client_limit";

/// What writes a journal.
#[derive(Debug)]
pub(super) struct Writer {
    reader: Arc<JournalReader>,
    ledger: Arc<Ledger>,
    parts: JournalParts,
    /// `None` after a failure: whatever was the matter with it, a new one has not.
    connection: Option<Box<dyn Connection>>,
    head: Link,
    anchor: Link,
    /// How many things the attempt was made of that failed last.
    tried: usize,
    /// The entry up to which the chain was told.
    told: u64,
}

/// Where a journal was found to stand.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) connection: Box<dyn Connection>,
    pub(super) head: Link,
    pub(super) anchor: Link,
}

/// What one transaction is made of.
#[derive(Debug)]
struct Draft {
    recorded: Vec<Recorded>,
    counted: Counted,
    kept: Vec<(String, Option<String>)>,
    head: Link,
}

/// Makes the tables if there are none, and looks whether the latest entries are as they were recorded.
pub(super) async fn prepare(reader: &JournalReader, observer: &dyn Observer) -> Result<Found, JournalError> {
    let mut connection = reader.connect().await?;
    let unwritable = JournalError::Unwritable;
    run(&mut *connection, Request::execute(MAKE_STATE)).await.map_err(JournalError::Unreadable)?;
    if schema(&mut *connection).await?.is_none() {
        run(&mut *connection, Request::script(MAKE)).await.map_err(unwritable)?;
    }
    match walk(&mut *connection, Some(LOOKED_AT), &[]).await {
        Ok(_) => {}
        Err(error @ JournalError::Broken { .. }) => {
            observer.observe(&Event::Journal(JournalEvent::Broken { error: &error }));
        }
        Err(error) => return Err(error),
    }
    let head = link(&mut *connection, Mark::Head).await?;
    let anchor = link(&mut *connection, Mark::Anchor).await?;
    Ok(Found { connection, head, anchor })
}

// === impl Writer ===

impl Writer {
    pub(super) fn new(
        reader: Arc<JournalReader>,
        ledger: Arc<Ledger>,
        parts: JournalParts,
        found: Found,
    ) -> Self {
        let Found { connection, head, anchor } = found;
        Self { reader, ledger, parts, connection: Some(connection), head, anchor, tried: 0, told: head.id }
    }

    /// Writes until the journal is closed and everything is safe, or cannot be made so.
    pub(super) async fn run(mut self) {
        self.tell_head();
        let ledger = self.ledger.clone();
        while let Some(batch) = ledger.take(BATCH).await {
            match self.write(&batch).await {
                Ok(ids) => self.succeeded(batch, &ids),
                Err(error) => {
                    self.connection = None;
                    self.failed(batch, error);
                    if ledger.is_closed() {
                        break;
                    }
                    // Whoever comes is told at once how it stands.
                    let _either = tokio::time::timeout(RETRY, ledger.arrived()).await;
                }
            }
        }
        if self.told < self.head.id {
            self.tell_head();
        }
        if let Some(connection) = self.connection.take() {
            connection.close().await;
        }
    }

    /// Makes a batch safe, or finds that its beginning is; the numbers of the entries that are safe, 0 for
    /// what is none.
    async fn write(&mut self, batch: &[Waiting]) -> Result<Vec<u64>, JournalError> {
        let found = self.reconnect(batch).await?;
        if !found.is_empty() {
            // Told before anything else is tried, which may fail: then this would be tried with it.
            return Ok(found);
        }
        let (draft, ids) = self.draft(batch);
        self.tried = batch.len();
        let connection = &mut **self.connection.as_mut().expect("just made");
        let anchor = commit(connection, &draft, (self.anchor, self.parts.keep.get().into())).await;
        self.anchor = anchor.map_err(JournalError::Unwritable)?;
        self.head = draft.head;
        Ok(ids)
    }

    /// Makes a new connection after a failure. The numbers of what is safe already: an attempt that
    /// failed may have taken effect.
    async fn reconnect(&mut self, batch: &[Waiting]) -> Result<Vec<u64>, JournalError> {
        if self.connection.is_some() {
            return Ok(Vec::new());
        }
        let mut connection = self.reader.connect().await?;
        let head = link(&mut *connection, Mark::Head).await?;
        let (draft, ids) = self.draft(&batch[..self.tried.min(batch.len())]);
        let took_effect = head != self.head && head == draft.head;
        self.anchor = link(&mut *connection, Mark::Anchor).await?;
        self.head = head;
        self.connection = Some(connection);
        Ok(if took_effect { ids } else { Vec::new() })
    }

    fn draft(&self, batch: &[Waiting]) -> (Draft, Vec<u64>) {
        let mut draft =
            Draft { recorded: Vec::new(), counted: Counted::new(), kept: Vec::new(), head: self.head };
        let ids = batch.iter().map(|waiting| match &waiting.work {
            Work::Keep(key, value) => {
                draft.kept.push((key.clone(), value.clone()));
                0
            }
            Work::Entry(at, entry) => {
                let key = (entry.action, entry.cause.interface, entry.verdict());
                *draft.counted.entry(key).or_default() += 1;
                if self.parts.persist_client_limit
                    && let Some(limit) = limit_to_keep(entry)
                {
                    draft.kept.push((CLIENT_LIMIT.to_owned(), Some(limit.clone())));
                }
                draft.recorded.push(draft.head.append(*at, entry.clone()));
                draft.head.id
            }
        });
        let ids = ids.collect();
        (draft, ids)
    }

    fn succeeded(&mut self, mut batch: Vec<Waiting>, ids: &[u64]) {
        let rest = batch.split_off(ids.len());
        let had_failed = self.ledger.written(rest);
        for (waiting, id) in batch.into_iter().zip(ids) {
            // Nobody may wait any more.
            let _unread = waiting.tell.map(|tell| tell.send(Ok(*id)));
        }
        if had_failed {
            let lost = self.ledger.counts().lost;
            self.tell(JournalEvent::Recovered { lost });
        }
        if self.told + ANCHOR_EVERY <= self.head.id {
            self.tell_head();
        }
    }

    fn failed(&self, batch: Vec<Waiting>, error: JournalError) {
        let error = match error {
            JournalError::Unreadable(source) => JournalError::Unwritable(source),
            error => error,
        };
        if self.ledger.put_back(batch, &error) {
            let owed = self.ledger.counts().owed;
            self.tell(JournalEvent::Failed { error: &error, owed });
        }
    }

    /// Whoever keeps the log elsewhere can tell later that nothing up to here was changed.
    fn tell_head(&mut self) {
        let Link { id, hash } = self.head;
        self.told = id;
        self.tell(JournalEvent::Anchored { entry: id, hash });
    }

    fn tell(&self, event: JournalEvent<'_>) {
        self.parts.observer.observe(&Event::Journal(event));
    }
}

/// The client limit that is kept for the next start: one set while the server ran.
fn limit_to_keep(entry: &Entry) -> Option<&String> {
    let is_change = entry.action == Action::ClientLimit
        && entry.cause.interface != Interface::Start
        && entry.result.is_ok();
    if is_change { entry.to.as_ref() } else { None }
}

/// Commits a draft, and lets the oldest entries go where there are more than `keep` by a good deal.
async fn commit(
    connection: &mut dyn Connection,
    draft: &Draft,
    (anchor, keep): (Link, u64),
) -> Result<Link, EngineError> {
    run(connection, Request::execute("BEGIN")).await?;
    let places = "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12";
    let insert: Arc<str> = format!("INSERT INTO entries ({COLUMNS}) VALUES ({places})").into();
    repeat(connection, insert, draft.recorded.iter().map(row_of).collect()).await?;
    if !draft.recorded.is_empty() {
        mark(connection, Mark::Head, draft.head).await?;
    }
    let counted = draft.counted.iter().map(|((action, interface, verdict), n)| {
        vec![text(action.as_str()), text(interface.as_str()), text(verdict.as_str()), number(*n)]
    });
    let add = "INSERT INTO counts (action, interface, verdict, n) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (action, interface, verdict) DO UPDATE SET n = counts.n + excluded.n";
    repeat(connection, add.into(), counted.collect()).await?;
    for (key, value) in &draft.kept {
        keep_value(connection, key, value.as_deref()).await?;
    }
    let anchor = forget(connection, draft.head, (anchor, keep)).await?;
    run(connection, Request::execute("COMMIT")).await?;
    Ok(anchor)
}

async fn mark(connection: &mut dyn Connection, mark: Mark, link: Link) -> Result<(), EngineError> {
    let sql = "INSERT INTO chain (place, id, hash) VALUES ($1, $2, $3) \
               ON CONFLICT (place) DO UPDATE SET id = excluded.id, hash = excluded.hash";
    let values = [text(mark.as_str()), number(link.id), text(&link.hash.to_string())];
    execute(connection, sql, values).await.map(drop)
}

async fn keep_value(
    connection: &mut dyn Connection,
    key: &str,
    value: Option<&str>,
) -> Result<(), EngineError> {
    let (sql, values) = match value {
        Some(value) => (
            "INSERT INTO kept (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            vec![text(key), text(value)],
        ),
        None => ("DELETE FROM kept WHERE key = $1", vec![text(key)]),
    };
    execute(connection, sql, values).await.map(drop)
}

/// Lets go of the oldest entries, many at a time; where the chain begins from then on.
async fn forget(
    connection: &mut dyn Connection,
    head: Link,
    (anchor, keep): (Link, u64),
) -> Result<Link, EngineError> {
    if head.id - anchor.id <= keep + keep / 10 + 100 {
        return Ok(anchor);
    }
    let anchor = match entry_link(connection, head.id - keep).await {
        Ok(anchor) => anchor,
        Err(JournalError::Unreadable(error)) => return Err(error),
        // It was taken out by somebody else: the chain says so, and what is there stays.
        Err(_) => return Ok(anchor),
    };
    execute(connection, "DELETE FROM entries WHERE id <= $1", [number(anchor.id)]).await?;
    mark(connection, Mark::Anchor, anchor).await?;
    Ok(anchor)
}

/// The place of an entry that is there.
pub(super) async fn entry_link(connection: &mut dyn Connection, id: u64) -> Result<Link, JournalError> {
    let sql = "SELECT hash FROM entries WHERE id = $1";
    let rows = execute(connection, sql, [number(id)]).await.map_err(JournalError::Unreadable)?;
    let row = rows.iter().flat_map(Batch::rows).next();
    let hash: Option<Hash> = row.and_then(|row| words(row.values().next())?.parse().ok());
    match hash {
        Some(hash) => Ok(Link { id, hash }),
        None => Err(JournalError::Broken { id, how: super::error::Break::Missing }),
    }
}
