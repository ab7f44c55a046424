//! CURVE key files: any text is read or refused, in bounded memory, and what is read is written the same.
#![no_main]
use libfuzzer_sys::fuzz_target;
use rowhouse_protocol_sqlite_rx::fuzzing::read_key_file;

fuzz_target!(|data: &[u8]| {
    let read = rowhouse_fuzz::within(8 * data.len() + (16 << 10), || read_key_file(data));
    if let Err(message) = read {
        assert!(!message.is_empty());
    }
});
