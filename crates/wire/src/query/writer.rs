//! Results, written row by row.
use super::Format;
use super::csv::put_record;
use super::value::{put_number, put_value};
use crate::json::put_str;
use rowhouse_types::ValueRef;

/// Writes the result of one statement. What is written can be taken, and sent, at any time.
#[derive(Debug)]
pub struct ResultWriter {
    format: Format,
    out: Vec<u8>,
    /// What stands before each value of a row of JSON's: its key.
    keys: Vec<Vec<u8>>,
    has_columns: bool,
    rows: u64,
}

/// Why a query failed, as its client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryError<'a> {
    /// A word for programs.
    pub code: &'a str,
    /// A sentence for people.
    pub message: &'a str,
    /// What to do next.
    pub hint: Option<&'a str>,
}

// === impl ResultWriter ===

impl ResultWriter {
    /// Begins a result that has these columns; none if its statement yields no rows.
    pub fn new<'c>(format: Format, columns: impl IntoIterator<Item = &'c str>) -> Self {
        let columns: Vec<&str> = columns.into_iter().collect();
        let (out, has_columns) = (Vec::with_capacity(1024), !columns.is_empty());
        let mut writer = Self { format, out, keys: Vec::new(), has_columns, rows: 0 };
        match format {
            Format::Json => {
                writer.raw("{\"columns\":[");
                for (at, column) in columns.iter().enumerate() {
                    writer.raw(if at > 0 { "," } else { "" });
                    put_str(&mut writer.out, column);
                }
                writer.raw("],\"rows\":[");
            }
            Format::Lines => writer.keys = keys(&columns),
            Format::Csv if columns.is_empty() => {}
            Format::Csv => put_record(&mut writer.out, columns.into_iter().map(ValueRef::Text)),
        }
        writer
    }

    /// Writes a row.
    pub fn row<'v>(&mut self, values: impl Iterator<Item = ValueRef<'v>>) {
        match self.format {
            Format::Json => {
                self.raw(if self.rows > 0 { ",[" } else { "[" });
                for (at, value) in values.enumerate() {
                    self.raw(if at > 0 { "," } else { "" });
                    put_value(&mut self.out, value);
                }
                self.raw("]");
            }
            Format::Lines => {
                for (key, value) in self.keys.iter().zip(values) {
                    self.out.extend_from_slice(key);
                    put_value(&mut self.out, value);
                }
                self.raw("}\n");
            }
            Format::Csv => put_record(&mut self.out, values),
        }
        self.rows += 1;
    }

    /// Ends the result: how many rows were changed, and the key of the row inserted last. As lines or CSV
    /// it is told only where there are no columns.
    pub fn finish(&mut self, rows_affected: u64, last_insert_id: Option<i64>) {
        let affected = i64::try_from(rows_affected).unwrap_or(i64::MAX);
        match self.format {
            Format::Json => {
                self.raw("],");
                self.counts(affected, last_insert_id);
                self.raw("\n");
            }
            Format::Lines | Format::Csv if self.has_columns => {}
            Format::Lines => {
                self.raw("{");
                self.counts(affected, last_insert_id);
                self.raw("\n");
            }
            Format::Csv => {
                put_record(
                    &mut self.out,
                    ["rows_affected", "last_insert_id"].into_iter().map(ValueRef::Text),
                );
                let id = last_insert_id.map_or(ValueRef::Null, ValueRef::Integer);
                put_record(&mut self.out, [ValueRef::Integer(affected), id].into_iter());
            }
        }
    }

    /// Writes what went wrong when a part of the result may have been sent already; in CSV it has no place.
    ///
    /// Whoever sends it must then break the transfer off: part of a result is not to be taken for all of it.
    pub fn break_off(&mut self, error: &QueryError<'_>) {
        match self.format {
            Format::Json => {
                self.raw("],\"error\":");
                put_error(&mut self.out, error);
                self.raw("}\n");
            }
            Format::Lines => self.out.extend_from_slice(&failure(error)),
            Format::Csv => {}
        }
    }

    /// How many bytes are not taken yet.
    pub fn buffered(&self) -> usize {
        self.out.len()
    }

    /// Takes what was written so far.
    pub fn take(&mut self) -> Vec<u8> {
        let room = Vec::with_capacity(self.out.len());
        std::mem::replace(&mut self.out, room)
    }

    fn counts(&mut self, affected: i64, last_insert_id: Option<i64>) {
        self.raw("\"rows_affected\":");
        put_number(&mut self.out, affected);
        self.raw(",\"last_insert_id\":");
        match last_insert_id {
            Some(id) => put_number(&mut self.out, id),
            None => self.raw("null"),
        }
        self.raw("}");
    }

    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }
}

/// The keys of an object of these columns, each with what stands before it. Columns that have the name of
/// another are numbered, for no key may be there twice.
fn keys(columns: &[&str]) -> Vec<Vec<u8>> {
    let mut taken: std::collections::HashSet<String> = columns.iter().map(|&name| name.to_owned()).collect();
    let mut seen = std::collections::HashSet::new();
    let mut keys = Vec::with_capacity(columns.len());
    for column in columns {
        let mut name = (*column).to_owned();
        if !seen.insert(*column) {
            let mut number = 2u32;
            while !taken.insert(format!("{column}_{number}")) {
                number += 1;
            }
            name = format!("{column}_{number}");
        }
        let mut key = vec![if keys.is_empty() { b'{' } else { b',' }];
        put_str(&mut key, &name);
        key.push(b':');
        keys.push(key);
    }
    keys
}

/// The body of a query that failed: `{"error": {"code", "message", "hint"}}`.
pub fn failure(error: &QueryError<'_>) -> Vec<u8> {
    let mut out = b"{\"error\":".to_vec();
    put_error(&mut out, error);
    out.extend_from_slice(b"}\n");
    out
}

fn put_error(out: &mut Vec<u8>, error: &QueryError<'_>) {
    out.extend_from_slice(b"{\"code\":");
    put_str(out, error.code);
    out.extend_from_slice(b",\"message\":");
    put_str(out, error.message);
    out.extend_from_slice(b",\"hint\":");
    match error.hint {
        Some(hint) => put_str(out, hint),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
}
