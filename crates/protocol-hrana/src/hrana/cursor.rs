//! A batch, answered entry by entry, as the client reads.
//!
//! The baton stands before the entries, and whether there is to be one is known for certain only after them.
//! So entries are held back until the batch has ended or they are too many; a batch of which it is plain that
//! it leaves nothing behind is answered at once.
use super::pipeline::leave;
use super::streams::{Kept, Lodging, Streams};
use crate::body::{Body, Broken};
use crate::call::{Answer, Call};
use crate::sent::Sent;
use crate::shared::Shared;
use crate::stream::{self, Asker, Cursor, Fail, Keep, Texts};
use bytes::Bytes;
use futures::StreamExt;
use rowhouse_wire::hrana::{Batch, CursorRequest, CursorWriter, Encoding, Sql, decode_cursor};
use std::sync::Arc;

/// Bytes of entries after which they are sent.
const PIECE: usize = 64 << 10;

/// Bytes of entries that are held back for a baton.
const HELD_BACK: usize = 256 << 10;

/// A body under way.
struct Reply {
    shared: Arc<Shared>,
    asker: Arc<Asker>,
    encoding: Encoding,
    /// `None` once it has ended.
    cursor: Option<Cursor>,
    texts: Arc<Texts>,
    writer: CursorWriter,
    baton: Baton,
}

/// What is known of the baton.
enum Baton {
    /// Nothing yet.
    Open(Lodging),
    /// It was told, and this is where the stream goes.
    Told(Lodging),
    /// There is none.
    None,
}

/// Answers a cursor.
///
/// # Errors
///
/// When it failed as a whole: the stream is closed then.
pub(super) async fn answer(call: Call, body: Sent, encoding: Encoding) -> Result<Answer, Fail> {
    let (request, room) = call.read(body, move |body| decode_cursor(body, encoding)).await?;
    let CursorRequest { baton, batch } = request;
    let asker = Arc::new(Asker::of(&call));
    let (baton, Kept { stream, texts }) = match &baton {
        Some(baton) => {
            let (lodging, kept) = Streams::take(&call.shared, &asker, baton)?;
            (Baton::Open(lodging), kept)
        }
        None if leaves_nothing(&batch) => (Baton::None, Kept::default()),
        None => (Baton::Open(Streams::reserve(&call.shared, &asker)?), Kept::default()),
    };
    let mut turn = stream.turn(asker.clone());
    if !turn.is_connected() {
        turn.prepare().await?;
    }
    let (texts, keep) = (Arc::new(texts), Keep::Open);
    let keep = if texts.is_empty() { Keep::Nothing } else { keep };
    let cursor = Some(stream::cursor(turn, texts.clone(), (batch, room), keep));
    let mut writer = CursorWriter::new(encoding, None, None);
    if !matches!(baton, Baton::None) {
        // The head follows when it is known.
        drop(writer.take());
    }
    let reply = Reply { shared: call.shared.clone(), asker, encoding, cursor, texts, writer, baton };
    let pieces = futures::stream::unfold(reply, |mut reply| async move {
        let piece = reply.piece().await?;
        Some((piece, reply))
    });
    Ok(super::answer(encoding, Body::stream(pieces)))
}

/// Whether it is plain that a batch leaves neither a transaction nor anything else behind.
fn leaves_nothing(batch: &Batch) -> bool {
    batch.steps.iter().all(|step| match &step.statement.sql {
        Sql::Text(sql) => is_plain(sql),
        Sql::Stored(_) => false,
    })
}

fn is_plain(sql: &str) -> bool {
    let word = sql.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    ["SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "VALUES", "EXPLAIN"]
        .iter()
        .any(|plain| plain.eq_ignore_ascii_case(word))
}

// === impl Reply ===

impl Reply {
    /// The next piece of the body.
    async fn piece(&mut self) -> Option<Result<Bytes, Broken>> {
        let cursor = self.cursor.as_mut()?;
        let full = if matches!(self.baton, Baton::Open(_)) { HELD_BACK } else { PIECE };
        while self.writer.buffered() < full {
            let Some(part) = cursor.next().await else {
                return self.last().await;
            };
            let mut entries = self.writer.entries();
            // All of its rows: there are no more than fit one chunk.
            let (rest, _written) = part.write(&mut entries, usize::MAX, usize::MAX);
            debug_assert!(rest.is_none(), "it was to be written wholly");
        }
        match std::mem::replace(&mut self.baton, Baton::None) {
            Baton::Open(lodging) => {
                let baton = lodging.baton();
                self.baton = Baton::Told(lodging);
                Some(Ok(self.with_head(Some(&baton))))
            }
            told => {
                self.baton = told;
                Some(Ok(self.writer.take().into()))
            }
        }
    }

    /// The end of it: the stream is kept, if anything of it is.
    async fn last(&mut self) -> Option<Result<Bytes, Broken>> {
        let stream = self.cursor.take()?.end().await;
        let texts = std::mem::take(&mut self.texts);
        let Ok(texts) = Arc::try_unwrap(texts) else { unreachable!("its cursor has ended") };
        match std::mem::replace(&mut self.baton, Baton::None) {
            Baton::None => {}
            Baton::Told(lodging) => lodging.park(Kept { stream, texts }, self.asker.clone()),
            Baton::Open(lodging) => match leave(stream, texts) {
                None => return Some(Ok(self.with_head(None))),
                Some(kept) => {
                    let baton = lodging.baton();
                    lodging.park(kept, self.asker.clone());
                    return Some(Ok(self.with_head(Some(&baton))));
                }
            },
        }
        (self.writer.buffered() != 0).then(|| Ok(self.writer.take().into()))
    }

    /// What is written so far, after the head that belongs before it.
    fn with_head(&mut self, baton: Option<&str>) -> Bytes {
        let mut head = CursorWriter::new(self.encoding, baton, None).take();
        head.append(&mut self.writer.take());
        head.into()
    }
}

/// A client that has read enough has its baton, and its stream goes on.
impl Drop for Reply {
    fn drop(&mut self) {
        let Some(cursor) = self.cursor.take() else { return };
        let Baton::Told(lodging) = std::mem::replace(&mut self.baton, Baton::None) else { return };
        let (texts, asker) = (std::mem::take(&mut self.texts), self.asker.clone());
        self.shared.spawn(async move {
            let stream = cursor.end().await;
            if let Ok(texts) = Arc::try_unwrap(texts) {
                lodging.park(Kept { stream, texts }, asker);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_open_a_transaction_is_plain() {
        for plain in ["SELECT 1", " \n select\t1", "with x as (select 1) select * from x", "Insert into t"] {
            assert!(is_plain(plain), "{plain}");
        }
        let others =
            ["BEGIN", "savepoint s", "PRAGMA foreign_keys=off", "CREATE TEMP TABLE t(a)", "", "/* */ BEGIN"];
        for other in others {
            assert!(!is_plain(other), "{other}");
        }
    }
}
