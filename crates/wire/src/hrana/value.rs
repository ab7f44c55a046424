//! Values of rows.
use super::frame::Out;
use crate::base64::put_base64;
use crate::json::{put_float, put_integer, put_str};
use crate::protobuf::{put_varint, varint_len, zigzag};
use rowhouse_types::ValueRef;

impl Out {
    /// Writes the values of a row: as an array, or as fields of a `Row`.
    pub(super) fn values<'v>(&mut self, values: impl Iterator<Item = ValueRef<'v>>) {
        if !self.is_json() {
            values.for_each(|value| put_protobuf(&mut self.bytes, 1, value));
            return;
        }
        self.bytes.push(b'[');
        for (at, value) in values.enumerate() {
            if at > 0 {
                self.bytes.push(b',');
            }
            put_json(&mut self.bytes, value);
        }
        self.bytes.push(b']');
    }
}

/// Writes a value as JSON.
pub(super) fn put_json(out: &mut Vec<u8>, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => out.extend_from_slice(b"{\"type\":\"null\"}"),
        ValueRef::Integer(number) => {
            out.extend_from_slice(b"{\"type\":\"integer\",\"value\":\"");
            put_integer(out, number);
            out.extend_from_slice(b"\"}");
        }
        ValueRef::Real(number) => {
            out.extend_from_slice(b"{\"type\":\"float\",\"value\":");
            put_float(out, number);
            out.push(b'}');
        }
        ValueRef::Text(text) => {
            out.extend_from_slice(b"{\"type\":\"text\",\"value\":");
            put_str(out, text);
            out.push(b'}');
        }
        ValueRef::Blob(bytes) => {
            out.extend_from_slice(b"{\"type\":\"blob\",\"base64\":\"");
            put_base64(out, bytes);
            out.extend_from_slice(b"\"}");
        }
    }
}

/// Writes a value as field `tag`.
pub(super) fn put_protobuf(out: &mut Vec<u8>, tag: u8, value: ValueRef<'_>) {
    out.push(tag << 3 | 2);
    match value {
        ValueRef::Null => out.extend_from_slice(&[2, 1 << 3 | 2, 0]),
        ValueRef::Integer(number) => {
            let number = zigzag(number);
            out.push(1 + varint_len(number) as u8);
            out.push(2 << 3);
            put_varint(out, number);
        }
        ValueRef::Real(number) => {
            out.extend_from_slice(&[9, 3 << 3 | 1]);
            out.extend_from_slice(&number.to_le_bytes());
        }
        ValueRef::Text(text) => put_bytes(out, 4, text.as_bytes()),
        ValueRef::Blob(bytes) => put_bytes(out, 5, bytes),
    }
}

fn put_bytes(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    let len = bytes.len() as u64;
    put_varint(out, 1 + varint_len(len) as u64 + len);
    out.push(tag << 3 | 2);
    put_varint(out, len);
    out.extend_from_slice(bytes);
}
