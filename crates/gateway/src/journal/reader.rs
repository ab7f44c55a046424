//! Reading a journal's database: beside its writer, in this process or another.
use super::chain::{Hash, Verified, Walk};
use super::entry::{Action, Interface, Query, Recorded, Verdict};
use super::error::{Break, JournalError};
use super::sql::{COLUMNS, Mark, SCHEMA, entry_in, link, name_of};
use crate::sql::{execute, integer, micros, number, run, text, words};
use rowhouse_engine::{Batch, Connection, Database, EngineError, Row};
use rowhouse_types::{Request, Value, ValueRef};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The most readings at once.
const READERS: usize = 4;

/// Entries read at once on the way through the chain.
const PAGE: u64 = 1000;

/// A journal's database, to be read only.
#[derive(Debug)]
pub struct JournalReader {
    database: Arc<dyn Database>,
    turns: Semaphore,
}

/// The counts of all time, by action, interface and how it ended.
pub(super) type Counted = BTreeMap<(Action, Interface, Verdict), u64>;

// === impl JournalReader ===

impl JournalReader {
    /// Reads the journal in this database.
    ///
    /// # Errors
    ///
    /// When there is none, it cannot be read, or a newer program has written it.
    pub async fn open(database: Arc<dyn Database>) -> Result<Self, JournalError> {
        let reader = Self::of(database);
        let mut connection = reader.connect().await?;
        match schema(&mut *connection).await? {
            Some(_) => Ok(reader),
            None => Err(JournalError::Damaged { what: "it holds no journal" }),
        }
    }

    pub(super) fn of(database: Arc<dyn Database>) -> Self {
        Self { database, turns: Semaphore::new(READERS) }
    }

    /// The entries asked for, the newest first.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub async fn entries(&self, query: &Query) -> Result<Vec<Recorded>, JournalError> {
        let _turn = self.turns.acquire().await;
        let mut connection = self.connect().await?;
        let (sql, arguments) = select(query);
        let rows = execute(&mut *connection, sql, arguments).await.map_err(JournalError::Unreadable)?;
        Ok(rows.iter().flat_map(Batch::rows).map(entry_in).collect())
    }

    /// Goes through the chain of all entries that are kept; `anchors` are entries' numbers and the hashes
    /// they had when those were written down elsewhere. An entry that is no longer kept cannot be
    /// compared.
    ///
    /// # Errors
    ///
    /// [`JournalError::Broken`] with the first entry that is not as it was recorded.
    pub async fn verify(&self, anchors: &[(u64, Hash)]) -> Result<Verified, JournalError> {
        let _turn = self.turns.acquire().await;
        let mut connection = self.connect().await?;
        // One view of it, whatever is recorded meanwhile.
        run(&mut *connection, Request::execute("BEGIN")).await.map_err(JournalError::Unreadable)?;
        let verified = walk(&mut *connection, None, anchors).await;
        run(&mut *connection, Request::execute("COMMIT")).await.map_err(JournalError::Unreadable)?;
        let verified = verified?;
        match anchors.iter().find(|(anchored, _)| verified.last < *anchored) {
            Some(&(id, _)) => Err(JournalError::Broken { id, how: Break::Missing }),
            None => Ok(verified),
        }
    }

    /// What is kept.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn kept(&self) -> Result<BTreeMap<String, String>, JournalError> {
        let _turn = self.turns.acquire().await;
        let mut connection = self.connect().await?;
        let rows = execute(&mut *connection, "SELECT key, value FROM kept", []).await;
        let rows = rows.map_err(JournalError::Unreadable)?;
        let pair = |row: Row<'_>| {
            let mut cells = row.values();
            Some((words(cells.next())?.to_owned(), words(cells.next())?.to_owned()))
        };
        Ok(rows.iter().flat_map(Batch::rows).filter_map(pair).collect())
    }

    /// Lets go of the database.
    ///
    /// # Errors
    ///
    /// When it does not close cleanly; what was recorded is safe.
    pub async fn close(&self) -> Result<(), EngineError> {
        self.database.close().await
    }

    pub(super) async fn connect(&self) -> Result<Box<dyn Connection>, JournalError> {
        self.database.connect().await.map_err(JournalError::Unreadable)
    }
}

