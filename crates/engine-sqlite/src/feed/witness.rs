//! The feed's own connection: it sees what was committed, and compares.
use super::notes::{self, BYTES_MAX, Exact, Named, Note, Notes};
use super::shape::{Key, Shape};
use crate::handle::Handle;
use rowhouse_engine::{Change, ChangeKind, News, Untold};
use rowhouse_types::Value;
use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, Row, ToSql};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// The most tables whose shapes are kept.
const SHAPES_MAX: usize = 4_096;

/// The feed's own connection. It sees SQL of ours only.
pub(super) struct Witness {
    handle: Box<Handle>,
    /// The database as it was seen last.
    seen: Seen,
    /// Tables as the schema has them, and those that are not told.
    shapes: HashMap<String, Known>,
    /// Whether it can look at tables while somebody writes.
    looks: Looks,
}

/// When tables can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looks {
    Always,
    /// Only while nobody writes: they were all looked at then, or could not be.
    Between {
        well: bool,
    },
}

/// What is known of a table: its shape; none if its rows are not to be told; or why they cannot be.
type Known = Result<Option<Arc<Shape>>, Untold>;

/// Which state of the database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    /// Another once anybody else has committed.
    version: i64,
    schema: i64,
}

// === impl Witness ===

impl Witness {
    pub(super) fn new(handle: Box<Handle>) -> rusqlite::Result<Self> {
        let seen = Seen::now(&handle.connection)?;
        let looks = if handle.may_read_freely() { Looks::Always } else { Looks::Between { well: false } };
        let mut witness = Self { handle, seen, shapes: HashMap::new(), looks };
        witness.look_ahead();
        Ok(witness)
    }

    pub(super) fn into_handle(self) -> Box<Handle> {
        self.handle
    }

    /// The shape of a table as of the last commit; none if its rows are not told.
    ///
    /// # Errors
    ///
    /// When they cannot be.
    pub(super) fn shape(&mut self, table: &str) -> Known {
        if let Some(shape) = self.shapes.get(table) {
            return shape.clone();
        }
        match self.looks {
            Looks::Always => self.learn(table),
            Looks::Between { well: true } => Ok(None),
            Looks::Between { well: false } => Err(Untold::Unreadable),
        }
    }

    fn learn(&mut self, table: &str) -> Known {
        if SHAPES_MAX <= self.shapes.len() {
            self.shapes.clear();
        }
        let shape = match Shape::load(&self.handle.connection, table) {
            Ok(shape) => shape.map(|shape| shape.map(Arc::new)),
            // It may be better the next time.
            Err(error) => return Err(unreadable(&error)),
        };
        self.shapes.insert(table.to_owned(), shape.clone());
        shape
    }

    /// Looks at all tables, if it cannot do so later.
    fn look_ahead(&mut self) {
        if self.looks == Looks::Always {
            return;
        }
        let tables = Shape::tables(&self.handle.connection);
        let well = match tables {
            Ok(tables) if tables.len() <= SHAPES_MAX => {
                tables.iter().all(|table| self.learn(table).is_ok() || self.shapes.contains_key(table))
            }
            _ => false,
        };
        self.looks = Looks::Between { well };
    }

    /// Looks anew. Tells if anybody else has committed since the last look.
    pub(super) fn catch_up(&mut self) -> Option<Untold> {
        match Seen::now(&self.handle.connection) {
            Ok(now) if now == self.seen => None,
            Ok(now) => {
                self.see(now);
                Some(Untold::Elsewhere)
            }
            Err(error) => Some(unreadable(&error)),
        }
    }

    /// What has come of the rows that were touched; none if nothing was committed.
    pub(super) fn compare(&mut self, notes: &Notes) -> Option<News> {
        let compared = self.compare_all(notes);
        if !self.handle.connection.is_autocommit()
            && let Err(error) = self.handle.connection.execute_batch("COMMIT")
        {
            return Some(News::Gap(unreadable(&error)));
        }
        compared.unwrap_or_else(|untold| Some(News::Gap(untold)))
    }

