//! The lock and the shared pointer, which loom replaces by its own to explore every interleaving.

#[cfg(loom)]
pub(crate) use loom::sync::{Arc, Mutex};
#[cfg(not(loom))]
pub(crate) use std::sync::{Arc, Mutex};
