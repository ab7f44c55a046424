//! Which databases something is for: names, and beginnings of names.
use rowhouse_types::{DatabaseName, InvalidName, Target};
use std::fmt;
use std::str::FromStr;

/// What stands for the default database where names do; none can be called this.
const DEFAULT: &str = "~default";

/// The most patterns of one set.
const PATTERNS_MAX: usize = 256;

/// Which names a grant is for: a name, or the beginning of names and `*`.
///
/// As text: `acme`, `eu-*`, `~default` for the default database, `*` for all there are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// This one.
    Exactly(Target),
    /// Every name that begins so; every name there is, when that is empty, the default database too.
    Beginning(String),
}

/// Which databases a grant is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Databases(pub Vec<Pattern>);

/// Why a text names no databases.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoDatabases {
    /// One of them is not a name.
    #[error("{text:?} names no databases: give a name, the beginning of names and `*`, or ~default")]
    Pattern {
        /// What it was.
        text: String,
        /// Why.
        #[source]
        source: InvalidName,
    },
    /// There are too many.
    #[error(
        "{count} names are too many: at most {PATTERNS_MAX} are understood, and `*` may end the beginning of many"
    )]
    TooMany {
        /// How many.
        count: usize,
    },
}

// === impl Pattern ===

impl Pattern {
    /// Whether it is for this database.
    pub fn is_for(&self, target: &Target) -> bool {
        match (self, target) {
            (Self::Exactly(this), target) => this == target,
            (Self::Beginning(start), Target::Named(name)) => name.as_str().starts_with(start.as_str()),
            (Self::Beginning(start), Target::Default) => start.is_empty(),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(Target::Default) => f.write_str(DEFAULT),
            Self::Exactly(Target::Named(name)) => f.write_str(name.as_str()),
            Self::Beginning(start) => write!(f, "{start}*"),
        }
    }
}

impl FromStr for Pattern {
    type Err = NoDatabases;

    fn from_str(text: &str) -> Result<Self, NoDatabases> {
        let failed = |source| NoDatabases::Pattern { text: text.to_owned(), source };
        match text.strip_suffix('*') {
            Some("") => Ok(Self::Beginning(String::new())),
            Some(start) => match start.parse::<DatabaseName>() {
                // A name may begin as no name may be called: `con` begins `contoso`.
                Ok(_) | Err(InvalidName::Reserved) => Ok(Self::Beginning(start.to_owned())),
                Err(source) => Err(failed(source)),
            },
            None if text == DEFAULT => Ok(Self::Exactly(Target::Default)),
            None => Ok(Self::Exactly(Target::Named(text.parse().map_err(failed)?))),
        }
    }
}

impl Pattern {
    /// Those for which both are, which one pattern says too, if there are any.
    fn both(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Exactly(target), other) | (other, Self::Exactly(target)) => {
                other.is_for(target).then(|| Self::Exactly(target.clone()))
            }
            (Self::Beginning(one), Self::Beginning(two)) => {
                let longer = if one.starts_with(two.as_str()) { one } else { two };
                let is_both = longer.starts_with(one.as_str()) && longer.starts_with(two.as_str());
                is_both.then(|| Self::Beginning(longer.clone()))
            }
        }
    }
}

// === impl Databases ===

impl Databases {
    /// Each as text, which [`Databases::named`] reads.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    /// Every database.
    pub fn all() -> Self {
        Self(vec![Pattern::Beginning(String::new())])
    }

    /// This one.
    pub fn one(target: Target) -> Self {
        Self(vec![Pattern::Exactly(target)])
    }

    /// Those that any of these names.
    ///
    /// # Errors
    ///
    /// When one is no name, or there are too many.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, NoDatabases> {
        let patterns: Vec<_> = names.into_iter().map(str::parse).collect::<Result<_, _>>()?;
        match patterns.len() {
            count if PATTERNS_MAX < count => Err(NoDatabases::TooMany { count }),
            _ => Ok(Self(patterns)),
        }
    }

    /// Whether this one is among them.
    pub fn has(&self, target: &Target) -> bool {
        self.0.iter().any(|pattern| pattern.is_for(target))
    }

    /// Whether all there are, are.
    pub fn is_all(&self) -> bool {
        self.0.iter().any(|pattern| matches!(pattern, Pattern::Beginning(start) if start.is_empty()))
    }

    /// Those of them that are among the others, too.
    #[must_use]
    pub fn within(&self, others: &Self) -> Self {
        let pairs = self.0.iter().flat_map(|one| others.0.iter().map(move |other| (one, other)));
        Self(pairs.filter_map(|(one, other)| one.both(other)).collect())
    }

    /// The one they are, if they are one.
    pub fn only(&self) -> Option<&DatabaseName> {
        match &*self.0 {
            [Pattern::Exactly(Target::Named(name))] => Some(name),
            _ => None,
        }
    }
}

/// With commas between them.
impl fmt::Display for Databases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, pattern) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{pattern}")?;
        }
        Ok(())
    }
}

/// From names with commas or spaces between them.
impl FromStr for Databases {
    type Err = NoDatabases;

    fn from_str(text: &str) -> Result<Self, NoDatabases> {
        Self::named(text.split([',', ' ']).filter(|name| !name.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_beginnings_are_read_back() {
        for text in ["acme", "acme,eu-*", "*", "~default", "con*,a"] {
            assert_eq!(text.parse::<Databases>().unwrap().to_string(), text);
        }
        for text in ["a*b", "**", "../x", "con", "~x", "*a", "ü*"] {
            assert!(text.parse::<Databases>().is_err(), "{text}");
        }
        let many = vec!["a"; PATTERNS_MAX + 1].join(",");
        assert_eq!(many.parse::<Databases>(), Err(NoDatabases::TooMany { count: PATTERNS_MAX + 1 }));
    }

    #[test]
    fn what_is_within_others_is_what_both_have() {
        let names = ["acme", "acme2", "eu-1", "eu-west-1", "x"];
        let sets = ["*", "acme", "acme*", "eu-*,acme", "eu-west*", "~default", "x,acme2", ""];
        let targets: Vec<_> = names.iter().map(|name| Target::Named(name.parse().unwrap())).collect();
        for one in sets.map(|set| set.parse::<Databases>().unwrap()) {
            for other in sets.map(|set| set.parse::<Databases>().unwrap()) {
                for target in targets.iter().chain([&Target::Default]) {
                    let both = one.has(target) && other.has(target);
                    assert_eq!(one.within(&other).has(target), both, "{one} within {other}: {target:?}");
                }
            }
        }
    }

    #[test]
    fn only_everything_has_the_default_database_with_it() {
        let has = |text: &str| text.parse::<Databases>().unwrap().has(&Target::Default);
        assert!(has("*") && has("~default") && !has("a*") && !has("default"));
    }
}
