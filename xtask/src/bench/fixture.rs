//! Databases on disk for the subjects to open.
//!
//! They lie beneath `target/`, on the disk that holds the project: a temporary directory may be memory,
//! where nothing is durable and everything is fast.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::run;

/// Reads the row that every prepared database holds.
pub(super) const READ_ROW: &str = "SELECT v FROM kept WHERE id = 1";
/// Adds a row to a prepared database; takes one text.
pub(super) const ADD_ROW: &str = "INSERT INTO kept (v) VALUES (?)";
/// The text of an added row.
pub(super) const ROW: &str = "a row such as applications write, of a few dozen bytes";
/// Counts the rows of a prepared database.
pub(super) const COUNT_ROWS: &str = "SELECT count(*) FROM kept";

/// A page of SQLite's, unless a database says otherwise.
const PAGE: u64 = 4096;

/// Makes a folder that is removed when dropped.
pub(super) fn folder() -> Result<TempDir> {
    let target = run::root().join("target");
    tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(&target)
        .with_context(|| format!("cannot make a folder in {}", target.display()))
}

/// Names so many databases of a kind.
pub(super) fn names(kind: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{kind}-{number}")).collect()
}

/// Returns where the database of a name lies.
pub(super) fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.db"))
}

/// Returns where the log of the database of a name lies.
pub(super) fn log(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.db-wal"))
}

/// Writes a database with one row, closed and checkpointed.
pub(super) fn prepare(file: &Path) -> Result<()> {
    prepare_of_size(file, 0)
}

/// Writes a database with one row and about so many bytes in all, closed and checkpointed.
pub(super) fn prepare_of_size(file: &Path, bytes: u64) -> Result<()> {
    let connection = Connection::open(file).with_context(|| format!("cannot create {}", file.display()))?;
    connection.execute_batch(
        "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; BEGIN;
         CREATE TABLE kept (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO kept VALUES (1, 'one');
         CREATE TABLE filler (id INTEGER PRIMARY KEY, v BLOB);",
    )?;
    // A row of 7,000 bytes takes a page and an overflow page.
    let rows = (bytes / PAGE / 2).saturating_sub(1);
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?1)
                INSERT INTO filler (v) SELECT randomblob(7000) FROM n WHERE 0 < ?1";
    connection.execute(fill, [i64::try_from(rows)?])?;
    connection.execute_batch("COMMIT")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.close().map_err(|(_, error)| error)?;
    // What is measured later shall not wait for what is written here.
    fs::File::open(file)?.sync_all().with_context(|| format!("cannot write {}", file.display()))
}

/// Writes databases of these names as [`prepare_of_size`] does, each a copy of the first.
pub(super) fn prepare_many(folder: &Path, names: &[String], bytes: u64) -> Result<()> {
    let Some((first, others)) = names.split_first() else { return Ok(()) };
    let first = file(folder, first);
    prepare_of_size(&first, bytes)?;
    for name in others {
        let copy = file(folder, name);
        fs::copy(&first, &copy).with_context(|| format!("cannot write {}", copy.display()))?;
    }
    fs::File::open(folder)?.sync_all().context("cannot write the folder")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_takes_about_the_bytes_asked_for() {
        let folder = TempDir::new().unwrap();
        for (bytes, off) in [(16 << 10, 0), (1 << 20, 8 * PAGE)] {
            let file = file(folder.path(), &bytes.to_string());

            prepare_of_size(&file, bytes).unwrap();

            let size = fs::metadata(&file).unwrap().len();
            assert!(size.abs_diff(bytes) <= off, "{size} instead of {bytes}");
        }
    }

    #[test]
    fn every_copy_holds_the_row_and_takes_another() {
        let folder = TempDir::new().unwrap();
        let names = names("copy", 3);

        prepare_many(folder.path(), &names, 0).unwrap();

        for name in &names {
            let connection = Connection::open(file(folder.path(), name)).unwrap();
            let row: String = connection.query_row(READ_ROW, [], |row| row.get(0)).unwrap();
            assert_eq!(row, "one");
            connection.execute(ADD_ROW, [ROW]).unwrap();
            let rows: i64 = connection.query_row(COUNT_ROWS, [], |row| row.get(0)).unwrap();
            assert_eq!(rows, 2);
        }
    }
}
