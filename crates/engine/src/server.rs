//! The server that databases run on, where they share one.
use crate::error::EngineError;
use futures::future::BoxFuture;
use std::fmt::Debug;
use std::num::NonZeroU32;

/// A server that runs databases, whose connections they share.
pub trait Server: Debug + Send + Sync + 'static {
    /// What it is called: databases whose servers have one label share that server. For operators only.
    fn label(&self) -> &str;

    /// How many connections it can take. Asks the server.
    fn capacity(&self) -> BoxFuture<'_, Result<Capacity, EngineError>>;
}

/// How many connections a server can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Of those who have no privilege there.
    pub connections: u32,
    /// Of them, those that are left to administration: the engine's own, backups, and a person's.
    pub reserved: u32,
}

// === impl Capacity ===

impl Capacity {
    /// How many all databases on it may have together; one at least.
    pub fn budget(self) -> NonZeroU32 {
        NonZeroU32::new(self.connections.saturating_sub(self.reserved)).unwrap_or(NonZeroU32::MIN)
    }
}
