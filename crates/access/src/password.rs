//! Passwords, of which only what argon2id makes of them is known.
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The longest password, in bytes.
pub(crate) const PASSWORD_MAX: usize = 1024;

/// The shortest password that is taken for a new user, in bytes.
const PASSWORD_MIN: usize = 8;

/// The most memory one check may take, in KiB.
const MEMORY_MAX: u32 = 256 * 1024;

/// The most passes of one check.
const PASSES_MAX: u32 = 16;

/// What argon2id makes of a password, as text in PHC's form: `$argon2id$v=19$m=..,t=..,p=..$SALT$HASH`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PasswordHash(String);

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPassword {
    /// It is too short or too long.
    #[error("a password is {PASSWORD_MIN} to {PASSWORD_MAX} bytes long")]
    Length,
    /// It cannot be hashed.
    #[error("the password cannot be hashed: the system gives no random numbers")]
    Hash,
    /// The text is not what argon2id makes of one, or checking it would take too much.
    #[error(
        "it is no hash of argon2id such as `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`, of at most m={MEMORY_MAX} and t={PASSES_MAX}"
    )]
    NoHash,
}

// === impl PasswordHash ===

impl PasswordHash {
    /// What becomes of this password. Takes some 20 ms.
    ///
    /// # Errors
    ///
    /// When it is too short or too long.
    pub fn of(password: &str) -> Result<Self, NoPassword> {
        if !(PASSWORD_MIN..=PASSWORD_MAX).contains(&password.len()) {
            return Err(NoPassword::Length);
        }
        Self::any(password)
    }

    /// One that no password is behind, and that takes as long to find that out.
    pub(crate) fn nobody_s() -> Result<Self, NoPassword> {
        let mut random = [0; 32];
        crate::secret::fill(&mut random).map_err(|_| NoPassword::Hash)?;
        Self::any(&format!("{random:?}"))
    }

    fn any(password: &str) -> Result<Self, NoPassword> {
        let hash = Argon2::default().hash_password(password.as_bytes());
        Ok(Self(hash.map_err(|_| NoPassword::Hash)?.to_string()))
    }

    /// Whether it is what becomes of this password. Takes some 20 ms.
    pub(crate) fn is_of(&self, password: &str) -> bool {
        let parsed = Phc::new(&self.0);
        parsed.is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PasswordHash {
    type Err = NoPassword;

    fn from_str(text: &str) -> Result<Self, NoPassword> {
        let hash = Phc::new(text).map_err(|_| NoPassword::NoHash)?;
        let within = |name: &str, most: u32| {
            hash.params.get_decimal(name).is_some_and(|value| (1..=most).contains(&value))
        };
        let is_fit = hash.algorithm.as_str() == "argon2id"
            && hash.hash.is_some()
            && within("m", MEMORY_MAX)
            && within("t", PASSES_MAX);
        if is_fit { Ok(Self(text.to_owned())) } else { Err(NoPassword::NoHash) }
    }
}

impl TryFrom<String> for PasswordHash {
    type Error = NoPassword;

    fn try_from(text: String) -> Result<Self, NoPassword> {
        text.parse()
    }
}

impl From<PasswordHash> for String {
    fn from(hash: PasswordHash) -> Self {
        hash.0
    }
}

/// Not shown: it can be tried against.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_and_no_other_is() {
        let hash = PasswordHash::of("correct horse").unwrap();
        assert!(hash.is_of("correct horse") && !hash.is_of("correct horse ") && !hash.is_of(""));
        assert_eq!(hash.as_str().parse::<PasswordHash>().unwrap(), hash);
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_eq!(PasswordHash::of("short"), Err(NoPassword::Length));
        assert_eq!(format!("{hash:?}"), "PasswordHash");
    }

    #[test]
    fn what_is_weaker_or_would_take_too_much_is_no_hash() {
        let hash = PasswordHash::of("correct horse").unwrap();
        for (from, to) in [
            ("argon2id", "argon2i"),
            ("m=19456", "m=999999999"),
            ("t=2", "t=99"),
            ("$argon2id$v=19$", "$2b$"),
        ] {
            assert_eq!(hash.as_str().replace(from, to).parse::<PasswordHash>(), Err(NoPassword::NoHash));
        }
        for text in ["", "plain", "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ"] {
            assert_eq!(text.parse::<PasswordHash>(), Err(NoPassword::NoHash), "{text}");
        }
    }
}
