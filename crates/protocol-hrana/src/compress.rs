//! Answers that are compressed for clients that take it, bit by bit as they are read.
use crate::body::{Body, Broken};
use crate::call::Answer;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::{Stream, StreamExt as _};
use http::{HeaderMap, HeaderValue, header};
use std::io::Write as _;

/// From how many bytes on it is worth it.
const WORTH: usize = 1024;

/// The most bytes that are compressed in one go: others have the thread in between.
const SLICE: usize = 64 * 1024;

/// Whether the client takes gzip.
pub(crate) fn takes_gzip(headers: &HeaderMap) -> bool {
    let all = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().trim_start_matches("q=");
        let refused = !weight.is_empty() && weight.parse().is_ok_and(|weight: f32| weight <= 0.0);
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

/// The answer, compressed if that is worth it.
pub(crate) fn gzip(answer: Answer) -> Answer {
    let headers = answer.headers();
    let is_events = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    if is_events || headers.contains_key(header::CONTENT_ENCODING) || headers.get(header::UPGRADE).is_some() {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    let body = match body.into_whole() {
        Ok((bytes, busy)) if bytes.len() < WORTH => {
            return Answer::from_parts(parts, Body::full(bytes).held(busy));
        }
        Ok((bytes, busy)) if bytes.len() <= SLICE => {
            let mut encoder = encoder();
            let packed = encoder.write_all(&bytes).and_then(|()| encoder.finish());
            Body::full(packed.expect("into memory")).held(busy)
        }
        Ok((bytes, busy)) => {
            Body::stream(packed(futures::stream::iter(slices(bytes).map(Ok)), Flush::Late)).held(busy)
        }
        Err((bits, busy)) => Body::stream(packed(bits, Flush::Each)).held(busy),
    };
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    parts.headers.remove(header::CONTENT_LENGTH);
    Answer::from_parts(parts, body)
}

/// When what is compressed is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flush {
    /// With each bit: more may be long in coming.
    Each,
    /// As it comes.
    Late,
}

fn encoder() -> GzEncoder<Vec<u8>> {
    GzEncoder::new(Vec::new(), Compression::fast())
}

fn slices(bytes: Bytes) -> impl Iterator<Item = Bytes> + Send {
    let many = bytes.len().div_ceil(SLICE);
    (0..many).map(move |slice| bytes.slice(slice * SLICE..bytes.len().min((slice + 1) * SLICE)))
}

/// Compresses bits; an answer that breaks off is not ended.
fn packed(
    bits: impl Stream<Item = Result<Bytes, Broken>> + Send + 'static,
    flush: Flush,
) -> impl Stream<Item = Result<Bytes, Broken>> + Send {
    let state = Some((Box::pin(bits), encoder()));
    let packed = futures::stream::unfold(state, move |state| async move {
        let (mut bits, mut encoder) = state?;
        match bits.next().await {
            Some(Ok(bit)) => {
                encoder.write_all(&bit).expect("into memory");
                if flush == Flush::Each {
                    encoder.flush().expect("into memory");
                }
                let out = std::mem::take(encoder.get_mut());
                // Many at a time may be ready: others have the thread in between.
                tokio::task::yield_now().await;
                Some((Ok(Bytes::from(out)), Some((bits, encoder))))
            }
            Some(Err(broken)) => Some((Err(broken), None)),
            None => Some((Ok(Bytes::from(encoder.finish().expect("into memory"))), None)),
        }
    });
    packed.filter(|bit| std::future::ready(!matches!(bit, Ok(bytes) if bytes.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use http_body_util::BodyExt as _;
    use std::io::Read as _;

    async fn unpacked(body: Body) -> Result<Vec<u8>, Broken> {
        let bytes = body.collect().await?.to_bytes();
        let mut plain = Vec::new();
        GzDecoder::new(&*bytes).read_to_end(&mut plain).expect("gzip");
        Ok(plain)
    }

    #[tokio::test]
    async fn what_is_long_is_compressed_and_comes_out_as_it_was() {
        for length in [WORTH, SLICE, SLICE + 1, 5 * SLICE + 7] {
            let bytes: Vec<u8> = (0..length).map(|at| (at / 3 % 251) as u8).collect();
            let answer = gzip(Answer::new(Body::full(bytes.clone())));
            assert_eq!(answer.headers()[header::CONTENT_ENCODING], "gzip");
            assert_eq!(unpacked(answer.into_body()).await.expect("whole"), bytes);
        }
        let short = gzip(Answer::new(Body::full(vec![1; WORTH - 1])));
        assert!(!short.headers().contains_key(header::CONTENT_ENCODING));
    }

    #[tokio::test]
    async fn each_bit_of_a_stream_can_be_read_when_it_comes_and_what_breaks_off_is_seen() {
        let bits = futures::stream::iter([Ok(Bytes::from_static(b"one")), Err(Broken)]);
        let mut body = gzip(Answer::new(Body::stream(bits))).into_body();
        let first = body.frame().await.expect("a bit").expect("whole").into_data().expect("data");
        let mut plain = [0; 3];
        GzDecoder::new(&*first).read_exact(&mut plain).expect("it was flushed");
        assert_eq!(&plain, b"one");
        assert!(body.frame().await.expect("the end").is_err());
    }

    #[test]
    fn gzip_is_taken_by_who_says_so() {
        let takes = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            takes_gzip(&headers)
        };
        assert!(takes("gzip") && takes("br, gzip;q=0.5") && takes("deflate, GZIP"));
        assert!(!takes("br") && !takes("gzip;q=0") && !takes("gzipx") && !takes_gzip(&HeaderMap::new()));
    }
}
