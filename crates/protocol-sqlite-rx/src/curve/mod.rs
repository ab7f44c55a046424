//! CURVE: the server's keys, and whose keys are let in.
//!
//! Specification: CurveZMQ (ZeroMQ RFC 26); the files are those of `zmq.auth`, which sqlite_rx clients
//! read. Nothing of a secret is ever shown, logged or left in memory.
mod allowed;
mod certificate;
mod files;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;

pub use allowed::{AllowedClients, AllowedError};
pub use certificate::BadKey;
pub use files::{KeyError, KeyFiles, MakeError, Side};

pub(crate) use allowed::{ClientKey, RECHECK};

use omq_proto::CurveKeypair;
use std::fmt;
use std::sync::Arc;

/// How peers are let in.
#[derive(Clone, Debug)]
pub enum Security {
    /// Whoever connects; nothing is encrypted.
    Plain,
    /// Who knows the server's public key; everything is encrypted.
    Curve(ServerKeys, Clients),
}

/// Which clients' keys are let in.
#[derive(Clone, Debug)]
pub enum Clients {
    /// Any.
    Any,
    /// Those of a list, which is read again when it changes.
    Listed(Arc<AllowedClients>),
}

/// The server's key pair.
#[derive(Clone)]
pub struct ServerKeys(pub(crate) CurveKeypair);

// === impl Security ===

impl Security {
    /// Whether everything is encrypted.
    pub fn encrypts(&self) -> bool {
        matches!(self, Self::Curve(..))
    }

    /// The list of clients' keys, where only those are let in.
    pub fn allowed(&self) -> Option<&Arc<AllowedClients>> {
        match self {
            Self::Curve(_, Clients::Listed(allowed)) => Some(allowed),
            Self::Plain | Self::Curve(_, Clients::Any) => None,
        }
    }
}

// === impl ServerKeys ===

/// The public half alone.
impl fmt::Debug for ServerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerKeys").field(&self.0.public).finish()
    }
}
