//! The zlib envelope, with a bound on what comes out of it.
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// Longer messages are compressed; shorter ones are stored, for compressing costs more than it saves.
const STORED_MAX: usize = 1024;

/// The room made for the first piece of what comes out.
const FIRST_PIECE: usize = 4 * 1024;

/// Packs and unpacks messages. Costs about 300 KiB of memory once it has compressed: share it.
#[derive(Debug)]
pub struct Envelope {
    inflate: Decompress,
    deflate: Option<Compress>,
}

/// Why bytes could not be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEnvelope {
    /// They do not begin as a zlib stream does.
    #[error("Error -3 while decompressing data: incorrect header check")]
    Header,
    /// They are no zlib stream.
    #[error("Error -3 while decompressing data: invalid or corrupt data")]
    Corrupt,
    /// The stream stops before its end.
    #[error("Error -5 while decompressing data: incomplete or truncated stream")]
    Truncated,
    /// More comes out than allowed.
    #[error("request inflates to more than {limit} bytes")]
    TooLarge {
        /// The most bytes allowed.
        limit: usize,
    },
}

impl Default for Envelope {
    fn default() -> Self {
        Self { inflate: Decompress::new(true), deflate: None }
    }
}

impl Envelope {
    /// Unpacks `packed` to at most `limit` bytes. What follows the stream is ignored, as Python does.
    ///
    /// Memory grows with what comes out, never with what a header declares.
    ///
    /// # Errors
    ///
    /// When it is no zlib stream, is cut short, or holds more than `limit` bytes.
    pub fn unpack(&mut self, packed: &[u8], limit: usize) -> Result<Vec<u8>, BadEnvelope> {
        let [method, flags, ..] = *packed else { return Err(BadEnvelope::Truncated) };
        if !is_zlib_header(method, flags) {
            return Err(BadEnvelope::Header);
        }
        self.inflate.reset(true);
        let mut out = Vec::with_capacity(FIRST_PIECE.min(limit + 1));
        loop {
            let (read, len) = (self.inflate.total_in(), out.len());
            let rest = &packed[usize::try_from(read).expect("at most what was given")..];
            let status = self
                .inflate
                .decompress_vec(rest, &mut out, FlushDecompress::None)
                .map_err(|_corrupt| BadEnvelope::Corrupt)?;
            if limit < out.len() {
                return Err(BadEnvelope::TooLarge { limit });
            }
            if status == Status::StreamEnd {
                return Ok(out);
            }
            let stuck = self.inflate.total_in() == read && out.len() == len;
            if out.len() < out.capacity() && stuck {
                return Err(BadEnvelope::Truncated);
            }
            if out.len() == out.capacity() {
                let more = out.len().max(FIRST_PIECE).min(limit + 1 - out.len());
                out.reserve_exact(more);
            }
        }
    }

    /// Packs `message` as a zlib stream.
    pub fn pack(&mut self, message: &[u8]) -> Vec<u8> {
        if message.len() <= STORED_MAX {
            return store(message);
        }
        let deflate = self.deflate.get_or_insert_with(|| Compress::new(Compression::fast(), true));
        deflate.reset();
        let mut out = Vec::with_capacity(message.len() / 2 + 64);
        loop {
            let read = usize::try_from(deflate.total_in()).expect("at most what was given");
            let status = deflate
                .compress_vec(&message[read..], &mut out, FlushCompress::Finish)
                .expect("compressing into memory cannot fail");
            if status == Status::StreamEnd {
                return out;
            }
            out.reserve(out.len().max(4096));
        }
    }
}

/// Whether a zlib stream begins so (RFC 1950): deflate, a window of at most 32 KiB, check bits.
fn is_zlib_header(method: u8, flags: u8) -> bool {
    method & 0x0f == 8 && method >> 4 <= 7 && u16::from_be_bytes([method, flags]).is_multiple_of(31)
}

/// One stored block (RFC 1951, 3.2.4) in a zlib stream (RFC 1950).
fn store(message: &[u8]) -> Vec<u8> {
    let len = u16::try_from(message.len()).expect("at most STORED_MAX bytes");
    let mut out = Vec::with_capacity(message.len() + 11);
    out.extend_from_slice(&[0x78, 0x01, 0x01]);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&(!len).to_le_bytes());
    out.extend_from_slice(message);
    out.extend_from_slice(&adler2::adler32_slice(message).to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: usize = 1 << 20;

    proptest! {
        #[test]
        fn what_is_packed_unpacks(message in proptest::collection::vec(any::<u8>(), 0..5000)) {
            let mut envelope = Envelope::default();
            for _ in 0..2 {
                let packed = envelope.pack(&message);
                prop_assert_eq!(envelope.unpack(&packed, LIMIT), Ok(message.clone()));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut envelope = Envelope::default();
            let _any = envelope.unpack(&bytes, 1000);
            let _any = envelope.unpack(&[&[0x78, 0x9c], &*bytes].concat(), 1000);
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let mut envelope = Envelope::default();
        let packed = envelope.pack(&vec![0; LIMIT + 1]);
        assert!(packed.len() < 10_000);
        assert_eq!(envelope.unpack(&packed, LIMIT), Err(BadEnvelope::TooLarge { limit: LIMIT }));
        let packed = envelope.pack(&vec![0; LIMIT]);
        assert_eq!(envelope.unpack(&packed, LIMIT).map(|out| out.len()), Ok(LIMIT));
    }

    #[test]
    fn other_formats_and_cut_streams_are_told_apart() {
        let mut envelope = Envelope::default();
        assert_eq!(envelope.unpack(&[0x1f, 0x8b, 8, 0], LIMIT), Err(BadEnvelope::Header));
        assert_eq!(envelope.unpack(b"", LIMIT), Err(BadEnvelope::Truncated));
        let packed = envelope.pack(&[7; 3000]);
        assert_eq!(envelope.unpack(&packed[..packed.len() - 5], LIMIT), Err(BadEnvelope::Truncated));
    }
}
