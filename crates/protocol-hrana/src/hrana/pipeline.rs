//! Requests on a stream, answered together.
//!
//! A pipeline that leaves nothing behind is answered without a baton: no stream is kept for it, whether it
//! was closed or not.
use super::streams::{Kept, Lodging, Streams};
use crate::body::Body;
use crate::call::{Answer, Call};
use crate::sent::Sent;
use crate::stream::{Asker, Fail, Keep, Stream, Texts, perform};
use rowhouse_wire::hrana::{
    Done, Encoding, PipelineRequest, PipelineWriter, StreamRequest, Work, decode_pipeline,
};
use std::sync::Arc;

/// Answers a pipeline.
///
/// # Errors
///
/// When it failed as a whole: the stream is closed then.
pub(super) async fn answer(call: Call, body: Sent, encoding: Encoding) -> Result<Answer, Fail> {
    let (pipeline, _room) = call.read(body, move |body| decode_pipeline(body, encoding)).await?;
    let PipelineRequest { baton, requests } = pipeline;
    let asker = Arc::new(Asker::of(&call));
    let closes = matches!(requests.last(), Some(StreamRequest::Close));
    let (lodging, kept) = match &baton {
        Some(baton) => {
            let (lodging, kept) = Streams::take(&call.shared, &asker, baton)?;
            (Some(lodging), kept)
        }
        None if closes => (None, Kept::default()),
        None => (Some(Streams::reserve(&call.shared, &asker)?), Kept::default()),
    };
    let Kept { stream, mut texts } = kept;
    let mut turn = stream.turn(asker.clone());
    let mut writer = PipelineWriter::new(encoding);
    let mut has_worked = false;
    for request in requests {
        // However little each of them says, together they may say too much.
        turn.bound(writer.buffered())?;
        match request {
            StreamRequest::Close => writer.answer().done(Done::Close),
            StreamRequest::StoreSql { sql_id, sql } => match store(&mut texts, lodging.as_ref(), sql_id, sql)
            {
                Ok(()) => writer.answer().done(Done::StoreSql),
                Err(fail) => writer.answer().error(&fail.error()),
            },
            StreamRequest::CloseSql { sql_id } => {
                close(&mut texts, lodging.as_ref(), sql_id);
                writer.answer().done(Done::CloseSql);
            }
            StreamRequest::Work(work) => {
                // What cannot begin at all is told so that everybody on the way understands it.
                if !has_worked && !turn.is_connected() && !matches!(work, Work::GetAutocommit) {
                    turn.prepare().await?;
                }
                has_worked = true;
                // It is told in the answer.
                let _failed = perform(&mut turn, &texts, work, writer.answer()).await;
            }
        }
    }
    let keep = if closes || texts.is_empty() { Keep::Nothing } else { Keep::Open };
    let stream = turn.end(keep);
    let kept = if closes { None } else { leave(stream, texts) };
    let baton = match (lodging, kept) {
        (Some(lodging), Some(kept)) => {
            let baton = lodging.baton();
            lodging.park(kept, asker);
            Some(baton)
        }
        _ => None,
    };
    Ok(super::answer(encoding, Body::full(writer.finish(baton.as_deref(), None))))
}

/// Stores a text, if there is room among those of all streams.
fn store(texts: &mut Texts, lodging: Option<&Lodging>, id: i32, sql: Arc<str>) -> Result<(), Fail> {
    texts.store(id, sql)?;
    let counted = lodging.map_or(Ok(()), |lodging| lodging.store(texts.bytes()));
    counted.inspect_err(|_full| texts.close(id))
}

fn close(texts: &mut Texts, lodging: Option<&Lodging>, id: i32) {
    texts.close(id);
    let _less = lodging.map(|lodging| lodging.store(texts.bytes()));
}

/// What is to be kept of a stream, if anything is.
pub(super) fn leave(stream: Stream, texts: Texts) -> Option<Kept> {
    let is_empty = stream.is_over() || (!stream.is_pinned() && texts.is_empty());
    (!is_empty).then_some(Kept { stream, texts })
}
