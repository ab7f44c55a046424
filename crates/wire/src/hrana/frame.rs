//! The buffer that answers are written into, and messages within messages.
use super::Encoding;
use super::error::Error;
use crate::json::put_str;
use crate::protobuf::put_varint;

/// The bytes of a length that is filled in afterwards: enough for 32 GiB.
const LENGTH: usize = 5;

/// Up to this size, a message is moved up to where its length ends, so that small answers are as small as
/// they can be. Beyond it, the length is written in more bytes than it needs, which every decoder reads.
const MOVED: usize = 16 << 10;

/// What has been written of one body or message.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) bytes: Vec<u8>,
    pub(super) encoding: Encoding,
}

/// A message of protobuf's that has been begun: where its content begins.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(super) struct Nested(usize);

// === impl Out ===

impl Out {
    pub(super) fn new(encoding: Encoding) -> Self {
        Self { bytes: Vec::with_capacity(512), encoding }
    }

    pub(super) fn is_json(&self) -> bool {
        self.encoding == Encoding::Json
    }

    pub(super) fn raw(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Writes a key with its colon, and a comma before unless it is the first of its object.
    pub(super) fn key(&mut self, key: &str) {
        if !matches!(self.bytes.last(), Some(b'{' | b'[')) {
            self.bytes.push(b',');
        }
        self.bytes.push(b'"');
        self.raw(key);
        self.raw("\":");
    }

    /// Writes a comma before every element but the first of an array.
    pub(super) fn element(&mut self) {
        if self.bytes.last() != Some(&b'[') {
            self.bytes.push(b',');
        }
    }

    /// Writes a string, or `null`.
    pub(super) fn optional_str(&mut self, text: Option<&str>) {
        match text {
            Some(text) => put_str(&mut self.bytes, text),
            None => self.raw("null"),
        }
    }

    /// Begins a message in field `tag`.
    pub(super) fn open(&mut self, tag: u8) -> Nested {
        self.bytes.push(tag << 3 | 2);
        self.open_bare()
    }

    /// Begins a message that has a length before it and no tag.
    pub(super) fn open_bare(&mut self) -> Nested {
        self.bytes.extend_from_slice(&[0; LENGTH]);
        Nested(self.bytes.len())
    }

    /// Ends a message: all that was written since it was begun is its content.
    pub(super) fn close(&mut self, Nested(start): Nested) {
        let mut len = self.bytes.len() - start;
        if len <= MOVED {
            let mut short = [0; LENGTH];
            let mut width = 0;
            while len >= 0x80 {
                short[width] = len as u8 | 0x80;
                width += 1;
                len >>= 7;
            }
            short[width] = len as u8;
            width += 1;
            let at = start - LENGTH;
            self.bytes[at..at + width].copy_from_slice(&short[..width]);
            self.bytes.copy_within(start.., at + width);
            self.bytes.truncate(self.bytes.len() - (LENGTH - width));
            return;
        }
        for byte in &mut self.bytes[start - LENGTH..start - 1] {
            *byte = len as u8 | 0x80;
            len >>= 7;
        }
        self.bytes[start - 1] = u8::try_from(len).expect("no message has 32 GiB");
    }

    pub(super) fn varint_field(&mut self, tag: u8, number: u64) {
        self.bytes.push(tag << 3);
        put_varint(&mut self.bytes, number);
    }

    pub(super) fn bytes_field(&mut self, tag: u8, bytes: &[u8]) {
        self.bytes.push(tag << 3 | 2);
        put_varint(&mut self.bytes, bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes an error as a value of JSON's, or the fields of one.
    pub(super) fn error(&mut self, error: &Error<'_>) {
        if self.is_json() {
            put_error(&mut self.bytes, error);
            return;
        }
        self.bytes_field(1, error.message.as_bytes());
        self.bytes_field(2, error.code.as_bytes());
    }
}

/// Writes an error as JSON.
pub(super) fn put_error(out: &mut Vec<u8>, error: &Error<'_>) {
    out.extend_from_slice(b"{\"message\":");
    put_str(out, error.message);
    out.extend_from_slice(b",\"code\":");
    put_str(out, error.code);
    if let Some(extended) = error.extended_code {
        out.extend_from_slice(b",\"extended_code\":");
        put_str(out, extended);
    }
    out.push(b'}');
}
