//! Transactions that only read: libSQL has a word for them that SQLite does not.

/// Whether a statement begins a transaction that only reads: `BEGIN READONLY`, or with `TRANSACTION` between.
///
/// SQLite would take the word for a mistake, or for the transaction's name.
pub(super) fn reads_only(sql: &str) -> bool {
    let words = sql.split(|c: char| c.is_ascii_whitespace() || c == ';').filter(|word| !word.is_empty());
    let mut expected = ["begin", "transaction", "readonly"].into_iter().peekable();
    for word in words {
        if expected.peek() == Some(&"transaction") && !word.eq_ignore_ascii_case("transaction") {
            expected.next();
        }
        if !expected.next().is_some_and(|expected| word.eq_ignore_ascii_case(expected)) {
            return false;
        }
    }
    expected.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_say_it_are_known_and_nothing_else() {
        for sql in ["BEGIN READONLY", "begin transaction readonly", " Begin\n\tReadOnly ; "] {
            assert!(reads_only(sql), "{sql}");
        }
        for sql in [
            "",
            "BEGIN",
            "BEGIN TRANSACTION",
            "BEGIN IMMEDIATE",
            "BEGIN READONLY x",
            "BEGIN READONLY READONLY",
            "BEGIN; READ ONLY",
            "SELECT 'BEGIN READONLY'",
            "READONLY",
            "COMMIT",
        ] {
            assert!(!reads_only(sql), "{sql}");
        }
    }
}
