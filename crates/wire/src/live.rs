//! What is told on a feed of changes, as JSON: each message one line.
//!
//! `{"type": "insert" | "update" | "delete", "position", "table", "row": {column: value, ..}}`, values as those of
//! plain SQL over HTTP; `{"type": "gap", "position", "reason"}` where something was not told that
//! was committed; `{"type": "ready", "position"}` first, and `{"type": "end", "code", "message"}` last.
use crate::json::put_str;
use crate::query::put_value;
use rowhouse_types::ValueRef;

/// A row that was changed.
#[derive(Clone, Copy, Debug)]
pub struct ChangedRow<'a> {
    /// How: `insert`, `update` or `delete`.
    pub kind: &'a str,
    /// The table it is in.
    pub table: &'a str,
    /// The names of its columns.
    pub columns: &'a [String],
}

/// Writes that a row was changed.
pub fn put_change<'v>(
    out: &mut Vec<u8>,
    position: &str,
    changed: ChangedRow<'_>,
    values: impl Iterator<Item = ValueRef<'v>>,
) {
    let ChangedRow { kind, table, columns } = changed;
    put_head(out, kind, position);
    out.extend_from_slice(b",\"table\":");
    put_str(out, table);
    out.extend_from_slice(b",\"row\":{");
    for (at, (column, value)) in columns.iter().zip(values).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        put_str(out, column);
        out.push(b':');
        put_value(out, value);
    }
    out.extend_from_slice(b"}}");
}

/// Writes that something was not told, and why in a word.
pub fn put_gap(out: &mut Vec<u8>, position: &str, reason: &str) {
    put_head(out, "gap", position);
    put_member(out, "reason", reason);
    out.push(b'}');
}

/// Writes that from here on all is told.
pub fn put_ready(out: &mut Vec<u8>, position: &str) {
    put_head(out, "ready", position);
    out.push(b'}');
}

/// Writes that nothing follows, and why.
pub fn put_end(out: &mut Vec<u8>, code: &str, message: &str) {
    out.extend_from_slice(b"{\"type\":\"end\"");
    put_member(out, "code", code);
    put_member(out, "message", message);
    out.push(b'}');
}

fn put_head(out: &mut Vec<u8>, kind: &str, position: &str) {
    out.extend_from_slice(b"{\"type\":");
    put_str(out, kind);
    put_member(out, "position", position);
}

fn put_member(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b',');
    put_str(out, name);
    out.push(b':');
    put_str(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_told_is_one_line_of_json_whatever_is_in_the_row() {
        let columns = ["id".to_owned(), "a\"b".to_owned(), "big".to_owned(), "blob".to_owned()];
        let changed = ChangedRow { kind: "insert", table: "t", columns: &columns };
        let values = [
            ValueRef::Integer(1),
            ValueRef::Text("two\nlines\r\0é"),
            ValueRef::Integer(i64::MAX),
            ValueRef::Blob(&[0, 255]),
        ];
        let told = text(|out| put_change(out, "p-1", changed, values.into_iter()));
        let expected = concat!(
            r#"{"type":"insert","position":"p-1","table":"t","row":{"id":1,"a\"b":"two\nlines\r\u0000é","#,
            r#""big":"9223372036854775807","blob":{"base64":"AP8"}}}"#
        );
        assert_eq!(told, expected);
        assert!(!told.contains(['\n', '\r']));
        assert_eq!(
            text(|out| put_gap(out, "p-2", "schema")),
            r#"{"type":"gap","position":"p-2","reason":"schema"}"#
        );
        assert_eq!(text(|out| put_ready(out, "p-0")), r#"{"type":"ready","position":"p-0"}"#);
        assert_eq!(
            text(|out| put_end(out, "session_ended", "why")),
            r#"{"type":"end","code":"session_ended","message":"why"}"#
        );
    }
}
