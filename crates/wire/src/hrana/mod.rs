//! Hrana, the protocol of libSQL: versions 1, 2 and 3, over HTTP and WebSocket, as JSON and as protobuf.
//!
//! Requests are decoded to plain values; a request that breaks the protocol's rules is [`Malformed`] as a
//! whole, before anything of it is run. Answers are written into one growing buffer, rows straight from
//! where they lie: nothing is allocated for a row or a value. What fails midway is taken back out of the
//! buffer, and the error stands in its place.
//!
//! Follows the Hrana 1, 2 and 3 specifications and, where it is stricter, "SQL over HTTP, version 3".
mod answer;
mod condition;
mod cursor;
mod decode;
mod encode;
mod error;
mod frame;
mod json;
mod limits;
mod protobuf;
mod request;
mod result;
mod rules;
mod value;

pub use answer::{Answer, Described, Done, PipelineWriter, SingleWriter, failure, hello_error, hello_ok};
pub use condition::Condition;
pub use cursor::{CursorWriter, Entries, FetchWriter};
pub use decode::{decode_batch, decode_cursor, decode_execute, decode_message, decode_pipeline};
pub use encode::{encode_cursor, encode_message, encode_pipeline};
pub use error::Error;
pub use limits::{MAX_ARGUMENTS, MAX_CONDITION_DEPTH, MAX_REQUESTS, MAX_STEPS};
pub use request::{
    Batch, BothKinds, ClientMessage, CursorRequest, PipelineRequest, SocketRequest, Sql, Statement, Step,
    StreamRequest, Work,
};
pub use result::{BatchWriter, Column, StatementWriter, Summary};

pub use crate::malformed::Malformed;

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// RFC 8259.
    Json,
    /// Protocol Buffers, since Hrana 3.
    Protobuf,
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