    /// Reads all of one state.
    fn compare_all(&mut self, notes: &Notes) -> Result<Option<News>, Untold> {
        self.handle.connection.execute_batch("BEGIN").map_err(|error| unreadable(&error))?;
        let now = Seen::now(&self.handle.connection).map_err(|error| unreadable(&error))?;
        if now == self.seen {
            return Ok(None);
        }
        if self.see(now) {
            return Err(Untold::Schema);
        }
        if let Some(untold) = notes.lost {
            return Err(untold);
        }
        let (mut changes, mut bytes) = (Vec::new(), 0);
        for note in &notes.rows {
            let Some(change) = come_of(note, self.row(note)?) else { continue };
            bytes += change.size();
            if BYTES_MAX < bytes {
                return Err(Untold::TooMuch);
            }
            changes.push(change);
        }
        Ok(Some(News::Committed(changes)))
    }

    /// Takes note of the state; whether the schema is another.
    fn see(&mut self, now: Seen) -> bool {
        let other = now.schema != self.seen.schema;
        if other {
            self.shapes.clear();
            self.look_ahead();
        }
        self.seen = now;
        other
    }

    /// The row that was touched, as it is now, if it is there.
    fn row(&self, note: &Note) -> Result<Option<Box<[Value]>>, Untold> {
        let Note { shape, name, .. } = note;
        let found = || {
            let mut select = self.handle.connection.prepare_cached(&shape.select)?;
            let mut rows = match name {
                Named::Rowid(rowid) => select.query([rowid])?,
                Named::Columns(values) => select.query(rusqlite::params_from_iter(values.iter()))?,
            };
            rows.next()?.map(|row| read(row, shape)).transpose()
        };
        let row = found().map_err(|error| unreadable(&error))?.transpose()?;
        // What a collation takes for the same may be another.
        Ok(row.filter(|row| match (&shape.key, name) {
            (Key::Columns(places), Named::Columns(values)) => {
                places.iter().zip(values).all(|(&at, value)| Exact::of(row[at].as_ref()) == *value)
            }
            _ => true,
        }))
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness").field("seen", &self.seen).finish_non_exhaustive()
    }
}

/// All columns of a row; an error within if they cannot be told.
fn read(row: &Row<'_>, shape: &Shape) -> rusqlite::Result<Result<Box<[Value]>, Untold>> {
    let mut values = Vec::with_capacity(shape.columns.len());
    let mut bytes = 0;
    for at in 0..shape.columns.len() {
        match notes::owned(row.get_ref(at)?) {
            Ok(value) => {
                bytes += notes::size(&value);
                values.push(value);
            }
            Err(untold) => return Ok(Err(untold)),
        }
        if BYTES_MAX < bytes {
            return Ok(Err(Untold::TooMuch));
        }
    }
    Ok(Ok(values.into()))
}

/// What has come of a row; nothing if it is as it was.
fn come_of(note: &Note, after: Option<Box<[Value]>>) -> Option<Change> {
    let Note { shape, before, .. } = note;
    let (kind, columns, row) = match (before, after) {
        (None, None) => return None,
        (None, Some(row)) => (ChangeKind::Insert, &shape.columns, row),
        (Some(before), None) => (ChangeKind::Delete, &shape.stored, before.clone()),
        (Some(before), Some(row)) => {
            let same = shape.places.iter().zip(before).all(|(&at, before)| same(before, &row[at]));
            if same {
                return None;
            }
            (ChangeKind::Update, &shape.columns, row)
        }
    };
    Some(Change { kind, table: shape.table.clone(), columns: columns.clone(), row })
}

fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Real(one), Value::Real(other)) => one.to_bits() == other.to_bits(),
        (one, other) => one == other,
    }
}

fn unreadable(error: &rusqlite::Error) -> Untold {
    tracing::debug!(%error, "what was committed could not be read");
    Untold::Unreadable
}

// === impl Seen ===

impl Seen {
    fn now(connection: &Connection) -> rusqlite::Result<Self> {
        let tell = |pragma: &str| connection.prepare_cached(pragma)?.query_row([], |row| row.get(0));
        Ok(Self { version: tell("PRAGMA data_version")?, schema: tell("PRAGMA schema_version")? })
    }
}

// === impl Exact ===

impl ToSql for Exact {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        use rusqlite::types::ValueRef;
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(n) => ValueRef::Integer(*n),
            Self::Real(bits) => ValueRef::Real(f64::from_bits(*bits)),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
