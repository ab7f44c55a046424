//! Hrana's streams, whatever they are spoken over: who asks, what a stream holds, what it does.
//!
//! Statements outside a transaction share the connections of their database. A connection belongs to a
//! stream while it holds something of it: a transaction, temporary objects, changed settings. What was rolled
//! back by somebody else than the client ends the stream: nothing that it sends after it is run as if the
//! transaction were still there.
//!
//! | file | holds |
//! | --- | --- |
//! | `asker` | who asks, for which database, within which rights |
//! | `begin` | transactions that only read |
//! | `turn` | a stream at work, with the session it works on |
//! | `work`, `cursor` | requests of a stream: answered at once, or entry by entry |
//! | `texts` | SQL stored under numbers |
//! | `words` | what words of a statement tell before it runs |
//! | `fail`, `sqlite` | what went wrong, in Hrana's words and SQLite's |
mod asker;
mod begin;
mod cursor;
mod driven;
mod fail;
mod sqlite;
#[cfg(test)]
mod tests;
mod texts;
mod turn;
mod words;
mod work;

pub(crate) use asker::Asker;
pub(crate) use cursor::{Cursor, Part, cursor};
pub(crate) use fail::Fail;
pub(crate) use texts::Texts;
pub(crate) use turn::{Keep, Stream};
pub(crate) use work::perform;
