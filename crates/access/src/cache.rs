//! Credentials that were found right before, so that what is dear to verify is verified once.
//!
//! Nothing of a credential is kept but a hash of it with a salt that is in no other process. What was taken
//! back since is not found: it stands no more.
use crate::identity::Identity;
use crate::secret::{NoRandom, fill};
use lru::LruCache;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most that are remembered; those not used for longest are forgotten first.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// Which credential.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Mark([u8; 32]);

/// Credentials that were right.
pub(crate) struct Cache {
    salt: [u8; 32],
    known: Mutex<LruCache<Mark, Arc<Identity>>>,
}

// === impl Cache ===

impl Cache {
    pub(crate) fn new() -> Result<Self, NoRandom> {
        let mut salt = [0; 32];
        fill(&mut salt)?;
        Ok(Self { salt, known: Mutex::new(LruCache::new(REMEMBERED)) })
    }

    /// The mark of this credential of this kind.
    pub(crate) fn mark(&self, kind: &str, text: &str) -> Mark {
        let hash = Sha256::new().chain_update(self.salt).chain_update(kind).chain_update([0]);
        Mark(hash.chain_update(text).finalize().into())
    }

    /// Who had this one, if they still stand.
    pub(crate) fn find(&self, mark: &Mark) -> Option<Arc<Identity>> {
        let mut known = self.known();
        let identity = known.get(mark)?;
        if identity.stands() {
            return Some(identity.clone());
        }
        known.pop(mark);
        None
    }

    pub(crate) fn remember(&self, mark: Mark, identity: &Arc<Identity>) {
        self.known().put(mark, identity.clone());
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.known().len()
    }

    fn known(&self) -> MutexGuard<'_, LruCache<Mark, Arc<Identity>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mark")
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("known", &self.len()).finish_non_exhaustive()
    }
}
