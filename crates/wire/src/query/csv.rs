//! Comma-separated values, as in RFC 4180.
use super::value::not_finite;
use crate::base64::put_base64;
use crate::json::{put_float, put_integer};
use rowhouse_types::ValueRef;

/// Writes one record.
pub(super) fn put_record<'v>(out: &mut Vec<u8>, values: impl Iterator<Item = ValueRef<'v>>) {
    for (at, value) in values.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        put_field(out, value);
    }
    out.extend_from_slice(b"\r\n");
}

/// Nothing at all is `NULL`; a text that is empty is a pair of quotes.
fn put_field(out: &mut Vec<u8>, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => {}
        ValueRef::Integer(number) => put_integer(out, number),
        ValueRef::Real(number) if number.is_finite() => put_float(out, number),
        ValueRef::Real(number) => out.extend_from_slice(not_finite(number).as_bytes()),
        ValueRef::Text(text) => put_text(out, text),
        ValueRef::Blob(bytes) => put_base64(out, bytes),
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    let is_edge = |byte: Option<&u8>| byte.is_none_or(|byte| matches!(byte, b' ' | b'\t'));
    let bytes = text.as_bytes();
    let needs_quotes = bytes.iter().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n'))
        || is_edge(bytes.first())
        || is_edge(bytes.last());
    if !needs_quotes {
        return out.extend_from_slice(bytes);
    }
    out.push(b'"');
    for part in bytes.split_inclusive(|&byte| byte == b'"') {
        out.extend_from_slice(part);
        if part.ends_with(b"\"") {
            out.push(b'"');
        }
    }
    out.push(b'"');
}
