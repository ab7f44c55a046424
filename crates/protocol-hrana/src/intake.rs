//! The body of a request, bounded in size and time while it comes.
use crate::error::Fault;
use crate::shared::Shared;
use bytes::{Bytes, BytesMut};
use flate2::write::GzDecoder;
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use rowhouse_types::ErrorCode;
use std::io::{self, Write};
use tokio::time::timeout;

/// How much of a packed body is unpacked in one go: at most a thousand times as much comes out.
const BIT: usize = 1024;

/// Reads a body to its end.
pub(crate) async fn whole(mut body: Incoming, shared: &Shared, headers: &HeaderMap) -> Result<Bytes, Fault> {
    let most = shared.context.settings.max_request_bytes;
    let is_packed =
        match headers.get(header::CONTENT_ENCODING).map(|coding| coding.as_bytes().to_ascii_lowercase()) {
            None => false,
            Some(coding) if coding == b"identity" => false,
            Some(coding) if coding == b"gzip" => true,
            Some(_) => {
                return Err(Fault::new(
                    ErrorCode::MalformedRequest,
                    "the body of the request is packed in a way that is not known",
                )
                .status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
                .hint("send it plain, or with Content-Encoding: gzip"));
            }
        };
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
    let read = timeout(patience, reading).await.unwrap_or_else(|_elapsed| {
        let message = format!("the body of the request did not come within {} ms", patience.as_millis());
        Err(Fault::new(ErrorCode::MalformedRequest, message)
            .status(StatusCode::REQUEST_TIMEOUT)
            .hint("send it in one go, or ask the operator to raise http_body_timeout"))
    })?;
    if is_packed { unpack(&read, most).await } else { Ok(read) }
}

/// Unpacks a body, to so many bytes at most.
async fn unpack(packed: &[u8], most: usize) -> Result<Bytes, Fault> {
    let mut decoder = GzDecoder::new(Bounded { bytes: Vec::new(), most });
    for bit in packed.chunks(BIT) {
        decoder.write_all(bit).map_err(|error| unpackable(&error, most))?;
        // A bit may have been long: others have the thread in between.
        tokio::task::yield_now().await;
    }
    let plain = decoder.finish().map_err(|error| unpackable(&error, most))?;
    Ok(plain.bytes.into())
}

/// Bytes up to a bound; what goes beyond is refused.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl Write for Bounded {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if self.most - self.bytes.len() < more.len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn unpackable(error: &io::Error, most: usize) -> Fault {
    match error.kind() {
        io::ErrorKind::FileTooLarge => too_large(most),
        _ => Fault::new(ErrorCode::MalformedRequest, "the body of the request is not gzip, as it says"),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn packed(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).expect("into memory");
        encoder.finish().expect("into memory")
    }

    #[tokio::test]
    async fn what_is_packed_comes_out_up_to_its_bound_and_no_further() {
        let plain = vec![7; 5 << 20];
        assert_eq!(unpack(&packed(&plain), plain.len()).await.expect("it fits"), plain);
        let fault = unpack(&packed(&plain), plain.len() - 1).await.expect_err("one too many");
        assert_eq!((fault.status, fault.code), (StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::RequestTooLarge));
        for broken in [&b"{}"[..], &packed(b"whole")[..20]] {
            let fault = unpack(broken, 100).await.expect_err("no gzip");
            assert_eq!(fault.status, StatusCode::BAD_REQUEST);
        }
    }
}
