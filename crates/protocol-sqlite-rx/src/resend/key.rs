//! What makes two requests the same: all of their bytes, as they came, from the same key.
use crate::curve::ClientKey;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

/// Stands for the bytes of one request.
///
/// The bytes hold the `client_id`, so that equal bytes mean an equal client; but anybody can write
/// them, so that the key which a peer has proved is part of it, and nobody adopts another's session
/// for knowing what it sent. 128 bits of two hashes,
/// each keyed at random when the listener starts and never told to anybody: two different requests
/// have the same key once in 2^128, and nobody can look for such a pair without the keys. So the
/// bytes themselves, which may be many megabytes, need not be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key([u64; 2]);

/// Hashes keys, which are hashes already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AsItIs(u64);

/// The hashes of one listener.
#[derive(Debug)]
pub(crate) struct Keys([RandomState; 2]);

// === impl Key ===

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0[0]);
    }
}

// === impl AsItIs ===

impl Hasher for AsItIs {
    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("keys are written as one number");
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

// === impl Keys ===

impl Keys {
    pub(crate) fn new() -> Self {
        Self([RandomState::new(), RandomState::new()])
    }

    /// The key of a request from a peer that has proved `client`. Takes a few microseconds for a kilobyte.
    pub(crate) fn key(&self, client: Option<ClientKey>, payload: &[u8]) -> Key {
        Key(self.0.each_ref().map(|keyed| {
            let mut hasher = keyed.build_hasher();
            client.hash(&mut hasher);
            hasher.write(payload);
            hasher.finish()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_have_equal_keys_and_others_have_others() {
        let keys = Keys::new();
        assert_eq!(keys.key(None, b"INSERT 1"), keys.key(None, b"INSERT 1"));
        assert_ne!(keys.key(None, b"INSERT 1"), keys.key(None, b"INSERT 2"));
        let client = Some(ClientKey::default());
        assert_ne!(keys.key(client, b"INSERT 1"), keys.key(None, b"INSERT 1"), "another client's");
        assert_eq!(keys.key(client, b"INSERT 1"), keys.key(client, b"INSERT 1"));
        let Key([first, second]) = keys.key(None, b"INSERT 1");
        assert_ne!(first, second, "two hashes, not one twice");
        assert_ne!(keys.key(None, b"INSERT 1"), Keys::new().key(None, b"INSERT 1"), "keyed");
    }
}
