//! Version 1: one statement or one batch, without a stream. What it leaves behind is undone.
use crate::body::Body;
use crate::call::{Answer, Call};
use crate::sent::Sent;
use crate::stream::{Asker, Fail, Keep, Stream, Texts, perform};
use rowhouse_wire::hrana::{Encoding, SingleWriter, Work, decode_batch, decode_execute};
use std::sync::Arc;

/// Answers `POST v1/execute`.
pub(super) async fn execute(call: Call, body: Sent) -> Result<Answer, Fail> {
    let (statement, _room) = call.read(body, decode_execute).await?;
    run(&call, Work::Execute(statement)).await
}

/// Answers `POST v1/batch`.
pub(super) async fn batch(call: Call, body: Sent) -> Result<Answer, Fail> {
    let (batch, _room) = call.read(body, decode_batch).await?;
    run(&call, Work::Batch(batch)).await
}

async fn run(call: &Call, work: Work) -> Result<Answer, Fail> {
    let mut turn = Stream::default().turn(Arc::new(Asker::of(call)));
    turn.prepare().await?;
    let mut writer = SingleWriter::body();
    perform(&mut turn, &Texts::default(), work, writer.answer()).await?;
    drop(turn.end(Keep::Nothing));
    Ok(super::answer(Encoding::Json, Body::full(writer.finish())))
}
