//! Values as JSON's own.
use crate::base64::put_base64;
use crate::json::{put_float, put_integer, put_str};
use rowhouse_types::ValueRef;

/// The greatest integer that a double, which is what a number is to JavaScript, tells from its neighbours.
const MAX_SAFE: i64 = (1 << 53) - 1;

/// Writes a value as plain JSON.
pub fn put_value(out: &mut Vec<u8>, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => out.extend_from_slice(b"null"),
        ValueRef::Integer(number) => put_number(out, number),
        ValueRef::Real(number) if number.is_finite() => put_float(out, number),
        ValueRef::Real(number) => put_str(out, not_finite(number)),
        ValueRef::Text(text) => put_str(out, text),
        ValueRef::Blob(bytes) => {
            out.extend_from_slice(b"{\"base64\":\"");
            put_base64(out, bytes);
            out.extend_from_slice(b"\"}");
        }
    }
}

/// Writes an integer: as a number, or as a string if it is too great for some readers' numbers.
pub(super) fn put_number(out: &mut Vec<u8>, number: i64) {
    let is_safe = (-MAX_SAFE..=MAX_SAFE).contains(&number);
    if !is_safe {
        out.push(b'"');
    }
    put_integer(out, number);
    if !is_safe {
        out.push(b'"');
    }
}

/// What a double that is not finite is called, as JavaScript and Python read it.
pub(super) fn not_finite(number: f64) -> &'static str {
    match (number.is_nan(), number > 0.0) {
        (true, _) => "NaN",
        (false, true) => "Infinity",
        (false, false) => "-Infinity",
    }
}
