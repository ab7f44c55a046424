//! The body of a request, bounded in size and time while it comes, and with all others in size.
use crate::aside::aside;
use crate::error::Fault;
use crate::room::{Room, Rooms};
use crate::sent::Sent;
use crate::shared::Shared;
use bytes::{Bytes, BytesMut};
use flate2::write::GzDecoder;
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use rowhouse_types::ErrorCode;
use std::io::{self, Write};
use std::mem;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

/// How much of a packed body is unpacked in one go: at most a thousand times as much comes out.
const BIT: usize = 1024;

/// What has more bytes is decoded beside the threads that serve everybody: it takes long enough to be felt by
/// others.
pub(crate) const INLINE: usize = 256 << 10;

/// A body that has come, and the room it takes.
#[derive(Debug, Default)]
pub(crate) struct Received {
    bytes: Bytes,
    room: Room,
}

// === impl Received ===

impl Received {
    /// What the body says, and the room that this takes: to be held until it is done with.
    pub(crate) async fn decode<T: Send + 'static>(
        self,
        tasks: &TaskTracker,
        decode: impl FnOnce(&[u8]) -> T + Send + 'static,
    ) -> (T, Room) {
        let Self { bytes, room } = self;
        if bytes.len() <= INLINE {
            return (decode(&bytes), room);
        }
        aside(tasks, move || (decode(&bytes), room)).await
    }
}

/// Reads a body to its end.
pub(crate) async fn whole(mut body: Sent, shared: &Shared, headers: &HeaderMap) -> Result<Received, Fault> {
    let most = shared.context.settings.max_request_bytes;
    let is_packed = is_packed(headers)?;
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if most < declared {
        return Err(too_large(most));
    }
    if let Sent::Whole(bytes) = &mut body
        && !is_packed
    {
        let bytes = mem::take(bytes);
        return Ok(Received { room: shared.rooms.take(bytes.len())?, bytes });
    }
    let fits = shared.rooms.check(declared);
    // Who asks first whether to send it is told before it comes.
    if headers.contains_key(header::EXPECT) {
        fits.clone().map_err(Fault::unread)?;
    }
    let patience = shared.context.patience.get().body;
    let until = Instant::now() + patience;
    let receiving = async {
        fits?;
        all(&mut body, shared).await
    };
    let received = match timeout_at(until, receiving).await {
        Ok(Err(full)) if full.code == ErrorCode::QueueFull => {
            // Who sends may not hear anything until that is done.
            let rest = timeout_at(until, discard(&mut body, most)).await;
            return Err(if rest == Ok(true) { full } else { full.unread() });
        }
        Ok(received) => received?,
        Err(_elapsed) => return Err(too_slow(patience)),
    };
    if is_packed { unpack(received, most, &shared.rooms).await } else { Ok(received) }
}

/// Whether a body is packed, in the way that is known.
fn is_packed(headers: &HeaderMap) -> Result<bool, Fault> {
    let coding = headers.get(header::CONTENT_ENCODING).map(|coding| coding.as_bytes().to_ascii_lowercase());
    match coding.as_deref() {
        None | Some(b"identity") => Ok(false),
        Some(b"gzip") => Ok(true),
        Some(_) => {
            let message = "the body of the request is packed in a way that is not known";
            Err(Fault::new(ErrorCode::MalformedRequest, message)
                .status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
                .hint("send it plain, or with Content-Encoding: gzip"))
        }
    }
}

/// All there is of a body, as it comes.
async fn all(body: &mut Sent, shared: &Shared) -> Result<Received, Fault> {
    let most = shared.context.settings.max_request_bytes;
    let Some(first) = next(body).await? else { return Ok(Received::default()) };
    if most < first.len() {
        return Err(too_large(most));
    }
    let mut room = shared.rooms.take(first.len())?;
    // Most requests are one frame, which is taken as it is.
    if body.is_end_stream() {
        return Ok(Received { bytes: first, room });
    }
    let Some(second) = next(body).await? else { return Ok(Received { bytes: first, room }) };
    let mut all = BytesMut::from(first);
    let mut more = Some(second);
    while let Some(bytes) = more {
        if most - all.len() < bytes.len() {
            return Err(too_large(most));
        }
        shared.rooms.grow(&mut room, all.len() + bytes.len())?;
        all.extend_from_slice(&bytes);
        more = next(body).await?;
    }
    Ok(Received { bytes: all.freeze(), room })
}

/// Reads what is left of a body, of so many bytes at most, for nothing; whether that was all of it.
async fn discard(body: &mut Sent, most: usize) -> bool {
    let mut left = most;
    loop {
        match next(body).await {
            Ok(Some(bytes)) if bytes.len() <= left => left -= bytes.len(),
            read => return matches!(read, Ok(None)),
        }
    }
}

