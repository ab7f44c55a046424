//! The floor of the protocol: reading a request and writing its reply, as the server does, in process.
//!
//! An echo and this together are what any server of this protocol pays before it knows a database.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rowhouse_types::ValueRef;
use rowhouse_wire::sqlite_rx::{Call, Envelope, ReplyWriter, decode};

use super::{client, peer};

/// What a request may inflate to.
const MAX_REQUEST: usize = 1 << 20;

/// Reads a `SELECT 1` and writes its reply so many times; returns the processor time of one.
pub(super) fn select_one(database: &str, times: u32) -> Result<Duration> {
    let request = client::request("load-0", database, "SELECT 1", None)?;
    let mut envelope = Envelope::default();
    let answer = serve(&mut envelope, &request)?;
    ensure!(client::rows(&answer)?.len() == 1, "the codec answers {answer:?}");
    let before = peer::own_cpu()?;
    for _ in 0..times {
        black_box(serve(&mut envelope, black_box(&request))?);
    }
    Ok((peer::own_cpu()? - before) / times)
}

/// Answers one request as if a database had answered it with one row.
fn serve(envelope: &mut Envelope, request: &[u8]) -> Result<Vec<u8>> {
    let inflated = envelope.unpack(request, MAX_REQUEST)?;
    let incoming = decode(&inflated).ok().context("the codec refuses the request")?;
    let Call::Run(Ok(asked)) = incoming.call else { anyhow::bail!("the codec understands no query") };
    black_box((incoming.database, asked));
    let mut reply = ReplyWriter::default();
    reply.row([ValueRef::Integer(1)].into_iter());
    Ok(envelope.pack(&reply.finish(None, None)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codec_answers_what_the_load_asks() {
        assert!(select_one("warm", 1).is_ok());
    }
}
