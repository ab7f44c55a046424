//! What the feed knows of a table: its columns, and how a row of it is found again.
use rowhouse_engine::Untold;
use rusqlite::{Connection, OptionalExtension};
use std::sync::Arc;

/// The names a rowid goes by, where no column has taken them.
const ROWIDS: [&str; 3] = ["rowid", "_rowid_", "oid"];

/// A table whose rows are told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) table: Arc<str>,
    /// All columns, in order.
    pub(super) columns: Arc<[String]>,
    /// Those of them that are stored and not computed when they are read, which is all there is
    /// of a row that is gone.
    pub(super) stored: Arc<[String]>,
    /// Where the stored ones are among all.
    pub(super) places: Vec<usize>,
    pub(super) key: Key,
    /// Finds a row by its key, which are its parameters.
    pub(super) select: String,
}

/// What tells a row from the others of its table.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Key {
    Rowid,
    /// The columns of the primary key, by their places.
    Columns(Vec<usize>),
}

/// A column as SQLite describes it.
struct Column {
    name: String,
    computed: bool,
    /// Its place in the primary key, from 1; 0 if it is not in it.
    key: i64,
}

// === impl Shape ===

impl Shape {
    /// The names of all tables whose rows may be told.
    pub(super) fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
        let mut tables = connection
            .prepare_cached("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'")?;
        tables.query_map([], |row| row.get(0))?.collect()
    }

    /// The shape of the table of this name; none if it is none of a client's. An error within if its rows
    /// have no name to find them by.
    pub(super) fn load(
        connection: &Connection,
        table: &str,
    ) -> rusqlite::Result<Result<Option<Self>, Untold>> {
        let without_rowid: Option<bool> = connection
            .prepare_cached(
                "SELECT wr FROM pragma_table_list(?1) WHERE schema = 'main' AND type = 'table' AND name = ?1",
            )?
            .query_row([table], |row| row.get(0))
            .optional()?;
        let Some(without_rowid) = without_rowid else { return Ok(Ok(None)) };
        let columns = columns(connection, table)?;
        let (key, by) = if without_rowid {
            let mut key: Vec<usize> = (0..columns.len()).filter(|&at| columns[at].key != 0).collect();
            key.sort_unstable_by_key(|&at| columns[at].key);
            let by: Vec<String> = key.iter().map(|&at| quoted(&columns[at].name)).collect();
            (Key::Columns(key), by)
        } else {
            let taken = |name: &str| columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
            let Some(rowid) = ROWIDS.into_iter().find(|name| !taken(name)) else {
                return Ok(Err(Untold::Unreadable));
            };
            (Key::Rowid, vec![rowid.to_owned()])
        };
        let wanted: Vec<String> = by.iter().map(|name| format!("{name} = ?")).collect();
        let select = format!("SELECT * FROM main.{} WHERE {}", quoted(table), wanted.join(" AND "));
        let places: Vec<usize> = (0..columns.len()).filter(|&at| !columns[at].computed).collect();
        Ok(Ok(Some(Self {
            table: table.into(),
            stored: places.iter().map(|&at| columns[at].name.clone()).collect(),
            columns: columns.into_iter().map(|column| column.name).collect(),
            places,
            key,
            select,
        })))
    }
}

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<Column>> {
    let mut statement = connection
        .prepare_cached("SELECT name, hidden, pk FROM pragma_table_xinfo(?1, 'main') ORDER BY cid")?;
    let columns = statement.query_map([table], |row| {
        let hidden: i64 = row.get(1)?;
        // 2 is computed when it is read, 3 when it is written.
        Ok(Column { name: row.get(0)?, computed: hidden == 2, key: row.get(2)? })
    })?;
    columns.collect()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
