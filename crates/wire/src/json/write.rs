//! Values written into a buffer.

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Writes a string with its quotes.
pub(crate) fn put_str(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut from = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[from..at]);
        from = at + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&digits);
            }
        }
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
}

/// Writes an integer as a number.
pub(crate) fn put_integer(out: &mut Vec<u8>, number: i64) {
    serde_json::to_writer(out, &number).expect("writing into memory cannot fail");
}

/// Writes an unsigned integer as a number.
pub(crate) fn put_unsigned(out: &mut Vec<u8>, number: u64) {
    serde_json::to_writer(out, &number).expect("writing into memory cannot fail");
}

/// Writes a double in the fewest digits that read back as the same; `null` for what is not finite.
pub(crate) fn put_float(out: &mut Vec<u8>, number: f64) {
    serde_json::to_writer(out, &number).expect("writing into memory cannot fail");
}
