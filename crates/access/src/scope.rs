//! What may be done, in words.
use std::fmt;
use std::str::FromStr;

/// One kind of doing that has to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// To read rows.
    Read,
    /// To change rows and schema; who may do that reads as well, for statements that write return rows.
    Write,
    /// To bring a database into being by naming it.
    Create,
    /// To administer.
    Admin,
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scopes(u8);

/// The word is none of a scope's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no scope: there are read, write, create and admin")]
pub struct NoScope(pub String);

// === impl Scope ===

impl Scope {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Create, Self::Admin];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Create => "create",
            Self::Admin => "admin",
        }
    }

    /// What having it comes to.
    fn bits(self) -> u8 {
        match self {
            Self::Write => 1 << Self::Write as u8 | 1 << Self::Read as u8,
            scope => 1 << scope as u8,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = NoScope;

    fn from_str(word: &str) -> Result<Self, NoScope> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word).ok_or_else(|| NoScope(word.to_owned()))
    }
}

// === impl Scopes ===

impl Scopes {
    /// All there are.
    pub const ALL: Self = Self(0b1111);

    /// All that concerns rows: everything but to administer.
    pub const DATA: Self = Self(0b0111);

    /// These, and what they bring with them.
    pub fn of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        scopes.into_iter().fold(Self::default(), |all, scope| Self(all.0 | scope.bits()))
    }

    /// The same without this one.
    #[must_use]
    pub fn without(self, scope: Scope) -> Self {
        Self(self.0 & !(1 << scope as u8))
    }

    /// Whether this is among them.
    pub fn has(self, scope: Scope) -> bool {
        self.0 & 1 << scope as u8 != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The words of those that are there.
    pub fn words(self) -> Vec<String> {
        self.iter().map(|scope| scope.as_str().to_owned()).collect()
    }

    /// Those that are there.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }
}

/// The words, with commas between them.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.iter().map(Scope::as_str).collect();
        f.write_str(&words.join(","))
    }
}

/// From words with commas or spaces between them.
impl FromStr for Scopes {
    type Err = NoScope;

    fn from_str(words: &str) -> Result<Self, NoScope> {
        let words = words.split([',', ' ']).filter(|word| !word.is_empty());
        Ok(Self::of(words.map(str::parse).collect::<Result<Vec<Scope>, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_words_and_read_back() {
        assert_eq!("read,create".parse::<Scopes>().unwrap().to_string(), "read,create");
        assert_eq!("create read".parse::<Scopes>(), "read,create".parse());
        assert_eq!("write".parse::<Scopes>().unwrap().to_string(), "read,write");
        assert_eq!(Scopes::ALL.to_string(), "read,write,create,admin");
        assert_eq!("reed".parse::<Scopes>(), Err(NoScope("reed".to_owned())));
        assert!("".parse::<Scopes>().unwrap().is_empty());
    }
}