/// Unpacks a body, to so many bytes at most, as far as there is room.
async fn unpack(packed: Received, most: usize, rooms: &Rooms) -> Result<Received, Fault> {
    let (bytes, room) = (Vec::new(), Room::default());
    let mut decoder = GzDecoder::new(Bounded { bytes, most, room, rooms });
    for bit in packed.bytes.chunks(BIT) {
        decoder.write_all(bit).map_err(unpackable)?;
        // A bit may have been long: others have the thread in between.
        tokio::task::yield_now().await;
    }
    let Bounded { bytes, room, .. } = decoder.finish().map_err(unpackable)?;
    Ok(Received { bytes: bytes.into(), room })
}

/// Bytes up to a bound, as far as there is room; what goes beyond is refused.
struct Bounded<'r> {
    bytes: Vec<u8>,
    most: usize,
    room: Room,
    rooms: &'r Rooms,
}

impl Write for Bounded<'_> {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if self.most - self.bytes.len() < more.len() {
            return Err(io::Error::other(Refused(too_large(self.most))));
        }
        let bytes = self.bytes.len() + more.len();
        self.rooms.grow(&mut self.room, bytes).map_err(|full| io::Error::other(Refused(full)))?;
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What comes out of a packed body is not taken.
#[derive(Debug, thiserror::Error)]
#[error("what comes out is not taken")]
struct Refused(Fault);

fn unpackable(error: io::Error) -> Fault {
    match error.downcast::<Refused>() {
        Ok(Refused(fault)) => fault,
        Err(_broken) => {
            Fault::new(ErrorCode::MalformedRequest, "the body of the request is not gzip, as it says")
        }
    }
}

/// The next bytes, if there are any.
async fn next(body: &mut Sent) -> Result<Option<Bytes>, Fault> {
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
        .unread()
}

fn too_slow(patience: Duration) -> Fault {
    let message = format!("the body of the request did not come within {} ms", patience.as_millis());
    Fault::new(ErrorCode::MalformedRequest, message)
        .status(StatusCode::REQUEST_TIMEOUT)
        .hint("send it in one go, or ask the operator to raise http_body_timeout")
        .unread()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::FREE;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn packed(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).expect("into memory");
        encoder.finish().expect("into memory")
    }

    async fn unpacked(bytes: &[u8], most: usize, rooms: &Rooms) -> Result<Received, Fault> {
        let (bytes, room) = (Bytes::copy_from_slice(bytes), rooms.take(bytes.len())?);
        unpack(Received { bytes, room }, most, rooms).await
    }

    #[tokio::test]
    async fn what_is_packed_comes_out_up_to_its_bound_and_no_further() {
        let plain = vec![7; 5 << 20];
        let rooms = Rooms::new(plain.len());
        let received = unpacked(&packed(&plain), plain.len(), &rooms).await.expect("it fits");
        assert_eq!(received.bytes, plain);
        let fault = unpacked(&packed(&plain), plain.len() - 1, &rooms).await.expect_err("one too many");
        assert_eq!((fault.status, fault.code), (StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::RequestTooLarge));
        for broken in [&b"{}"[..], &packed(b"whole")[..20]] {
            let fault = unpacked(broken, 100, &rooms).await.expect_err("no gzip");
            assert_eq!(fault.status, StatusCode::BAD_REQUEST);
        }
    }

    #[tokio::test]
    async fn what_comes_out_takes_room_and_what_it_came_out_of_gives_it_back() {
        const MOST: usize = 1 << 20;
        let mut noise = vec![0; MOST];
        getrandom::fill(&mut noise).expect("random bits");
        let rooms = Rooms::new(MOST);
        let held = rooms.take(2 * MOST).expect("there is room");
        // Packed, it is as long.
        let received = unpacked(&packed(&noise), MOST, &rooms).await.expect("it fits beside the other");
        rooms.check(MOST).expect("it takes as much as came out");
        let bomb = packed(&vec![7; MOST]);
        assert!(bomb.len() < FREE);
        let second = unpacked(&bomb, MOST, &rooms).await.expect("it fits beside both");
        let fault = unpacked(&bomb, MOST, &rooms).await.expect_err("there is no room");
        assert_eq!(fault.code, ErrorCode::QueueFull);
        drop((held, received, second));
        rooms.check(4 * MOST).expect("all of it is back");
    }

    #[tokio::test]
    async fn what_is_long_is_decoded_elsewhere_and_holds_its_room() {
        let (tasks, rooms) = (TaskTracker::new(), Rooms::new(INLINE));
        for (bytes, is_here) in [(INLINE, true), (INLINE + 1, false)] {
            let received =
                Received { bytes: vec![7; bytes].into(), room: rooms.take(bytes).expect("there is room") };
            let decode = |bytes: &[u8]| (bytes.len(), std::thread::current().id());
            let ((decoded, on), room) = received.decode(&tasks, decode).await;
            assert_eq!((decoded, on == std::thread::current().id()), (bytes, is_here));
            rooms.check(4 * INLINE).expect_err("it holds some");
            drop(room);
            rooms.check(4 * INLINE).expect("it has given it back");
        }
    }
}
