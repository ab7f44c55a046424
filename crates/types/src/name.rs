//! Names of databases, valid by construction.
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The name of a database (one tenant's), valid by construction.
///
/// 1 to 64 bytes of `A-Z a-z 0-9 _ -`: safe as a file stem and a URL path segment. What an
/// engine or a rule allows beyond that (a DNS label, a Postgres identifier) is its own to say.
/// Names a platform reserves for devices (`CON`, `NUL`, `COM1`, ...) are refused in any case of
/// letters, so that a data directory can move between platforms.
///
/// ```
/// use rowhouse_types::DatabaseName;
/// let name: DatabaseName = "user123".parse().expect("a valid name");
/// assert_eq!(name.as_str(), "user123");
/// assert!("../etc/passwd".parse::<DatabaseName>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DatabaseName(Arc<str>);

/// Which database a request is for: the default one, or one by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// The default database, which has no name on the wire.
    #[default]
    Default,
    /// The database of this name.
    Named(DatabaseName),
}

/// Why a string is not a [`DatabaseName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// The name is empty.
    #[error("database name is empty")]
    Empty,
    /// The name is longer than [`DatabaseName::MAX_LEN`] bytes.
    #[error("database name is {len} bytes long, at most {max} are allowed", max = DatabaseName::MAX_LEN)]
    TooLong {
        /// The length found, in bytes.
        len: usize,
    },
    /// The name has a character outside the alphabet.
    #[error("database name has {found:?} at byte {at}, only A-Z a-z 0-9 _ - are allowed")]
    BadCharacter {
        /// The offending character.
        found: char,
        /// Its byte offset.
        at: usize,
    },
    /// A platform keeps the name for a device.
    #[error("database name is reserved by a platform")]
    Reserved,
}

// === impl DatabaseName ===

impl DatabaseName {
    /// The greatest length, in bytes.
    pub const MAX_LEN: usize = 64;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DatabaseName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if text.is_empty() {
            return Err(InvalidName::Empty);
        }
        if Self::MAX_LEN < text.len() {
            return Err(InvalidName::TooLong { len: text.len() });
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if let Some((at, found)) = text.char_indices().find(|&(_, c)| !allowed(c)) {
            return Err(InvalidName::BadCharacter { found, at });
        }
        if is_device(text) {
            return Err(InvalidName::Reserved);
        }
        Ok(Self(text.into()))
    }
}

/// Whether Windows keeps `stem` for a device, with whatever extension follows it.
fn is_device(stem: &str) -> bool {
    let is = |name: &str| stem.eq_ignore_ascii_case(name);
    let numbered = |prefix: &str| {
        stem.len() == 4 && stem[..3].eq_ignore_ascii_case(prefix) && matches!(stem.as_bytes()[3], b'1'..=b'9')
    };
    is("con") || is("prn") || is("aux") || is("nul") || numbered("com") || numbered("lpt")
}

impl fmt::Display for DatabaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DatabaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

// === impl Target ===

impl Target {
    /// The name, unless it is the default database.
    pub fn name(&self) -> Option<&DatabaseName> {
        match self {
            Self::Default => None,
            Self::Named(name) => Some(name),
        }
    }
}

impl From<DatabaseName> for Target {
    fn from(name: DatabaseName) -> Self {
        Self::Named(name)
    }
}

/// The name, or nothing for the default database.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().map_or("", DatabaseName::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_names_are_refused() {
        let hostile = [
            "../x",
            "a/b",
            "a\\b",
            ".",
            "..",
            "%2e",
            "a?b",
            "a#b",
            "a\0b",
            "é",
            "ａ",
            "a b",
            "a\n",
            "x.db",
            "CON",
            "nul",
            "Com1",
            "lpt9",
            ".rowhouse",
        ];
        for name in hostile {
            assert!(name.parse::<DatabaseName>().is_err(), "{name:?} was accepted");
        }
        for name in ["a", "-a", "_", "0", "user-1_X", "com0", "com10", "console"] {
            assert_eq!(name.parse::<DatabaseName>().map(|n| n.to_string()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn sixty_four_bytes_are_the_longest_name() {
        assert!("x".repeat(64).parse::<DatabaseName>().is_ok());
        assert_eq!("x".repeat(65).parse::<DatabaseName>(), Err(InvalidName::TooLong { len: 65 }));
        assert_eq!("".parse::<DatabaseName>(), Err(InvalidName::Empty));
    }

    proptest! {
        #[test]
        fn accepted_exactly_when_the_promised_pattern_matches(name in "[A-Za-z0-9_.\\-/\n é]{0,66}") {
            let promised = (1..=64).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
                && !is_device(&name);
            prop_assert_eq!(name.parse::<DatabaseName>().is_ok(), promised);
        }
    }
}
