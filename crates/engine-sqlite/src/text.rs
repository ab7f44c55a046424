//! The little that must be known of SQL text before SQLite reads it.

/// Whether `sql` holds no statement: blanks, comments and semicolons only.
pub(crate) fn is_blank(sql: &str) -> bool {
    let mut rest = after_blanks(sql);
    while let Some(next) = rest.strip_prefix(';') {
        rest = after_blanks(next);
    }
    rest.is_empty()
}

/// Whether `sql` begins, after blanks and comments, with one of `words` (in any case of letters).
pub(crate) fn begins_with(sql: &str, words: &[&str]) -> bool {
    let rest = after_blanks(sql);
    let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    words.iter().any(|word| word.eq_ignore_ascii_case(&rest[..end]))
}

/// Whether the rows a statement changed are counted, by its first word as Python's driver does.
pub(crate) fn counts_changes(sql: &str) -> bool {
    begins_with(sql, &["INSERT", "UPDATE", "DELETE", "REPLACE"])
}

/// Whether `word`, in any case of letters, is anywhere in `sql`.
pub(crate) fn mentions(sql: &str, word: &str) -> bool {
    sql.as_bytes().windows(word.len()).any(|bytes| bytes.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether `sql` may be a pragma, which acts when it is compiled rather than when it is run, be it
/// only to be explained.
pub(crate) fn acts_when_compiled(sql: &str) -> bool {
    let mut rest = after_blanks(sql);
    while let Some(next) = rest.strip_prefix(';') {
        rest = after_blanks(next);
    }
    begins_with(rest, &["PRAGMA", "EXPLAIN"])
}

/// The text after leading blanks and comments, as SQLite has them: a comment without end reaches to
/// the end, but it must have begun to say something.
fn after_blanks(sql: &str) -> &str {
    let mut rest = sql;
    loop {
        rest = if rest.starts_with([' ', '\t', '\n', '\r', '\x0c']) {
            // A vertical tab is blank to SQLite where blanks go on, but not where they begin.
            rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c'])
        } else if let Some(after) = rest.strip_prefix('\u{feff}') {
            after
        } else if let Some(comment) = rest.strip_prefix("--") {
            comment.find('\n').map_or("", |end| &comment[end..])
        } else if let Some(comment) = rest.strip_prefix("/*").filter(|comment| !comment.is_empty()) {
            comment.find("*/").map_or("", |end| &comment[end + 2..])
        } else {
            return rest;
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_semicolons_are_blank() {
        for sql in ["", " \n\t", "-- x", "/* x */ ;", ";;", "/* unended", "--\n--\n ; -- ;"] {
            assert!(is_blank(sql), "{sql:?}");
        }
        // As SQLite has them, to the letter.
        for sql in [" \x0b;", "\u{feff}", "/**/", "/*/", "--\r;"] {
            assert!(is_blank(sql), "{sql:?}");
        }
        for sql in ["SELECT 1", "/* */ x", "- - x", "-- a\nb", "/*", "\x0b", "\u{feff}\x0b"] {
            assert!(!is_blank(sql), "{sql:?}");
        }
    }

    #[test]
    fn a_pragma_is_known_wherever_it_hides() {
        for sql in ["PRAGMA x", "; ;pragma x", "/* */ EXPLAIN PRAGMA x", "-- \n;explain query plan pragma x"]
        {
            assert!(acts_when_compiled(sql), "{sql:?}");
        }
        for sql in ["SELECT 1; PRAGMA x", "", ";", "PRAGMAS"] {
            assert!(!acts_when_compiled(sql), "{sql:?}");
        }
    }

    #[test]
    fn the_first_word_tells_whether_changes_are_counted() {
        for sql in ["insert into t", " /* c */ -- d\nUpDaTe t", "DELETE", "REPLACE\tINTO"] {
            assert!(counts_changes(sql), "{sql:?}");
        }
        for sql in ["SELECT 1", "WITH x AS (SELECT 1) INSERT INTO t", "INSERTED", "", ";INSERT"] {
            assert!(!counts_changes(sql), "{sql:?}");
        }
    }
}
