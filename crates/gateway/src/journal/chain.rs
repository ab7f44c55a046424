//! The chain: each entry's hash covers its content and the hash before it, so that none can be changed,
//! moved, put in or taken out of the middle without all that follow.
//!
//! The hash is SHA-256 of the hash before it (in hexadecimal) and of each field as a netstring: its
//! length in bytes, a colon, its text, a comma; a field that is not there is `-,`. The fields are, in
//! order: number, microseconds since 1970, action, interface, who, reason, database (empty for the
//! default one), from, to, active, why it was refused. Before the first entry stand 64 zeros.
use super::entry::{Entry, Recorded};
use super::error::{Break, JournalError};
use crate::sql::micros;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

/// The hash of an entry: 256 bits, 64 digits in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

/// Where a chain stands: an entry's number and hash; before the first, 0 and zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) id: u64,
    pub(super) hash: Hash,
}

/// A chain that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many entries there are.
    pub entries: u64,
    /// The number of the first; older ones are no longer kept. 0 when there is none.
    pub first: u64,
    /// The number of the last. 0 when there never was one.
    pub last: u64,
    /// The hash of the last: whoever wrote it down elsewhere can tell later that nothing up to it was
    /// changed.
    pub head: Hash,
}

// === impl Hash ===

impl Hash {
    /// What stands before the first entry.
    pub(super) const ZERO: Self = Self([0; 32]);
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 hexadecimal digits")]
pub struct NoHash;

impl FromStr for Hash {
    type Err = NoHash;

    fn from_str(text: &str) -> Result<Self, NoHash> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NoHash);
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| NoHash)?;
        }
        Ok(Self(bytes))
    }
}

// === impl Link ===

impl Link {
    /// Before the first entry.
    pub(super) const START: Self = Self { id: 0, hash: Hash::ZERO };

    /// The place of the next entry.
    pub(super) fn next(self, at: SystemTime, entry: &Entry) -> Self {
        let id = self.id + 1;
        Self { id, hash: seal(self.hash, &Texts::of(id, at, entry).fields()) }
    }

    /// The entry in the place after this one.
    pub(super) fn append(&mut self, at: SystemTime, entry: Entry) -> Recorded {
        *self = self.next(at, &entry);
        Recorded { id: self.id, at, entry, hash: self.hash }
    }
}

/// The texts that an entry's hash covers.
struct Texts<'a> {
    numbers: [String; 2],
    active: Option<String>,
    entry: &'a Entry,
    database: Option<&'a str>,
}

impl<'a> Texts<'a> {
    fn of(id: u64, at: SystemTime, entry: &'a Entry) -> Self {
        let database = entry.database.as_ref().map(|target| target.name().map_or("", |name| name.as_str()));
        let numbers = [id.to_string(), micros(at).to_string()];
        Self { numbers, active: entry.active.map(|active| active.to_string()), entry, database }
    }

    fn fields(&self) -> [Option<&str>; 11] {
        let Entry { action, cause, from, to, result, .. } = self.entry;
        let [id, at] = &self.numbers;
        [
            Some(id),
            Some(at),
            Some(action.as_str()),
            Some(cause.interface.as_str()),
            Some(&cause.who),
            cause.reason.as_deref(),
            self.database,
            from.as_deref(),
            to.as_deref(),
            self.active.as_deref(),
            result.as_ref().err().map(String::as_str),
        ]
    }
}

/// The hash of these fields in the place after `before`.
pub(super) fn seal(before: Hash, fields: &[Option<&str>]) -> Hash {
    let mut sha = Sha256::new();
    sha.update(before.to_string());
    for field in fields {
        match field {
            Some(text) => {
                sha.update(format!("{}:", text.len()));
                sha.update(text);
            }
            None => sha.update("-"),
        }
        sha.update(",");
    }
    Hash(sha.finalize().into())
}

/// Follows a chain, entry by entry in the order of their numbers.
#[derive(Debug)]
pub(super) struct Walk {
    first: u64,
    entries: u64,
    stands: Link,
}

impl Walk {
    /// From the anchor on: the last entry that is no longer kept.
    pub(super) fn from(anchor: Link) -> Self {
        Self { first: 0, entries: 0, stands: anchor }
    }

    /// The next entry: its number, the fields its hash was made of, and its hash.
    pub(super) fn step(
        &mut self,
        id: u64,
        fields: &[Option<&str>],
        hash: Option<Hash>,
    ) -> Result<(), JournalError> {
        let due = self.stands.id + 1;
        if due < id {
            return Err(JournalError::Broken { id: due, how: Break::Missing });
        }
        if id < due || hash != Some(seal(self.stands.hash, fields)) {
            return Err(JournalError::Broken { id, how: Break::Changed });
        }
        self.stands = Link { id, hash: hash.expect("compared") };
        self.first = if self.first == 0 { id } else { self.first };
        self.entries += 1;
        Ok(())
    }

    /// As [`Walk::step`] of an entry in memory.
    pub(super) fn step_over(&mut self, recorded: &Recorded) -> Result<(), JournalError> {
        let Recorded { id, at, entry, hash } = recorded;
        self.step(*id, &Texts::of(*id, *at, entry).fields(), Some(*hash))
    }

    /// The end: it must be where the chain was last seen to end.
    pub(super) fn end(self, head: Link) -> Result<Verified, JournalError> {
        let Self { first, entries, stands } = self;
        if stands.id < head.id {
            return Err(JournalError::Broken { id: stands.id + 1, how: Break::Missing });
        }
        if stands != head {
            return Err(JournalError::Broken { id: stands.id, how: Break::Changed });
        }
        Ok(Verified { entries, first, last: stands.id, head: stands.hash })
    }
}
