//! What a database's schema is made of, as it really is, and how two differ.
//!
//! The ledger is no part of it, nor is who owns what, nor what engines note for themselves.
use super::ask::{PATIENCE, ask, sequence};
use super::plan::hex;
use rowhouse_engine::{Connection, Dialect, EngineError, SessionState};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// The most characters of a definition that are told.
const SHOWN: usize = 300;

/// The parts of SQLite's schema.
const SQLITE: &str = "SELECT type || ' ' || name, coalesce(sql, '') FROM main.sqlite_schema \
     WHERE tbl_name <> 'rowhouse_migrations' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY 1";

/// The parts of PostgreSQL's schema.
const POSTGRES: &str = include_str!("fingerprint.sql");

/// The parts of a schema: each with its definition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    parts: BTreeMap<String, String>,
}

/// One part in which a database differs from what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its kind and name.
    pub part: String,
    /// What it should be; `None` where it should not be there.
    pub expected: Option<String>,
    /// What it is; `None` where it is not there.
    pub found: Option<String>,
}

// === impl Schema ===

impl Schema {
    /// Reads the schema of a database.
    pub(super) async fn read(connection: &mut dyn Connection, dialect: Dialect) -> Result<Self, EngineError> {
        let rows = match dialect {
            Dialect::Sqlite => ask(connection, SQLITE).await?,
            Dialect::Postgres => postgres(connection).await?,
        };
        let part = |row: Vec<Option<String>>| {
            let mut cells = row.into_iter().map(Option::unwrap_or_default);
            (cells.next().unwrap_or_default(), cells.next().unwrap_or_default())
        };
        let parts = rows.into_iter().map(part).map(|(part, definition)| match dialect {
            Dialect::Sqlite => (part, normal(&definition)),
            Dialect::Postgres => (part, definition),
        });
        Ok(Self { parts: parts.collect() })
    }

    /// What tells one schema from another.
    pub fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for (part, definition) in &self.parts {
            for text in [part, definition] {
                digest.update((text.len() as u64).to_be_bytes());
                digest.update(text);
            }
        }
        hex(&digest.finalize())
    }

    /// Where this one differs from what it should be.
    pub fn differences<'a>(&'a self, expected: &'a Self) -> impl Iterator<Item = Difference> + 'a {
        let missing_or_other = expected.parts.iter().filter_map(|(part, expected)| {
            let found = self.parts.get(part);
            (found != Some(expected)).then(|| Difference {
                part: part.clone(),
                expected: Some(shown(expected)),
                found: found.map(|found| shown(found)),
            })
        });
        let more = self.parts.iter().filter(|(part, _)| !expected.parts.contains_key(*part));
        missing_or_other.chain(more.map(|(part, found)| Difference {
            part: part.clone(),
            expected: None,
            found: Some(shown(found)),
        }))
    }
}

/// In one transaction that only reads, so that it is of one moment, with every name written in full.
async fn postgres(connection: &mut dyn Connection) -> Result<Vec<Vec<Option<String>>>, EngineError> {
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL search_path = pg_catalog";
    sequence(connection, begin, (true, Some(PATIENCE))).await?;
    let rows = ask(connection, POSTGRES).await;
    if connection.state() == SessionState::Transaction {
        // What fails here is undone when the connection is reset.
        let _undone = sequence(connection, "ROLLBACK", (true, Some(PATIENCE))).await;
    }
    rows
}

fn shown(definition: &str) -> String {
    match definition.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &definition[..at]),
        None => definition.to_owned(),
    }
}

/// SQL without comments, and with one space where there are blanks, outside of quotes.
fn normal(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len());
    let mut rest = sql.chars().peekable();
    let mut gap = false;
    while let Some(char) = rest.next() {
        match (char, rest.peek()) {
            ('-', Some('-')) => {
                rest.by_ref().find(|&char| char == '\n');
                gap = true;
                continue;
            }
            ('/', Some('*')) => {
                let mut last = ' ';
                rest.next();
                rest.by_ref().find(|&char| std::mem::replace(&mut last, char) == '*' && char == '/');
                gap = true;
                continue;
            }
            (char, _) if char.is_ascii_whitespace() => {
                gap = true;
                continue;
            }
            _ => {}
        }
        // Beside a mark a blank says nothing.
        let is_mark = |char: char| matches!(char, '(' | ')' | ',' | ';');
        if std::mem::take(&mut gap) && !is_mark(char) && !text.is_empty() && !text.ends_with(is_mark) {
            text.push(' ');
        }
        text.push(char);
        let quote = match char {
            '[' => ']',
            '\'' | '"' | '`' => char,
            _ => continue,
        };
        // A doubled quote ends one and begins another.
        for inner in rest.by_ref() {
            text.push(inner);
            if inner == quote {
                break;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(parts: &[(&str, &str)]) -> Schema {
        let owned = parts.iter().map(|(part, text)| ((*part).to_owned(), (*text).to_owned()));
        Schema { parts: owned.collect() }
    }

    #[test]
    fn blanks_and_comments_are_no_difference_and_all_else_is() {
        let table = "CREATE TABLE t (a TEXT DEFAULT 'x  --y', b)";
        for same in [
            "CREATE TABLE t(a TEXT DEFAULT 'x  --y',b)",
            "CREATE  TABLE\n t ( a TEXT -- what\n DEFAULT 'x  --y' , /* and */ b )",
        ] {
            assert_eq!(normal(same), normal(table));
        }
        for other in ["CREATE TABLE t (a TEXT DEFAULT 'x --y', b)", "CREATE TABLE t (a TEXT, b)"] {
            assert_ne!(normal(other), normal(table));
        }
    }

    #[test]
    fn what_differs_is_named() {
        let expected = schema(&[("table a", "1"), ("table b", "2"), ("index c", "3")]);
        let found = schema(&[("table a", "1"), ("table b", "other"), ("view d", "4")]);
        let differences: Vec<_> = found.differences(&expected).collect();
        let brief: Vec<_> = differences
            .iter()
            .map(|each| (each.part.as_str(), each.expected.as_deref(), each.found.as_deref()))
            .collect();
        assert_eq!(
            brief,
            [
                ("index c", Some("3"), None),
                ("table b", Some("2"), Some("other")),
                ("view d", None, Some("4"))
            ]
        );
        assert_ne!(found.digest(), expected.digest());
        assert_eq!(expected.differences(&expected.clone()).count(), 0);
    }
}
