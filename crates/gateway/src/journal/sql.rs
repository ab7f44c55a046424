//! The journal's database: its tables, and how values get in and out. SQL that SQLite and PostgreSQL take.
use super::chain::{Hash, Link};
use super::entry::{Action, Cause, Entry, Interface, Recorded};
use super::error::JournalError;
use crate::sql::{at, execute, integer, micros, number, optional, text, words};
use rowhouse_engine::{Batch, Connection, Row};
use rowhouse_types::{Target, Value};

/// The version of the tables that this program writes and reads.
pub(super) const SCHEMA: u64 = 1;

/// Where the schema's version stands; the first to be made.
pub(super) const MAKE_STATE: &str =
    "CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value TEXT NOT NULL)";

/// All that is made of nothing, in one transaction.
pub(super) const MAKE: &str = "\
BEGIN;
CREATE TABLE entries (
    id BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    action TEXT NOT NULL,
    interface TEXT NOT NULL,
    who TEXT NOT NULL,
    reason TEXT,
    target TEXT,
    was TEXT,
    became TEXT,
    active BIGINT,
    refused TEXT,
    hash TEXT NOT NULL
);
CREATE INDEX entries_by_action ON entries (action, id);
CREATE INDEX entries_by_target ON entries (target, id);
CREATE TABLE chain (place TEXT PRIMARY KEY, id BIGINT NOT NULL, hash TEXT NOT NULL);
CREATE TABLE counts (
    action TEXT NOT NULL,
    interface TEXT NOT NULL,
    verdict TEXT NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (action, interface, verdict)
);
CREATE TABLE kept (key TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO state (key, value) VALUES ('schema', '1');
COMMIT";

/// The columns of an entry, in the order of the fields its hash covers, and the hash.
pub(super) const COLUMNS: &str =
    "id, at, action, interface, who, reason, target, was, became, active, refused, hash";

/// The place of the last entry, or of the last that is no longer kept.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    Head,
    Anchor,
}

// === impl Mark ===

impl Mark {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Anchor => "anchor",
        }
    }
}

/// Where the chain ends, or begins.
pub(super) async fn link(connection: &mut dyn Connection, mark: Mark) -> Result<Link, JournalError> {
    let sql = "SELECT id, hash FROM chain WHERE place = $1";
    let rows = execute(connection, sql, [text(mark.as_str())]).await.map_err(JournalError::Unreadable)?;
    let Some(row) = rows.iter().flat_map(Batch::rows).next() else { return Ok(Link::START) };
    let mut cells = row.values();
    let link = (integer(cells.next()), words(cells.next()).and_then(|hash| hash.parse().ok()));
    match link {
        (Some(id), Some(hash)) => Ok(Link { id: id.unsigned_abs(), hash }),
        _ => Err(JournalError::Damaged { what: "the mark of the chain's end is none" }),
    }
}

/// The row of an entry.
pub(super) fn row_of(recorded: &Recorded) -> Vec<Value> {
    let Recorded { id, at, entry, hash } = recorded;
    vec![
        number(*id),
        Value::Integer(micros(*at)),
        text(entry.action.as_str()),
        text(entry.cause.interface.as_str()),
        text(&entry.cause.who),
        optional(entry.cause.reason.as_deref()),
        entry.database.as_ref().map_or(Value::Null, |target| text(name_of(target))),
        optional(entry.from.as_deref()),
        optional(entry.to.as_deref()),
        entry.active.map_or(Value::Null, |active| Value::Integer(active.into())),
        entry.result.as_ref().err().map_or(Value::Null, |why| text(why)),
        text(&hash.to_string()),
    ]
}

/// The entry in a row. What nobody could have recorded is read as well as can be: going through the
/// chain tells that it was changed.
pub(super) fn entry_in(row: Row<'_>) -> Recorded {
    let cells: Vec<_> = row.values().collect();
    let cell = |at: usize| cells.get(at).copied();
    let owned = |at: usize| words(cell(at)).map(str::to_owned);
    let interface = words(cell(3)).and_then(Interface::from_word).unwrap_or(Interface::Library);
    let cause = Cause { interface, who: owned(4).unwrap_or_default(), reason: owned(5) };
    let entry = Entry {
        action: words(cell(2)).and_then(Action::from_word).unwrap_or(Action::Unknown),
        cause,
        database: words(cell(6)).and_then(target_of),
        from: owned(7),
        to: owned(8),
        active: integer(cell(9)).and_then(|active| u32::try_from(active).ok()),
        result: owned(10).map_or(Ok(()), Err),
    };
    let hash = words(cell(11)).and_then(|hash| hash.parse().ok()).unwrap_or(Hash::ZERO);
    Recorded {
        id: integer(cell(0)).unwrap_or(0).unsigned_abs(),
        at: at(integer(cell(1)).unwrap_or(0)),
        entry,
        hash,
    }
}

/// The name of a database as it is stored and hashed; of the default one, the empty text.
pub(super) fn name_of(target: &Target) -> &str {
    target.name().map_or("", |name| name.as_str())
}

fn target_of(name: &str) -> Option<Target> {
    if name.is_empty() { Some(Target::Default) } else { name.parse().ok().map(Target::Named) }
}
