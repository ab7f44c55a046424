//! Values, as the server writes and reads them.
//!
//! Everything travels as text: an argument is what it would be in quotes, so that its place gives it its
//! type; a result is what PostgreSQL prints. Integers, floats, booleans (1 and 0) and bytes become values
//! of their own, and whatever has no exact counterpart (numbers of any length, dates, arrays, JSON) stays
//! the text that it is.
use bytes::Bytes;
use rowhouse_engine::{Batch, Column, Misuse};
use rowhouse_types::{Value, ValueRef};

/// How a column's text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Integer,
    Real,
    Boolean,
    Bytes,
    Text,
}

/// Identifiers of types that every server has.
const BOOL: u32 = 16;
const BYTEA: u32 = 17;
const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
const OID: u32 = 26;
const FLOAT4: u32 = 700;
const FLOAT8: u32 = 701;

/// The names that SQL has for types, as they are declared.
const NAMES: &[(u32, &str)] = &[
    (BOOL, "BOOLEAN"),
    (BYTEA, "BYTEA"),
    (18, "\"CHAR\""),
    (19, "NAME"),
    (INT8, "BIGINT"),
    (INT2, "SMALLINT"),
    (INT4, "INTEGER"),
    (25, "TEXT"),
    (OID, "OID"),
    (114, "JSON"),
    (142, "XML"),
    (FLOAT4, "REAL"),
    (FLOAT8, "DOUBLE PRECISION"),
    (790, "MONEY"),
    (869, "INET"),
    (650, "CIDR"),
    (829, "MACADDR"),
    (1000, "BOOLEAN[]"),
    (1005, "SMALLINT[]"),
    (1007, "INTEGER[]"),
    (1009, "TEXT[]"),
    (1015, "VARCHAR[]"),
    (1016, "BIGINT[]"),
    (1021, "REAL[]"),
    (1022, "DOUBLE PRECISION[]"),
    (1042, "CHAR"),
    (1043, "VARCHAR"),
    (1082, "DATE"),
    (1083, "TIME"),
    (1114, "TIMESTAMP"),
    (1184, "TIMESTAMPTZ"),
    (1186, "INTERVAL"),
    (1231, "NUMERIC[]"),
    (1266, "TIMETZ"),
    (1560, "BIT"),
    (1562, "VARBIT"),
    (1700, "NUMERIC"),
    (2950, "UUID"),
    (2951, "UUID[]"),
    (3614, "TSVECTOR"),
    (3615, "TSQUERY"),
    (3802, "JSONB"),
    (3807, "JSONB[]"),
];

/// The name of a type that every server has.
pub(crate) fn type_name(oid: u32) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name)
}

/// How a result of this type is read.
pub(crate) fn reading(oid: u32) -> Reading {
    match oid {
        INT2 | INT4 | INT8 | OID => Reading::Integer,
        FLOAT4 | FLOAT8 => Reading::Real,
        BOOL => Reading::Boolean,
        BYTEA => Reading::Bytes,
        _ => Reading::Text,
    }
}

/// An argument as text; `None` is `NULL`.
pub(crate) fn argument(value: &Value) -> Option<Bytes> {
    Some(match value {
        Value::Null => return None,
        Value::Integer(n) => n.to_string().into(),
        Value::Real(x) => real(*x).into(),
        Value::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
        Value::Blob(bytes) => hex(bytes).into(),
    })
}

/// A float that an integer's place takes too, if it is one.
fn real(x: f64) -> String {
    if x.is_nan() {
        "NaN".to_owned()
    } else if x.is_infinite() {
        if x < 0.0 { "-Infinity" } else { "Infinity" }.to_owned()
    } else if x == x.trunc() && x.abs() < 1e15 {
        format!("{x:.0}")
    } else {
        format!("{x:e}")
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("\\x");
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Appends one value of a result to a batch.
///
/// # Errors
///
/// When it is text that is not UTF-8.
pub(crate) fn push(
    batch: &mut Batch,
    column: &Column,
    reading: Reading,
    text: Option<&[u8]>,
) -> Result<(), Misuse> {
    let Some(bytes) = text else {
        batch.push(ValueRef::Null);
        return Ok(());
    };
    if reading == Reading::Bytes {
        batch.push(ValueRef::Blob(&unhex(bytes)));
        return Ok(());
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        let text = String::from_utf8_lossy(bytes).into_owned();
        return Err(Misuse::NotUtf8 { column: column.name.clone(), text });
    };
    let value = match reading {
        Reading::Integer => text.parse().ok().map(ValueRef::Integer),
        Reading::Real => text.parse().ok().map(ValueRef::Real),
        Reading::Boolean => Some(ValueRef::Integer(i64::from(text == "t"))),
        Reading::Text | Reading::Bytes => None,
    };
    // What does not read as what it is called is the text that it is.
    batch.push(value.unwrap_or(ValueRef::Text(text)));
    Ok(())
}

/// The bytes that are written as `\x00ff`, or as text in which some are escaped (`bytea_output`).
fn unhex(text: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
    if let Some(digits) = text.strip_prefix(b"\\x") {
        return digits.chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (b'\\', [b'\\', after @ ..]) => (rest, _) = (after, bytes.push(b'\\')),
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => bytes.push(first),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_so_that_integers_take_them() {
        for (x, text) in [
            (1.0, "1"),
            (-3.0, "-3"),
            (0.1, "1e-1"),
            (1e300, "1e300"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
            (f64::NAN, "NaN"),
            (-0.0, "-0"),
        ] {
            assert_eq!(real(x), text);
        }
    }

    #[test]
    fn bytes_are_read_in_both_ways_they_are_written() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unhex(hex(&all).as_bytes()), all);
        assert_eq!(unhex(br"a\\b\000\377"), b"a\\b\0\xff");
        assert_eq!(unhex(b""), b"");
    }
}
