//! Hrana's requests as JSON: bounded memory, and what is understood is JSON to a general reader, and says the
//! same when it is written again.
#![no_main]
use libfuzzer_sys::fuzz_target;
use rowhouse_wire::hrana::{
    Encoding, decode_batch, decode_cursor, decode_execute, decode_message, decode_pipeline, encode_cursor,
    encode_message, encode_pipeline,
};
use serde::de::IgnoredAny;

const JSON: Encoding = Encoding::Json;

/// What one byte may take decoded: a request of a few, in a vector that doubles.
const PER_BYTE: usize = 128;

const OVERHEAD: usize = 16 << 10;

fuzz_target!(|data: &[u8]| {
    let most = PER_BYTE * data.len() + OVERHEAD;
    let understood = [
        rowhouse_fuzz::within(most, || decode_pipeline(data, JSON)).map(|request| {
            let again = encode_pipeline(&request, JSON);
            let read = decode_pipeline(&again, JSON).expect("what is written is read");
            assert_eq!(encode_pipeline(&read, JSON), again);
        }),
        rowhouse_fuzz::within(most, || decode_cursor(data, JSON)).map(|request| {
            let again = encode_cursor(&request, JSON);
            let read = decode_cursor(&again, JSON).expect("what is written is read");
            assert_eq!(encode_cursor(&read, JSON), again);
        }),
        rowhouse_fuzz::within(most, || decode_message(data, JSON)).map(|message| {
            let again = encode_message(&message, JSON);
            let read = decode_message(&again, JSON).expect("what is written is read");
            assert_eq!(encode_message(&read, JSON), again);
        }),
        rowhouse_fuzz::within(most, || decode_execute(data)).map(drop),
        rowhouse_fuzz::within(most, || decode_batch(data)).map(drop),
    ];
    let is_json = serde_json::from_slice::<IgnoredAny>(data).is_ok();
    for understood in understood {
        match understood {
            Ok(()) => assert!(is_json, "what is understood is JSON"),
            Err(malformed) => assert!(malformed.at() <= data.len() && !malformed.to_string().is_empty()),
        }
    }
});
