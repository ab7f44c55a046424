//! What fuzzers reach that nobody else may: the little that is read of SQL before SQLite reads it.
use crate::text;

/// As the engine sees it: whether `sql` holds no statement.
pub fn is_blank(sql: &str) -> bool {
    text::is_blank(sql)
}

/// As the engine sees it: whether the rows `sql` changes are counted.
pub fn counts_changes(sql: &str) -> bool {
    text::counts_changes(sql)
}

/// As the engine sees it: whether `sql` may act when it is compiled.
pub fn acts_when_compiled(sql: &str) -> bool {
    text::acts_when_compiled(sql)
}
