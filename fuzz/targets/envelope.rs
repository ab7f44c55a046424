//! The zlib envelope: bounded, whatever it declares; what it accepts, zlib accepts; what it packs, it unpacks.
#![no_main]
use flate2::read::ZlibDecoder;
use libfuzzer_sys::fuzz_target;
use rowhouse_wire::sqlite_rx::{BadEnvelope, Envelope};
use std::io::Read;

/// Two limits: one that inputs of this size reach with a bomb, and one they reach without.
const LIMITS: [usize; 2] = [64 << 10, 100];

/// The window of a stream, its tables, and what the growing of a vector leaves behind.
const OVERHEAD: usize = 128 << 10;

fuzz_target!(|data: &[u8]| {
    for limit in LIMITS {
        let mut envelope = Envelope::default();
        let unpacked = rowhouse_fuzz::within(3 * limit + OVERHEAD, || envelope.unpack(data, limit));
        match unpacked {
            Ok(message) => {
                assert!(message.len() <= limit);
                assert_eq!(zlib(data, limit).as_deref(), Some(&*message));
                let packed = envelope.pack(&message);
                assert_eq!(envelope.unpack(&packed, limit), Ok(message));
            }
            Err(BadEnvelope::TooLarge { .. }) => {
                assert!(zlib(data, limit).is_none_or(|all| limit < all.len()))
            }
            Err(_) => assert_eq!(zlib(data, limit), None),
        }
        // A stream that failed leaves nothing behind for the next.
        let packed = envelope.pack(data);
        assert_eq!(envelope.unpack(&packed, data.len()), Ok(data.to_vec()));
    }
});

/// What zlib makes of it, up to one byte more than `limit`.
fn zlib(data: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let most = u64::try_from(limit).expect("small") + 1;
    ZlibDecoder::new(data).take(most).read_to_end(&mut out).is_ok().then_some(out)
}
