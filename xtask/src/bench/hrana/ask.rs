//! What is asked, as libSQL's client for JavaScript asks it, and whether the answer is one.

use anyhow::{Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::bench::fixture::{ADD_ROW, ROW};

/// A statement and its arguments, as Hrana has them.
#[derive(Debug, Clone)]
pub(super) struct Statement(Value);

// === impl Statement ===

impl Statement {
    /// What costs least.
    pub(super) fn select_one() -> Self {
        Self(json!({ "sql": "SELECT 1", "args": [], "named_args": [], "want_rows": true }))
    }

    /// One row by its key.
    pub(super) fn look_up() -> Self {
        let key = json!({ "type": "integer", "value": "1" });
        Self(json!({
            "sql": "SELECT v FROM kept WHERE id = ?", "args": [key], "named_args": [], "want_rows": true
        }))
    }

    /// One more row.
    pub(super) fn insert() -> Self {
        let row = json!({ "type": "text", "value": ROW });
        Self(json!({ "sql": ADD_ROW, "args": [row], "named_args": [], "want_rows": false }))
    }

    /// How many rows there are.
    pub(super) fn count() -> Self {
        let sql = crate::bench::fixture::COUNT_ROWS;
        Self(json!({ "sql": sql, "args": [], "named_args": [], "want_rows": true }))
    }

    /// The whole request over HTTP, for a database.
    pub(super) fn pipeline(&self, database: &str) -> Bytes {
        let requests = json!([{ "type": "execute", "stmt": self.0 }, { "type": "close" }]);
        let body = json!({ "baton": null, "requests": requests }).to_string();
        let length = body.len();
        Bytes::from(format!(
            "POST /db/{database}/v2/pipeline HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
    }

    /// The message over WebSocket, for the first stream of the connection.
    pub(super) fn message(&self) -> String {
        let request = json!({ "type": "execute", "stream_id": 0, "stmt": self.0 });
        json!({ "type": "request", "request_id": 1, "request": request }).to_string()
    }
}

/// What is said first over WebSocket: who asks, and that there is a stream.
pub(super) fn greeting() -> [String; 2] {
    let open = json!({ "type": "open_stream", "stream_id": 0 });
    [
        json!({ "type": "hello", "jwt": null }).to_string(),
        json!({ "type": "request", "request_id": 0, "request": open }).to_string(),
    ]
}

/// Makes sure that a body tells of no error.
///
/// # Errors
///
/// When it does.
pub(super) fn check(body: &[u8]) -> Result<()> {
    let error = b"\"error\"";
    let told = body.windows(error.len()).any(|window| window == error);
    ensure!(!told, "the server answered: {}", String::from_utf8_lossy(body));
    Ok(())
}

/// Reads the first value of a pipeline's first answer, a whole number.
pub(super) fn number(body: &[u8]) -> Option<u64> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body["results"][0]["response"]["result"]["rows"][0][0]["value"].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_tells_its_length() {
        let request = Statement::look_up().pipeline("acme");
        let (head, body) = str::from_utf8(&request).unwrap().split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /db/acme/v2/pipeline HTTP/1.1\r\n"));
        assert!(head.ends_with(&format!("content-length: {}", body.len())));
    }

    #[test]
    fn an_answer_that_tells_of_an_error_is_none() {
        assert!(check(br#"{"results":[{"type":"error","error":{}}]}"#).is_err());
        assert!(check(br#"{"results":[{"type":"ok"}]}"#).is_ok());
    }

    #[test]
    fn a_number_is_read_from_the_first_row() {
        let body = br#"{"results":[{"response":{"result":{"rows":[[{"type":"integer","value":"42"}]]}}}]}"#;
        assert_eq!(number(body), Some(42));
        assert_eq!(number(b"{}"), None);
    }
}
