//! What a transaction has touched: the rows, as they were before it.
//!
//! Invariants: each row is noted once, as it was when it was first touched; no more rows and bytes are
//! held than may be, and then none, but that it was too much.
use super::shape::{Key, Shape};
use rowhouse_engine::Untold;
use rowhouse_types::{Value, ValueRef};
use rusqlite::hooks::{PreUpdateCase, PreUpdateNewValueAccessor, PreUpdateOldValueAccessor};
use std::collections::HashSet;
use std::sync::Arc;

/// The most rows that are told of one transaction.
pub(super) const ROWS_MAX: usize = 10_000;

/// The most bytes of rows that are told of one transaction.
pub(super) const BYTES_MAX: usize = 8 << 20;

/// What a transaction has touched.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) rows: Vec<Note>,
    known: HashSet<(Arc<str>, Named)>,
    bytes: usize,
    /// Why not all that it has touched is noted.
    pub(super) lost: Option<Untold>,
}

/// A row that was touched.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) shape: Arc<Shape>,
    pub(super) name: Named,
    /// Its stored columns as they were; none if it was not there.
    pub(super) before: Option<Box<[Value]>>,
}

/// What tells a row from the others of its table, exactly: what collations take for equal is two.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Named {
    Rowid(i64),
    Columns(Box<[Exact]>),
}

/// A value that is equal to itself only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Exact {
    Null,
    Integer(i64),
    Real(u64),
    Text(Box<str>),
    Blob(Box<[u8]>),
}

/// Reads a column of the row at hand.
type Read<'a> = &'a dyn Fn(usize) -> Result<Value, Untold>;

// === impl Notes ===

impl Notes {
    /// Notes the row that is about to be changed.
    pub(super) fn note(
        &mut self,
        case: &PreUpdateCase,
        shape: impl FnOnce() -> Result<Option<Arc<Shape>>, Untold>,
    ) {
        if self.lost.is_some() {
            return;
        }
        // What has no shape is none of a client's, or was made in this transaction, which shows
        // in the schema.
        let noted = shape().and_then(|shape| shape.map_or(Ok(()), |shape| self.touch_all(case, &shape)));
        if let Err(untold) = noted {
            *self = Self { lost: Some(untold), ..Self::default() };
        }
    }

    fn touch_all(&mut self, case: &PreUpdateCase, shape: &Arc<Shape>) -> Result<(), Untold> {
        match case {
            PreUpdateCase::Insert(new) => {
                let name = name(shape, new.get_new_row_id(), &|at| new_value(new, at))?;
                self.touch(shape, name, None)
            }
            PreUpdateCase::Delete(old) => {
                let read = |at: usize| old_value(old, at);
                self.touch(shape, name(shape, old.get_old_row_id(), &read)?, Some(&read))
            }
            PreUpdateCase::Update { old_value_accessor: old, new_value_accessor: new } => {
                let read = |at: usize| old_value(old, at);
                let before = name(shape, old.get_old_row_id(), &read)?;
                let after = name(shape, new.get_new_row_id(), &|at| new_value(new, at))?;
                let moved = before != after;
                self.touch(shape, before, Some(&read))?;
                if moved { self.touch(shape, after, None) } else { Ok(()) }
            }
            PreUpdateCase::Unknown => Err(Untold::Unreadable),
        }
    }

    fn touch(&mut self, shape: &Arc<Shape>, name: Named, before: Option<Read<'_>>) -> Result<(), Untold> {
        let entry = (shape.table.clone(), name);
        if self.known.contains(&entry) {
            return Ok(());
        }
        let before = before.map(|read| shape.places.iter().map(|&at| read(at)).collect()).transpose()?;
        let note = Note { shape: shape.clone(), name: entry.1.clone(), before };
        self.bytes += note.size();
        if ROWS_MAX <= self.rows.len() || BYTES_MAX < self.bytes {
            return Err(Untold::TooMuch);
        }
        self.known.insert(entry);
        self.rows.push(note);
        Ok(())
    }
}

// === impl Note ===

impl Note {
    fn size(&self) -> usize {
        let before: usize = self.before.iter().flat_map(|row| row.iter()).map(size).sum();
        let name = match &self.name {
            Named::Rowid(_) => 0,
            Named::Columns(values) => values.iter().map(Exact::size).sum(),
        };
        size_of::<Self>() + before + 2 * name
    }
}

/// What a value takes, about.
pub(super) fn size(value: &Value) -> usize {
    let held = match value {
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
        Value::Null | Value::Integer(_) | Value::Real(_) => 0,
    };
    size_of::<Value>() + held
}

// === impl Exact ===

impl Exact {
    pub(super) fn of(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(n) => Self::Integer(n),
            ValueRef::Real(x) => Self::Real(x.to_bits()),
            ValueRef::Text(text) => Self::Text(text.into()),
            ValueRef::Blob(bytes) => Self::Blob(bytes.into()),
        }
    }

    fn size(&self) -> usize {
        let held = match self {
            Self::Text(text) => text.len(),
            Self::Blob(bytes) => bytes.len(),
            Self::Null | Self::Integer(_) | Self::Real(_) => 0,
        };
        size_of::<Self>() + held
    }
}

fn name(shape: &Shape, rowid: i64, read: Read<'_>) -> Result<Named, Untold> {
    match &shape.key {
        Key::Rowid => Ok(Named::Rowid(rowid)),
        Key::Columns(places) => {
            let exact = |&at: &usize| Ok(Exact::of(read(at)?.as_ref()));
            Ok(Named::Columns(places.iter().map(exact).collect::<Result<_, Untold>>()?))
        }
    }
}

fn old_value(old: &PreUpdateOldValueAccessor, at: usize) -> Result<Value, Untold> {
    let at = i32::try_from(at).map_err(|_| Untold::Unreadable)?;
    owned(old.get_old_column_value(at).map_err(|_| Untold::Unreadable)?)
}

fn new_value(new: &PreUpdateNewValueAccessor, at: usize) -> Result<Value, Untold> {
    let at = i32::try_from(at).map_err(|_| Untold::Unreadable)?;
    owned(new.get_new_column_value(at).map_err(|_| Untold::Unreadable)?)
}

/// The value, copied, if it is not too large by itself.
pub(super) fn owned(value: rusqlite::types::ValueRef<'_>) -> Result<Value, Untold> {
    use rusqlite::types::ValueRef as Sqlite;
    let value = match value {
        Sqlite::Text(bytes) | Sqlite::Blob(bytes) if BYTES_MAX < bytes.len() => return Err(Untold::TooMuch),
        Sqlite::Null => ValueRef::Null,
        Sqlite::Integer(n) => ValueRef::Integer(n),
        Sqlite::Real(x) => ValueRef::Real(x),
        Sqlite::Blob(bytes) => ValueRef::Blob(bytes),
        Sqlite::Text(bytes) => ValueRef::Text(std::str::from_utf8(bytes).map_err(|_| Untold::Unreadable)?),
    };
    Ok(value.to_value())
}
