//! Secrets made here: API tokens, of which only the hash is kept.
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};
use std::fmt;
use zeroize::{Zeroize as _, Zeroizing};

/// What every API token begins with, so that those who look for leaked secrets find it.
pub(crate) const PREFIX: &str = "rh_";

/// How many random bytes are in one.
const RANDOM: usize = 32;

/// The secret of an API token: 256 random bits. It is shown once and kept nowhere.
pub struct Secret(Zeroizing<String>);

/// What is kept of a secret: its SHA-256. Enough for what has 256 random bits, which nobody guesses.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

/// The system has no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers")]
pub struct NoRandom(#[source] getrandom::Error);

// === impl Secret ===

impl Secret {
    /// A new one.
    ///
    /// # Errors
    ///
    /// When the system has no random numbers.
    pub fn generate() -> Result<Self, NoRandom> {
        let mut random = [0; RANDOM];
        fill(&mut random)?;
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + RANDOM * 4 / 3 + 1));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(random, &mut text);
        random.zeroize();
        Ok(Self(text))
    }

    /// The secret itself, to be shown to who asked for it, and to nobody else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

// === impl Digest ===

impl Digest {
    /// Of this text.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD_NO_PAD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| de::Error::custom("no digest"))
    }
}

/// Fills it with random bytes.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), NoRandom> {
    getrandom::fill(bytes).map_err(NoRandom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_long_unlike_any_other_and_shown_by_nothing_but_its_text() {
        let (one, other) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert!(one.reveal().starts_with("rh_") && one.reveal().len() == 3 + 43);
        assert_ne!(one.reveal(), other.reveal());
        assert_eq!(format!("{one:?} {:?}", Digest::of(one.reveal())), "Secret Digest");
        let kept = serde_json::to_string(&Digest::of(one.reveal())).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&kept).unwrap(), Digest::of(one.reveal()));
        assert!(!kept.contains(one.reveal()));
    }
}
