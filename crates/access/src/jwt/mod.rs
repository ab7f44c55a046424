//! JWT: tokens that others sign, and the keys by which they are believed.
//!
//! | file | holds |
//! | --- | --- |
//! | `key` | one key, and how it is written in files |
//! | `keyring` | all there are, by the name a token calls its own; exchanged while the server runs |
//! | `claims` | what a token says, and what that allows |
//! | `verify` | a token's text, taken apart and believed or not |
mod claims;
mod key;
mod keyring;
mod verify;

pub use key::NoKey;
pub use keyring::KeyError;
pub(crate) use keyring::{KeyFiles, Keyring};
pub(crate) use verify::{Expected, NotBelieved, verify};
