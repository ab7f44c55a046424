//! L1, messages on the wire: bytes in, messages out. No I/O, no clock, no task.
//!
//! Servers and clients share it, and fuzzers reach every decoder through it.
mod base64;
mod json;
mod malformed;
mod protobuf;

pub mod hrana;
pub mod live;
pub mod management;
pub mod query;
pub mod sqlite_rx;
