//! Hrana's requests as protobuf: bounded memory, and what is understood says the same when it is written again.
#![no_main]
use libfuzzer_sys::fuzz_target;
use rowhouse_wire::hrana::{
    Encoding, decode_cursor, decode_message, decode_pipeline, encode_cursor, encode_message, encode_pipeline,
};

const PROTOBUF: Encoding = Encoding::Protobuf;

/// What one byte may take decoded: a request of four, in a vector that doubles.
const PER_BYTE: usize = 128;

const OVERHEAD: usize = 16 << 10;

fuzz_target!(|data: &[u8]| {
    let most = PER_BYTE * data.len() + OVERHEAD;
    let understood = [
        rowhouse_fuzz::within(most, || decode_pipeline(data, PROTOBUF)).map(|request| {
            let again = encode_pipeline(&request, PROTOBUF);
            let read = decode_pipeline(&again, PROTOBUF).expect("what is written is read");
            assert_eq!(encode_pipeline(&read, PROTOBUF), again);
        }),
        rowhouse_fuzz::within(most, || decode_cursor(data, PROTOBUF)).map(|request| {
            let again = encode_cursor(&request, PROTOBUF);
            let read = decode_cursor(&again, PROTOBUF).expect("what is written is read");
            assert_eq!(encode_cursor(&read, PROTOBUF), again);
        }),
        rowhouse_fuzz::within(most, || decode_message(data, PROTOBUF)).map(|message| {
            let again = encode_message(&message, PROTOBUF);
            let read = decode_message(&again, PROTOBUF).expect("what is written is read");
            assert_eq!(encode_message(&read, PROTOBUF), again);
        }),
    ];
    for malformed in understood.into_iter().filter_map(Result::err) {
        assert!(malformed.at() <= data.len() && !malformed.to_string().is_empty());
    }
});