/// The version of the tables; `None` when there are none.
pub(super) async fn schema(connection: &mut dyn Connection) -> Result<Option<u64>, JournalError> {
    let sql = "SELECT value FROM state WHERE key = 'schema'";
    let rows = execute(connection, sql, []).await.map_err(JournalError::Unreadable)?;
    let Some(row) = rows.iter().flat_map(Batch::rows).next() else { return Ok(None) };
    match words(row.values().next()).and_then(|schema| schema.parse().ok()) {
        Some(found) if found <= SCHEMA => Ok(Some(found)),
        Some(found) => Err(JournalError::Newer { found, known: SCHEMA }),
        None => Err(JournalError::Damaged { what: "the version of its tables is none" }),
    }
}

/// Goes through the chain from its beginning or, where `latest` is given, through that many entries.
pub(super) async fn walk(
    connection: &mut dyn Connection,
    latest: Option<u64>,
    anchors: &[(u64, Hash)],
) -> Result<Verified, JournalError> {
    let (head, mut begin) = (link(connection, Mark::Head).await?, link(connection, Mark::Anchor).await?);
    if let Some(latest) = latest
        && begin.id + latest < head.id
    {
        begin = super::writer::entry_link(connection, head.id - latest).await?;
    }
    let (mut walk, mut after) = (Walk::from(begin), begin.id);
    loop {
        let sql = format!("SELECT {COLUMNS} FROM entries WHERE id > $1 ORDER BY id LIMIT {PAGE}");
        let rows = execute(connection, sql, [number(after)]).await.map_err(JournalError::Unreadable)?;
        let mut count = 0;
        for row in rows.iter().flat_map(Batch::rows) {
            after = step(&mut walk, row, anchors)?;
            count += 1;
        }
        if count < PAGE {
            return walk.end(head);
        }
    }
}

fn step(walk: &mut Walk, row: Row<'_>, anchors: &[(u64, Hash)]) -> Result<u64, JournalError> {
    // As they are stored, and not as they are understood: a change that means nothing is one, too.
    let texts: Vec<_> = row.values().map(as_text).collect();
    let fields: Vec<_> = texts.iter().map(Option::as_deref).collect();
    let id = integer(row.values().next()).unwrap_or(0).unsigned_abs();
    let (hash, fields) = fields.split_last().expect("a row has columns");
    let hash = hash.and_then(|hash| hash.parse().ok());
    walk.step(id, fields, hash)?;
    match anchors.iter().find(|(anchored, was)| *anchored == id && hash != Some(*was)) {
        Some(&(id, was)) => Err(JournalError::Broken { id, how: Break::NotAsAnchored { was } }),
        None => Ok(id),
    }
}

fn as_text(cell: ValueRef<'_>) -> Option<String> {
    match cell {
        ValueRef::Null => None,
        ValueRef::Integer(n) => Some(n.to_string()),
        ValueRef::Real(x) => Some(x.to_string()),
        ValueRef::Text(text) => Some(text.to_owned()),
        // Nothing of ours: no text is written like it.
        ValueRef::Blob(bytes) => Some(format!("{bytes:?}")),
    }
}

fn select(query: &Query) -> (String, Vec<Value>) {
    let Query { action, database, since, before, .. } = query;
    let (mut sql, mut arguments) = (format!("SELECT {COLUMNS} FROM entries WHERE 1 = 1"), Vec::new());
    let since = since.map(|since| Value::Integer(micros(since)));
    for (column, value) in [
        ("action =", action.map(|action| text(action.as_str()))),
        ("target =", database.as_ref().map(|target| text(name_of(target)))),
        ("at >=", since),
        ("id <", before.map(number)),
    ] {
        if let Some(value) = value {
            arguments.push(value);
            write!(sql, " AND {column} ${}", arguments.len()).expect("into memory");
        }
    }
    write!(sql, " ORDER BY id DESC LIMIT {}", query.most()).expect("into memory");
    (sql, arguments)
}

/// The counts of all time.
pub(super) async fn counted(connection: &mut dyn Connection) -> Result<Counted, JournalError> {
    let sql = "SELECT action, interface, verdict, n FROM counts";
    let rows = execute(connection, sql, []).await.map_err(JournalError::Unreadable)?;
    let one = |row: Row<'_>| {
        let mut cells = row.values();
        let mut word = || words(cells.next());
        let key = (
            word().and_then(Action::from_word)?,
            word().and_then(Interface::from_word)?,
            word().and_then(Verdict::from_word)?,
        );
        Some((key, integer(cells.next())?.unsigned_abs()))
    };
    Ok(rows.iter().flat_map(Batch::rows).filter_map(one).collect())
}
