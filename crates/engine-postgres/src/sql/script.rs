//! Where the statements of a text end.
use crate::sql::lexer::{Lexer, Token};

/// The statements of a text, without the semicolons between them; none for a text without any.
///
/// A semicolon in parentheses, or in the body of a function that is written as SQL, ends nothing.
pub(crate) fn statements(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut current: Option<(usize, usize)> = None;
    let mut body = Body::default();
    for token in Lexer::new(text) {
        if token.is_mark(";") && body.is_over() {
            found.extend(current.take().map(|(begin, end)| &text[begin..end]));
            body = Body::default();
            continue;
        }
        body.see(&token);
        let end = token.at + token.text.len();
        current = Some((current.map_or(token.at, |(begin, _)| begin), end));
    }
    found.extend(current.map(|(begin, end)| &text[begin..end]));
    found
}

/// Tells whether a statement is within parentheses or a body.
#[derive(Default)]
struct Body {
    parentheses: u32,
    /// `BEGIN` and `CASE` that have no `END` yet.
    blocks: u32,
    makes: Makes,
}

/// How far the first words say that a function is made.
#[derive(Default, PartialEq)]
enum Makes {
    #[default]
    Unknown,
    Something,
    Routine,
    Else,
}

// === impl Body ===

impl Body {
    fn is_over(&self) -> bool {
        self.parentheses == 0 && self.blocks == 0
    }

    fn see(&mut self, token: &Token<'_>) {
        if token.is_mark("(") {
            self.parentheses += 1;
        } else if token.is_mark(")") {
            self.parentheses = self.parentheses.saturating_sub(1);
        }
        match self.makes {
            Makes::Unknown => {
                self.makes = if token.is("create") { Makes::Something } else { Makes::Else };
            }
            Makes::Something if token.is("function") || token.is("procedure") => self.makes = Makes::Routine,
            Makes::Something if token.is("or") || token.is("replace") => {}
            Makes::Something => self.makes = Makes::Else,
            Makes::Routine if token.is("begin") => self.blocks += 1,
            Makes::Routine if token.is("case") && self.blocks != 0 => self.blocks += 1,
            Makes::Routine if token.is("end") => self.blocks = self.blocks.saturating_sub(1),
            Makes::Routine | Makes::Else => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_semicolons_and_nowhere_else() {
        assert_eq!(
            statements("SELECT 1; SELECT ';' ;; -- x;\n SELECT 2 -- y"),
            ["SELECT 1", "SELECT ';'", "SELECT 2"]
        );
        for blank in ["", " \n", "-- nothing; at all", ";", ";;/* ; */;"] {
            assert!(statements(blank).is_empty(), "{blank:?}");
        }
        let rule = "CREATE RULE r AS ON INSERT TO t DO (DELETE FROM u; DELETE FROM v)";
        assert_eq!(statements(&format!("{rule}; SELECT 1")), [rule, "SELECT 1"]);
        let body = "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 1 END; END";
        assert_eq!(statements(&format!("{body}; SELECT 2")), [body, "SELECT 2"]);
        let quoted = "CREATE FUNCTION f() RETURNS int AS $$ BEGIN; RETURN 1; END $$ LANGUAGE plpgsql";
        assert_eq!(statements(&format!("{quoted};SELECT 2;")), [quoted, "SELECT 2"]);
        assert_eq!(statements("BEGIN; SELECT 1; END"), ["BEGIN", "SELECT 1", "END"]);
    }
}
