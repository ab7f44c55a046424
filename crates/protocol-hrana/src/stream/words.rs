//! What words of a statement tell before it runs. They may stand where they mean nothing: what is told is what
//! may be.

/// Whether a statement may insert a row: the connection's last key is another stream's otherwise.
pub(super) fn may_insert(sql: &str) -> bool {
    has(sql, "insert") || has(sql, "replace")
}

/// Whether one of several statements may open a transaction.
pub(super) fn may_begin(sql: &str) -> bool {
    has(sql, "begin") || has(sql, "savepoint")
}

fn has(sql: &str, word: &str) -> bool {
    sql.as_bytes().windows(word.len()).any(|w| w.eq_ignore_ascii_case(word.as_bytes()))
}
