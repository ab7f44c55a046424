//! Replies: a msgpack map with `items`, `error` and, on success, perhaps `rowcount` and `lastrowid`.
//!
//! Rows are written straight into the reply as they come; lengths are filled in at the end.
use super::fault::Fault;
use rmp::encode;
use rowhouse_types::ValueRef;

/// Where the length of `items` stands: after the map's byte, the key and the array's marker.
const ROWS_AT: usize = 8;

/// Writes one reply.
#[derive(Debug)]
pub struct ReplyWriter {
    out: Vec<u8>,
    rows: u32,
}

impl Default for ReplyWriter {
    fn default() -> Self {
        // A map of a number of pairs not known yet, "items", an array of a length not known yet.
        let mut out = Vec::with_capacity(256);
        out.push(0x80);
        put_str(&mut out, "items");
        out.extend_from_slice(&[0xdd, 0, 0, 0, 0]);
        debug_assert_eq!(out.len(), ROWS_AT + 4);
        Self { out, rows: 0 }
    }
}

impl ReplyWriter {
    /// Appends one row.
    pub fn row<'v>(&mut self, values: impl ExactSizeIterator<Item = ValueRef<'v>>) {
        self.rows += 1;
        let width = u32::try_from(values.len()).expect("engines have far fewer columns");
        put(encode::write_array_len(&mut self.out, width));
        values.for_each(|value| put_value(&mut self.out, value));
    }

    /// Ends a reply of a request that succeeded.
    pub fn finish(mut self, rowcount: Option<u64>, lastrowid: Option<i64>) -> Vec<u8> {
        self.out[ROWS_AT..ROWS_AT + 4].copy_from_slice(&self.rows.to_be_bytes());
        put_str(&mut self.out, "error");
        put(encode::write_nil(&mut self.out));
        let mut pairs = 2;
        if let Some(rowcount) = rowcount {
            pairs += 1;
            put_str(&mut self.out, "rowcount");
            put(encode::write_uint(&mut self.out, rowcount));
        }
        if let Some(lastrowid) = lastrowid {
            pairs += 1;
            put_str(&mut self.out, "lastrowid");
            put(encode::write_sint(&mut self.out, lastrowid));
        }
        self.out[0] |= pairs;
        self.out
    }

    /// The reply to a request that failed.
    pub fn fault(fault: &Fault) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        put(encode::write_map_len(&mut out, 2));
        put_str(&mut out, "items");
        put(encode::write_array_len(&mut out, 0));
        put_str(&mut out, "error");
        put(encode::write_map_len(&mut out, 3 + u32::from(fault.hint.is_some())));
        let pairs =
            [("type", fault.class.qualified()), ("message", &fault.text()), ("code", fault.code.as_str())];
        for (key, text) in pairs {
            put_str(&mut out, key);
            put_str(&mut out, text);
        }
        if let Some(hint) = &fault.hint {
            put_str(&mut out, "hint");
            put_str(&mut out, hint);
        }
        out
    }
}

fn put_value(out: &mut Vec<u8>, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => put(encode::write_nil(out)),
        ValueRef::Integer(n) => put(encode::write_sint(out, n)),
        ValueRef::Real(x) => put(encode::write_f64(out, x)),
        ValueRef::Text(text) => put_str(out, text),
        ValueRef::Blob(bytes) => put(encode::write_bin(out, bytes)),
    }
}

fn put_str(out: &mut Vec<u8>, text: &str) {
    put(encode::write_str(out, text));
}

fn put<T, E: std::fmt::Debug>(written: Result<T, E>) {
    written.expect("writing into memory cannot fail");
}

#[cfg(test)]
mod tests {
    use super::super::fault::Class;
    use super::*;
    use rmpv::Value;
    use rowhouse_types::ErrorCode;

    fn read(mut bytes: &[u8]) -> Value {
        let value = rmpv::decode::read_value(&mut bytes).expect("well formed");
        assert!(bytes.is_empty());
        value
    }

    #[test]
    fn rows_and_counts_come_in_the_documented_order() {
        let mut reply = ReplyWriter::default();
        let row = [ValueRef::Integer(-1), ValueRef::Text("x"), ValueRef::Real(1.2), ValueRef::Null];
        reply.row(row.into_iter());
        reply.row([ValueRef::Blob(&[0, 255])].into_iter());
        let value = read(&reply.finish(Some(1), Some(2)));
        let items = Value::Array(vec![
            Value::Array(vec![(-1).into(), "x".into(), 1.2.into(), Value::Nil]),
            Value::Array(vec![Value::Binary(vec![0, 255])]),
        ]);
        let expected =
            [("items", items), ("error", Value::Nil), ("rowcount", 1.into()), ("lastrowid", 2.into())];
        assert_eq!(value, Value::Map(expected.map(|(k, v)| (k.into(), v)).to_vec()));
    }

    #[test]
    fn counts_that_are_not_there_are_left_out() {
        let value = read(&ReplyWriter::default().finish(None, None));
        let expected = [("items", Value::Array(vec![])), ("error", Value::Nil)];
        assert_eq!(value, Value::Map(expected.map(|(k, v)| (k.into(), v)).to_vec()));
    }

    #[test]
    fn faults_carry_type_message_code_and_hint() {
        let fault =
            Fault::new(Class::KeyError, ErrorCode::MalformedRequest, "'params'").with_hint(Some("h".into()));
        let value = read(&ReplyWriter::fault(&fault));
        let error = &value["error"];
        assert_eq!(error["type"], "builtins.KeyError".into());
        assert_eq!(error["message"], "KeyError: 'params'".into());
        assert_eq!(error["code"], "malformed_request".into());
        assert_eq!(error["hint"], "h".into());
        assert_eq!(value["items"], Value::Array(vec![]));
    }
}
