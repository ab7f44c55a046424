//! What is read of SQL here: where statements end, where arguments go, and what kind of statement it is.
//!
//! Nothing that protects anybody rests on it alone: one request is one statement because the server takes
//! no more, and who may only read is kept to it by the server.
mod lexer;
mod nature;
mod places;
mod script;

pub(crate) use nature::{Calls, Nature};
pub(crate) use places::Placed;
pub(crate) use script::statements;

#[cfg(test)]
mod tests {
    use super::lexer::{Kind, Lexer};
    use super::*;
    use proptest::prelude::*;

    /// Pieces of SQL, whole and broken, in any order.
    fn sql() -> impl Strategy<Value = String> {
        let pieces = [
            "SELECT",
            " ",
            "'",
            "''",
            "E'\\",
            "\"",
            "$$",
            "$a$",
            "$1",
            "?",
            "?2",
            ":n",
            "::",
            "--",
            "\n",
            "/*",
            "*/",
            ";",
            "(",
            ")",
            "[",
            "]",
            "é",
            "🐘",
            "x",
            "begin",
            "end",
            "case",
            "create function",
            "@?",
            "\\",
            "\0",
            "1e",
            ".5",
            "U&'",
            "delete",
            "set_config",
            "$9999999999",
        ];
        let piece =
            prop_oneof![3 => prop::sample::select(pieces.to_vec()).prop_map(str::to_owned), 1 => ".{0,3}"];
        prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_to_its_end(text in sql()) {
            let mut end = 0;
            for token in Lexer::new(&text) {
                prop_assert!(end <= token.at && !token.text.is_empty());
                end = token.at + token.text.len();
                prop_assert_eq!(&text[token.at..end], token.text);
            }
            let _read = Nature::of(&text);
        }

        #[test]
        fn no_token_is_lost_between_statements(text in sql()) {
            let whole = Lexer::new(&text).filter(|token| !token.is_mark(";")).count();
            let parts: usize = statements(&text)
                .iter()
                .map(|part| Lexer::new(part).filter(|token| !token.is_mark(";")).count())
                .sum();
            // What a bracket that is never closed makes of a colon is another thing in a part.
            if !text.contains(['[', ':', '?']) {
                prop_assert_eq!(whole, parts);
            }
        }

        #[test]
        fn rewriting_places_leaves_everything_else(text in sql()) {
            let is_place = |kind| matches!(kind, Kind::Numbered(1..=65_535) | Kind::Next | Kind::Named);
            let placed = Placed::new(&text);
            let places = Lexer::new(&text).filter(|token| is_place(token.kind)).count();
            prop_assert_eq!(places == 0, placed.names.is_empty());
            let rest = |text: &str| -> String {
                let rest = Lexer::new(text).filter(|token| !is_place(token.kind));
                rest.map(|token| token.text.to_owned()).collect()
            };
            if places == 0 {
                prop_assert_eq!(&placed.sql, &text);
            } else {
                prop_assert_eq!(rest(&text), rest(&placed.sql));
            }
        }
    }
}
