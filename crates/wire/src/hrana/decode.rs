//! Bytes to requests, in either encoding.
use super::Encoding;
use super::json;
use super::request::{Batch, ClientMessage, CursorRequest, PipelineRequest, Statement};
use crate::malformed::Malformed;

/// Decodes the body of a pipeline.
///
/// # Errors
///
/// When it breaks a rule of the protocol; then nothing of it may be run.
pub fn decode_pipeline(body: &[u8], encoding: Encoding) -> Result<PipelineRequest, Malformed> {
    match encoding {
        Encoding::Json => json::pipeline(body),
        Encoding::Protobuf => super::protobuf::pipeline(body),
    }
}

/// Decodes the body of a cursor.
///
/// # Errors
///
/// When it breaks a rule of the protocol; then nothing of it may be run.
pub fn decode_cursor(body: &[u8], encoding: Encoding) -> Result<CursorRequest, Malformed> {
    match encoding {
        Encoding::Json => json::cursor(body),
        Encoding::Protobuf => super::protobuf::cursor(body),
    }
}

/// Decodes a message of a WebSocket client's.
///
/// # Errors
///
/// When it breaks a rule of the protocol; then the connection is to be closed.
pub fn decode_message(message: &[u8], encoding: Encoding) -> Result<ClientMessage, Malformed> {
    match encoding {
        Encoding::Json => json::message(message),
        Encoding::Protobuf => super::protobuf::message(message),
    }
}

/// Decodes the body of `POST v1/execute`.
///
/// # Errors
///
/// When it breaks a rule of the protocol.
pub fn decode_execute(body: &[u8]) -> Result<Statement, Malformed> {
    json::execute(body)
}

/// Decodes the body of `POST v1/batch`.
///
/// # Errors
///
/// When it breaks a rule of the protocol.
pub fn decode_batch(body: &[u8]) -> Result<Batch, Malformed> {
    json::batch(body)
}
