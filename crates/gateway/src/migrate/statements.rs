//! The statements of a migration, as far as it matters here: where each begins, and what its first words are.
//!
//! Nothing that protects anybody rests on it: it finds what would end the transaction that a migration runs in
//! before anything is run, so that the operator is told of it by file and line.
use rowhouse_engine::Dialect;

/// As many words of a statement are looked at.
const WORDS: usize = 5;

/// A statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Statement {
    /// The line it begins in, from 1.
    pub(super) line: usize,
    /// Its first words, in capitals.
    pub(super) words: Vec<String>,
}

/// Reads statements off a text.
struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    dialect: Dialect,
    current: Option<Statement>,
    /// Parentheses that are open.
    parentheses: u32,
    /// `BEGIN` and `CASE` within the body of a trigger or a routine that have no `END` yet.
    blocks: u32,
}

/// The statements of a text; none for blanks and comments.
pub(super) fn statements(text: &str, dialect: Dialect) -> Vec<Statement> {
    let scanner =
        Scanner { text: text.as_bytes(), at: 0, line: 1, dialect, current: None, parentheses: 0, blocks: 0 };
    scanner.all()
}

// === impl Statement ===

impl Statement {
    /// The word by which it would begin or end a transaction, if it would.
    pub(super) fn ends_transaction(&self) -> Option<&str> {
        let word = |at: usize| self.words.get(at).map_or("", String::as_str);
        let ends = match word(0) {
            "BEGIN" | "START" | "COMMIT" | "END" | "ABORT" => true,
            "ROLLBACK" => !self.words.iter().any(|word| word == "TO"),
            "PREPARE" => word(1) == "TRANSACTION",
            _ => false,
        };
        ends.then(|| word(0))
    }

    /// Whether it may have a body, in which a semicolon ends nothing.
    fn has_body(&self) -> bool {
        let is_kind = |word: &String| matches!(word.as_str(), "TRIGGER" | "FUNCTION" | "PROCEDURE");
        self.words.first().is_some_and(|word| word == "CREATE") && self.words.iter().any(is_kind)
    }
}

// === impl Scanner ===

