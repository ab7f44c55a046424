//! Errors as Hrana's clients read them.

/// An error of a statement, a request or a whole message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error<'a> {
    /// A sentence for people.
    pub message: &'a str,
    /// A word for programs: SQLite's name of the error, or a word of the server's own.
    pub code: &'a str,
    /// SQLite's more exact name. In JSON only: the protobuf schema has no place for it.
    pub extended_code: Option<&'a str>,
}

impl<'a> Error<'a> {
    /// An error without a more exact name.
    pub fn new(message: &'a str, code: &'a str) -> Self {
        Self { message, code, extended_code: None }
    }
}
