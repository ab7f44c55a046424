//! Where arguments go.
//!
//! PostgreSQL knows `$1`. What clients of other protocols write is rewritten to it: `?` is the next place,
//! `?2` the second, `:name` and `$name` the place of that name. `?` is the operator of that name where a
//! value has just been (`data ? 'key'`); `@name` is no place, because `@` is an operator.
use crate::sql::lexer::{Kind, Lexer};
use rowhouse_engine::Misuse;
use rowhouse_types::{Arguments, Value};
use std::borrow::Cow;

/// The most places that the protocol can count.
const MAX_PLACES: u32 = 65_535;

/// A statement with its places numbered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed<'a> {
    /// The statement, as the server takes it.
    pub(crate) sql: Cow<'a, str>,
    /// The names of the places, as they are written.
    pub(crate) names: Vec<Option<String>>,
}

// === impl Placed ===

impl<'a> Placed<'a> {
    /// Numbers the places of a statement; the server refuses what cannot be numbered.
    pub(crate) fn new(sql: &'a str) -> Self {
        let mut placed = Self { sql: Cow::Borrowed(sql), names: Vec::new() };
        let mut written = String::new();
        let mut copied = 0;
        for token in Lexer::new(sql) {
            let number = match token.kind {
                Kind::Numbered(number @ 1..=MAX_PLACES) => placed.take(number, Some(token.text)),
                Kind::Next => placed.take(placed.len() + 1, None),
                Kind::Named => placed.named(token.text),
                _ => continue,
            };
            written.push_str(&sql[copied..token.at]);
            copied = token.at + token.text.len();
            // `LIMIT?` must not become a word of its own.
            let space = |beside: Option<char>| match beside {
                Some(c) if c.is_alphanumeric() || matches!(c, '_' | '$') || !c.is_ascii() => " ",
                _ => "",
            };
            let (before, after) =
                (space(sql[..token.at].chars().next_back()), space(sql[copied..].chars().next()));
            written.push_str(&format!("{before}${number}{after}"));
        }
        if copied != 0 {
            written.push_str(&sql[copied..]);
            placed.sql = Cow::Owned(written);
        }
        placed
    }

    fn len(&self) -> u32 {
        u32::try_from(self.names.len()).unwrap_or(u32::MAX)
    }

    fn take(&mut self, number: u32, name: Option<&str>) -> u32 {
        let index = number.min(MAX_PLACES + 1) as usize - 1;
        if self.names.len() <= index {
            self.names.resize(index + 1, None);
        }
        self.names[index] = name.map(str::to_owned);
        number
    }

    fn named(&mut self, name: &str) -> u32 {
        let known = self.names.iter().position(|known| known.as_deref() == Some(name));
        match known {
            Some(index) => u32::try_from(index).unwrap_or(MAX_PLACES) + 1,
            None => self.take(self.len() + 1, Some(name)),
        }
    }

    /// The arguments in the order of the places.
    ///
    /// # Errors
    ///
    /// When they do not fit the places.
    pub(crate) fn arguments<'v>(&self, arguments: &'v Arguments) -> Result<Vec<&'v Value>, Misuse> {
        let expected = self.names.len();
        let by_position = |values: &'v [Value]| match values.len() {
            supplied if supplied == expected => Ok(values.iter().collect()),
            supplied => Err(Misuse::ArgumentCount { expected, supplied }),
        };
        match arguments {
            Arguments::None => by_position(&[]),
            Arguments::Positional(values) => by_position(values),
            Arguments::Named(values) => {
                let places = self.names.iter().enumerate();
                places.map(|(index, name)| by_name(values, index + 1, name.as_deref())).collect()
            }
        }
    }
}

fn by_name<'v>(
    values: &'v [(String, Value)],
    position: usize,
    name: Option<&str>,
) -> Result<&'v Value, Misuse> {
    let name = name.ok_or(Misuse::UnnamedPlace { position })?;
    let bare = name.trim_start_matches([':', '$', '?']);
    let found = values.iter().rev().find(|(given, _)| given == bare);
    found.map(|(_, value)| value).ok_or_else(|| Misuse::ArgumentMissing { name: bare.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_numbered_as_they_are_meant() {
        for (written, numbered, names) in [
            ("SELECT 1", "SELECT 1", vec![]),
            ("SELECT ?, ?", "SELECT $1, $2", vec![None, None]),
            ("SELECT ?2, ?1", "SELECT $2, $1", vec![Some("?1"), Some("?2")]),
            ("SELECT $2", "SELECT $2", vec![None, Some("$2")]),
            ("SELECT :a, :b, :a::int", "SELECT $1, $2, $1::int", vec![Some(":a"), Some(":b")]),
            ("SELECT 1 LIMIT?", "SELECT 1 LIMIT $1", vec![None]),
            ("SELECT 1 OFFSET:n LIMIT?2", "SELECT 1 OFFSET $1 LIMIT $2", vec![Some(":n"), Some("?2")]),
            ("SELECT $1, ?", "SELECT $1, $2", vec![Some("$1"), None]),
            ("SELECT ':a' /* :b */", "SELECT ':a' /* :b */", vec![]),
        ] {
            let placed = Placed::new(written);
            assert_eq!(placed.sql, numbered, "{written}");
            let found: Vec<_> = placed.names.iter().map(Option::as_deref).collect();
            assert_eq!(found, names, "{written}");
        }
    }

    #[test]
    fn arguments_by_name_need_names() {
        let one = Arguments::Named(vec![("a".to_owned(), Value::Integer(1))]);
        assert_eq!(Placed::new("SELECT :a").arguments(&one), Ok(vec![&Value::Integer(1)]));
        assert_eq!(Placed::new("SELECT ?").arguments(&one), Err(Misuse::UnnamedPlace { position: 1 }));
        let missing = Misuse::ArgumentMissing { name: "b".to_owned() };
        assert_eq!(Placed::new("SELECT :a, :b").arguments(&one), Err(missing));
    }

    #[test]
    fn numbers_that_no_place_has_are_left_to_the_server() {
        assert!(Placed::new("SELECT $0, $99999999999, ?70000").names.is_empty());
    }
}