impl Scanner<'_> {
    fn all(mut self) -> Vec<Statement> {
        let mut found = Vec::new();
        while let Some(byte) = self.peek(0) {
            match byte {
                b';' if self.parentheses == 0 && self.blocks == 0 => {
                    self.advance(1);
                    found.extend(self.current.take());
                }
                b'-' if self.peek(1) == Some(b'-') => self.skip_line(),
                b'/' if self.peek(1) == Some(b'*') => self.skip_comment(),
                byte if byte.is_ascii_whitespace() => self.advance(1),
                byte => self.take(byte),
            }
        }
        found.extend(self.current.take());
        found
    }

    /// Takes a token that belongs to a statement.
    fn take(&mut self, byte: u8) {
        let line = self.line;
        self.current.get_or_insert_with(|| Statement { line, words: Vec::new() });
        match byte {
            b'\'' => self.skip_quoted(b'\'', false),
            b'"' => self.skip_quoted(b'"', false),
            b'`' if self.dialect == Dialect::Sqlite => self.skip_quoted(b'`', false),
            b'[' if self.dialect == Dialect::Sqlite => self.skip_past(b"]"),
            b'$' if self.dialect == Dialect::Postgres => self.skip_dollar(),
            b'e' | b'E' if self.dialect == Dialect::Postgres && self.peek(1) == Some(b'\'') => {
                self.advance(1);
                self.skip_quoted(b'\'', true);
            }
            b'(' => self.mark(1),
            b')' => self.mark(-1),
            byte if is_word(byte) => self.take_word(),
            _ => self.advance(1),
        }
    }

    fn mark(&mut self, by: i32) {
        self.parentheses = self.parentheses.saturating_add_signed(by);
        self.advance(1);
    }

    fn take_word(&mut self) {
        let begin = self.at;
        while self.peek(0).is_some_and(is_word) {
            self.at += 1;
        }
        let word = String::from_utf8_lossy(&self.text[begin..self.at]).to_ascii_uppercase();
        let statement = self.current.as_mut().expect("begun by its first token");
        if statement.has_body() {
            match word.as_str() {
                "BEGIN" => self.blocks += 1,
                "CASE" if self.blocks != 0 => self.blocks += 1,
                "END" => self.blocks = self.blocks.saturating_sub(1),
                _ => {}
            }
        }
        if statement.words.len() < WORDS {
            statement.words.push(word);
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn advance(&mut self, by: usize) {
        let to = self.text.len().min(self.at + by);
        self.line += self.text[self.at..to].iter().filter(|&&byte| byte == b'\n').count();
        self.at = to;
    }

    fn skip_line(&mut self) {
        let rest = &self.text[self.at..];
        self.advance(rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len()));
    }

    /// PostgreSQL's comments may lie in each other.
    fn skip_comment(&mut self) {
        let mut depth = 0_u32;
        while let Some(byte) = self.peek(0) {
            match (byte, self.peek(1)) {
                (b'/', Some(b'*')) if depth == 0 || self.dialect == Dialect::Postgres => {
                    depth += 1;
                    self.advance(2);
                }
                (b'*', Some(b'/')) => {
                    depth -= 1;
                    self.advance(2);
                }
                _ => self.advance(1),
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn skip_quoted(&mut self, quote: u8, escapes: bool) {
        self.advance(1);
        while let Some(byte) = self.peek(0) {
            if (escapes && byte == b'\\') || (byte == quote && self.peek(1) == Some(quote)) {
                self.advance(2);
            } else {
                self.advance(1);
                if byte == quote {
                    return;
                }
            }
        }
    }

    fn skip_past(&mut self, end: &[u8]) {
        let rest = &self.text[self.at..];
        let len = rest.windows(end.len()).position(|window| window == end);
        self.advance(len.map_or(rest.len(), |len| len + end.len()));
    }

    /// Goes past `$tag$ ... $tag$`.
    fn skip_dollar(&mut self) {
        let rest = &self.text[self.at + 1..];
        let len = rest.iter().position(|&byte| !is_word(byte) || byte == b'$').unwrap_or(rest.len());
        let is_tag = rest.get(len) == Some(&b'$') && !rest.first().is_some_and(u8::is_ascii_digit);
        if !is_tag {
            self.advance(1);
            return;
        }
        let tag = self.text[self.at..self.at + len + 2].to_vec();
        self.advance(tag.len());
        self.skip_past(&tag);
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || 0x80 <= byte
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firsts(text: &str, dialect: Dialect) -> Vec<(usize, String)> {
        let all = statements(text, dialect).into_iter();
        all.map(|statement| (statement.line, statement.words.first().cloned().unwrap_or_default())).collect()
    }

    fn is_refused(text: &str, dialect: Dialect) -> bool {
        statements(text, dialect).iter().any(|statement| statement.ends_transaction().is_some())
    }

    #[test]
    fn statements_are_found_with_their_lines() {
        let text = "-- a;\nCREATE TABLE t (x TEXT DEFAULT ';');\n\n/* ; \n */ INSERT INTO t VALUES ('it''s;')\n;;\nselect 1";
        let found = [(2, "CREATE"), (5, "INSERT"), (7, "SELECT")];
        let found: Vec<_> = found.iter().map(|(line, word)| (*line, (*word).to_owned())).collect();
        for dialect in Dialect::ALL {
            assert_eq!(firsts(text, dialect), found);
            assert!(statements(" \n-- nothing\n/* at all */;", dialect).is_empty());
        }
    }

    #[test]
    fn what_ends_the_transaction_is_found_and_bodies_are_left_alone() {
        let trigger = "CREATE TRIGGER a AFTER INSERT ON t WHEN CASE 1 WHEN 1 THEN 1 END BEGIN UPDATE t SET x = CASE WHEN 1 THEN 2 ELSE 3 END; DELETE FROM u; END; SELECT 1";
        assert_eq!(statements(trigger, Dialect::Sqlite).len(), 2);
        assert!(!is_refused(trigger, Dialect::Sqlite));
        assert!(is_refused(&format!("{trigger}; END"), Dialect::Sqlite));
        let routine =
            "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 1";
        assert_eq!(statements(routine, Dialect::Postgres).len(), 2);
        assert!(!is_refused(routine, Dialect::Postgres));
        for dialect in Dialect::ALL {
            for text in ["BEGIN; SELECT 1", "SELECT 1;\ncommit", "rollback", "START TRANSACTION", "end"] {
                assert!(is_refused(text, dialect), "{text}");
            }
            for text in ["SAVEPOINT a; ROLLBACK TO a; RELEASE a", "SELECT 'COMMIT'", "-- COMMIT;\nSELECT 1"] {
                assert!(!is_refused(text, dialect), "{text}");
            }
        }
        for text in
            ["DO $$ BEGIN COMMIT; END $$", "SELECT E'\\'; COMMIT; '", "/* /* */ ; COMMIT; */ SELECT 1"]
        {
            assert!(!is_refused(text, Dialect::Postgres), "{text}");
        }
        for text in ["CREATE TABLE [a;COMMIT] (x)", "CREATE TABLE `;COMMIT` (x)"] {
            assert!(!is_refused(text, Dialect::Sqlite), "{text}");
        }
        assert!(is_refused("SELECT '$$'; COMMIT; SELECT '$$'", Dialect::Postgres));
    }
}
