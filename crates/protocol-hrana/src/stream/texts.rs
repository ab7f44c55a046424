//! SQL that a client has stored under numbers.
use super::fail::Fail;
use crate::error::Fault;
use http::StatusCode;
use rowhouse_types::ErrorCode;
use rowhouse_wire::hrana::Sql;
use std::collections::HashMap;
use std::sync::Arc;

/// The most texts stored at once, by one stream over HTTP or one connection over WebSocket.
pub(crate) const TEXTS_MAX: usize = 1024;

/// The most bytes of them together.
pub(crate) const TEXTS_BYTES_MAX: usize = 1 << 20;

/// SQL that a client has stored under numbers.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    texts: HashMap<i32, Arc<str>>,
    /// Of all of them.
    bytes: usize,
}

// === impl Texts ===

impl Texts {
    /// Stores a text.
    ///
    /// # Errors
    ///
    /// When there is one of this number, or too much is stored.
    pub(crate) fn store(&mut self, id: i32, sql: Arc<str>) -> Result<(), Fail> {
        if self.texts.contains_key(&id) {
            let message = format!("an SQL text is stored under {id} already");
            let fault = Fault::new(ErrorCode::MalformedRequest, message).hint("close it first");
            return Err(Fail::named("SQL_ALREADY_STORED", fault));
        }
        let bytes = self.bytes + sql.len();
        if TEXTS_MAX <= self.texts.len() || TEXTS_BYTES_MAX < bytes {
            let message =
                format!("at most {TEXTS_MAX} SQL texts with at most {TEXTS_BYTES_MAX} bytes are stored");
            let fault = Fault::new(ErrorCode::RequestTooLarge, message);
            let fault = fault.hint("close some, or send the text itself").status(StatusCode::BAD_REQUEST);
            return Err(Fail::named("SQL_STORE_TOO_MANY", fault));
        }
        self.bytes = bytes;
        self.texts.insert(id, sql);
        Ok(())
    }

    /// Forgets a text, if there is one.
    pub(crate) fn close(&mut self, id: i32) {
        if let Some(sql) = self.texts.remove(&id) {
            self.bytes -= sql.len();
        }
    }

    /// The text that is meant.
    ///
    /// # Errors
    ///
    /// When none is stored under its number.
    pub(crate) fn get(&self, sql: &Sql) -> Result<Arc<str>, Fail> {
        let id = match sql {
            Sql::Text(text) => return Ok(text.clone()),
            Sql::Stored(id) => id,
        };
        self.texts.get(id).cloned().ok_or_else(|| {
            let message = format!("no SQL text is stored under {id}");
            let fault =
                Fault::new(ErrorCode::MalformedRequest, message).hint("store it on this stream first");
            Fail::named("SQL_NOT_STORED", fault)
        })
    }

    /// The bytes of all of them.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_bounded_and_room_comes_back() {
        let mut texts = Texts::default();
        let half: Arc<str> = " ".repeat(TEXTS_BYTES_MAX / 2).into();
        texts.store(1, half.clone()).unwrap();
        texts.store(-2, half.clone()).unwrap();
        assert_eq!(texts.store(3, "x".into()).unwrap_err().error().code, "SQL_STORE_TOO_MANY");
        assert_eq!(texts.store(1, "x".into()).unwrap_err().error().code, "SQL_ALREADY_STORED");
        texts.close(1);
        texts.close(1);
        texts.store(3, half).unwrap();
        assert_eq!(texts.get(&Sql::Stored(1)).unwrap_err().error().code, "SQL_NOT_STORED");
        assert!(texts.get(&Sql::Stored(3)).is_ok());
        for id in 10..10 + TEXTS_MAX as i32 - 2 {
            texts.store(id, "".into()).unwrap();
        }
        assert!(texts.store(9, "".into()).is_err());
    }
}
