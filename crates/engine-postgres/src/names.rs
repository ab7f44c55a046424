//! Names on a server: of databases and roles that are tenants', and of those that are ours.
//!
//! Invariant: two databases never have one physical name, and no tenant's is one of ours. What is ours, and
//! what is shortened, has a `~`, which no name of a tenant has and no template may have.
use rowhouse_types::DatabaseName;
use sha2::{Digest, Sha256};
use std::fmt;

/// The longest name PostgreSQL keeps; it cuts longer ones without a word.
pub const MAX_NAME: usize = 63;

/// The place for a name in a template.
const PLACE: &str = "{org_id}";

/// The longest that a template may be without its place.
const MAX_FRAME: usize = 32;

/// Letters and digits of a shortened name's end: 100 bits.
const TAIL: usize = 20;

/// What stands between ours and theirs.
const SIGN: char = '~';

/// How the name of a tenant becomes the name of a database: `mad_results_{org_id}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameTemplate {
    before: String,
    after: String,
}

/// Why a text is no template of names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// There is not exactly one place for the name.
    #[error("the template needs the place {PLACE} once, and no other braces")]
    Place,
    /// It is too long.
    #[error("the template may have {MAX_FRAME} bytes beside {PLACE}, and has {len}")]
    TooLong {
        /// Its length without the place.
        len: usize,
    },
    /// It has a character that names do not have.
    #[error("the template has {found:?}; beside {PLACE} only A-Z a-z 0-9 _ - are allowed")]
    Character {
        /// The character.
        found: char,
    },
}

// === impl NameTemplate ===

impl NameTemplate {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let (before, after) = text.split_once(PLACE).ok_or(TemplateError::Place)?;
        for part in [before, after] {
            if part.contains(['{', '}']) {
                return Err(TemplateError::Place);
            }
            let strange = part.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-'));
            if let Some(found) = strange {
                return Err(TemplateError::Character { found });
            }
        }
        let len = before.len() + after.len();
        if MAX_FRAME < len {
            return Err(TemplateError::TooLong { len });
        }
        Ok(Self { before: before.to_owned(), after: after.to_owned() })
    }

    /// The name of a tenant's database, and of its role: at most [`MAX_NAME`] bytes.
    pub fn physical(&self, name: &DatabaseName) -> String {
        let whole = format!("{}{name}{}", self.before, self.after);
        if whole.len() <= MAX_NAME {
            return whole;
        }
        let head = &whole[..MAX_NAME - TAIL - SIGN.len_utf8()];
        format!("{head}{SIGN}{}", tail(&whole))
    }

    /// The tenant's name, if it can be read off the physical one.
    pub(crate) fn logical(&self, physical: &str) -> Option<DatabaseName> {
        let name = physical.strip_prefix(&*self.before)?.strip_suffix(&*self.after)?;
        name.parse().ok()
    }

    /// With what the names begin that are ours.
    pub(crate) fn own(&self, what: &str) -> String {
        format!("{}{SIGN}{what}", self.before)
    }

    /// What a database is called before it is what it shall be.
    pub(crate) fn unready(&self, physical: &str) -> String {
        format!("{}{SIGN}{}", self.own("new"), tail(physical))
    }

    /// With what all names begin.
    pub(crate) fn beginning(&self) -> &str {
        &self.before
    }
}

impl fmt::Display for NameTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{PLACE}{}", self.before, self.after)
    }
}

/// The key of the lock that whoever makes or removes something of this name holds.
pub(crate) fn lock_key(name: &str) -> String {
    let digest = Sha256::digest(format!("rowhouse lock {name}"));
    let key = digest.iter().take(8).fold(0_i64, |key, &byte| key << 8 | i64::from(byte));
    key.to_string()
}

/// The same in SQL, of the name that this column holds.
pub(crate) fn lock_key_sql(column: &str) -> String {
    format!(
        "('x' || pg_catalog.substr(pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(\
         'rowhouse lock ' || {column}, 'UTF8')), 'hex'), 1, 16))::bit(64)::bigint"
    )
}

/// Letters and digits that are another's only by chance.
fn tail(name: &str) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digest = Sha256::digest(name);
    let bits = |index: usize| {
        let (byte, shift) = (index * 5 / 8, index * 5 % 8);
        let pair = u16::from(digest[byte]) << 8 | u16::from(digest[byte + 1]);
        usize::from(pair >> (11 - shift) & 31)
    };
    (0..TAIL).map(|index| char::from(ALPHABET[bits(index)])).collect()
}

/// A name as it is written in SQL.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as it is written in SQL, with `standard_conforming_strings` on.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn template() -> NameTemplate {
        NameTemplate::parse("mad_results_{org_id}").unwrap()
    }

    fn name(text: &str) -> DatabaseName {
        text.parse().unwrap()
    }

    #[test]
    fn a_short_name_stands_in_its_place() {
        assert_eq!(template().physical(&name("acme")), "mad_results_acme");
        assert_eq!(template().logical("mad_results_acme"), Some(name("acme")));
        let both = NameTemplate::parse("mad_{org_id}_db").unwrap();
        assert_eq!(both.physical(&name("acme")), "mad_acme_db");
        assert_eq!(template().physical(&name(&"x".repeat(51))).len(), MAX_NAME);
    }

    #[test]
    fn long_names_keep_their_head_and_stay_apart() {
        let long: Vec<_> = (0..10).map(|n| name(&format!("{}{n}", "x".repeat(60)))).collect();
        let physical: HashSet<_> = long.iter().map(|name| template().physical(name)).collect();
        assert_eq!(physical.len(), 10);
        for physical in physical {
            assert_eq!(physical.len(), MAX_NAME);
            assert!(physical.starts_with("mad_results_xxxxxxxxxx"));
            // Nobody can be called what another is shortened to.
            assert!(physical["mad_results_".len()..].parse::<DatabaseName>().is_err(), "{physical}");
        }
    }

    #[test]
    fn no_tenant_is_called_what_is_ours() {
        let template = template();
        for own in [template.own("template"), template.own("spare~1"), template.unready("mad_results_a")] {
            assert!(own.len() <= MAX_NAME);
            assert_eq!(template.logical(&own), None, "{own}");
        }
    }

    #[test]
    fn only_the_place_may_be_in_braces() {
        for wrong in ["mad", "{org}", "{org_id}{org_id}", "{org_id}}", "mad_{org_id}_{x}"] {
            assert_eq!(NameTemplate::parse(wrong), Err(TemplateError::Place), "{wrong}");
        }
        assert_eq!(NameTemplate::parse("a~{org_id}"), Err(TemplateError::Character { found: '~' }));
        let long = format!("{}{{org_id}}", "x".repeat(33));
        assert_eq!(NameTemplate::parse(&long), Err(TemplateError::TooLong { len: 33 }));
    }

    #[test]
    fn what_is_quoted_stays_one_name() {
        assert_eq!(identifier("x\" TEMPLATE \"victim"), "\"x\"\" TEMPLATE \"\"victim\"");
        assert_eq!(literal("it's"), "'it''s'");
    }
}
