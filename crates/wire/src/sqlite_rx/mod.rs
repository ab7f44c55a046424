//! The sqlite_rx protocol: `zlib(msgpack(..))` in each direction, one request, one reply.
//!
//! ZeroMQ's own framing is below this; what a request means to a database is above it.
mod count;
mod envelope;
mod fault;
mod python;
mod reply;
mod request;

pub use envelope::{BadEnvelope, Envelope};
pub use fault::{Class, Fault};
pub use reply::ReplyWriter;
pub use request::{Call, Incoming, decode};
