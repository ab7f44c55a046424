//! L4, sqlite_rx clients: one task per peer, one session per peer and database.
//!
//! ZeroMQ's framing and handshake are omq-proto's state machine, which does no I/O; the sockets
//! are ours, so that a peer's connection is a value with an owner: its permit and its transactions
//! end with it. What was in flight outlives it for a moment, for the client may send it again.
mod codec;
pub mod curve;
mod entrance;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod health;
mod listener;
mod packing;
mod peer;
pub mod probe;
mod resend;
mod reset;
mod session;
mod shared;
mod transport;
mod turned_away;

pub use listener::{BindError, Listener};
pub use shared::{Context, Patience, Settings, Timeouts};
