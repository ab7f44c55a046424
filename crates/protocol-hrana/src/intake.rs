//! The body of a request, bounded in size and time while it comes.
use crate::error::Fault;
use crate::shared::Shared;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use rowhouse_types::ErrorCode;
use tokio::time::timeout;

/// Reads a body to its end.
pub(crate) async fn whole(mut body: Incoming, shared: &Shared, _headers: &HeaderMap) -> Result<Bytes, Fault> {
    let most = shared.context.settings.max_request_bytes;
    let declared = body.size_hint().lower();
    if u64::try_from(most).is_ok_and(|most| most < declared) {
        return Err(too_large(most));
    }
    let patience = shared.context.patience.get().body;
    let reading = async {
        let Some(first) = next(&mut body).await? else { return Ok(Bytes::new()) };
        if most < first.len() {
            return Err(too_large(most));
        }
        // Most requests are one frame, which is taken as it is.
        if body.is_end_stream() {
            return Ok(first);
        }
        let Some(second) = next(&mut body).await? else { return Ok(first) };
        let mut all = BytesMut::from(first);
        let mut more = Some(second);
        while let Some(bytes) = more {
            if most - all.len() < bytes.len() {
                return Err(too_large(most));
            }
            all.extend_from_slice(&bytes);
            more = next(&mut body).await?;
        }
        Ok(all.freeze())
    };
    timeout(patience, reading).await.unwrap_or_else(|_elapsed| {
        let message = format!("the body of the request did not come within {} ms", patience.as_millis());
        Err(Fault::new(ErrorCode::MalformedRequest, message)
            .status(StatusCode::REQUEST_TIMEOUT)
            .hint("send it in one go, or ask the operator to raise http_body_timeout"))
    })
}

/// The next bytes, if there are any.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Fault> {
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|_cut| Fault::new(ErrorCode::MalformedRequest, "the body of the request was cut off"))?;
        match frame.into_data() {
            Ok(bytes) if bytes.is_empty() => {}
            Ok(bytes) => return Ok(Some(bytes)),
            Err(_trailers) => {}
        }
    }
    Ok(None)
}

fn too_large(most: usize) -> Fault {
    Fault::new(ErrorCode::RequestTooLarge, format!("the request has more than {most} bytes"))
        .hint("send less at once, or ask the operator to raise max_request_bytes")
}
