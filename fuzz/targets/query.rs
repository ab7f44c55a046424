//! Queries: bounded memory, what is understood is JSON to a general reader, and its arguments can be a row of
//! every form of a result.
#![no_main]
use libfuzzer_sys::fuzz_target;
use rowhouse_types::{Arguments, Value};
use rowhouse_wire::query::{Format, QueryRequest, ResultWriter};
use serde::de::IgnoredAny;

/// What one byte may take decoded: an argument of two, in a vector that doubles.
const PER_BYTE: usize = 128;

const OVERHEAD: usize = 16 << 10;

fuzz_target!(|data: &[u8]| {
    let most = PER_BYTE * data.len() + OVERHEAD;
    let request = match rowhouse_fuzz::within(most, || QueryRequest::decode(data)) {
        Ok(request) => request,
        Err(malformed) => {
            assert!(malformed.at() <= data.len() && !malformed.to_string().is_empty());
            return;
        }
    };
    assert!(serde_json::from_slice::<IgnoredAny>(data).is_ok(), "what is understood is JSON");
    let (names, values): (Vec<&str>, Vec<&Value>) = match &request.arguments {
        Arguments::None => return,
        Arguments::Positional(values) => values.iter().map(|value| ("a", value)).unzip(),
        Arguments::Named(named) => named.iter().map(|(name, value)| (name.as_str(), value)).unzip(),
    };
    let written = |format| {
        let mut writer = ResultWriter::new(format, names.iter().copied());
        writer.row(values.iter().map(|value| value.as_ref()));
        writer.finish(0, None);
        String::from_utf8(writer.take()).expect("UTF-8")
    };
    let whole: serde_json::Value = serde_json::from_str(&written(Format::Json)).expect("JSON");
    assert_eq!(whole["rows"][0].as_array().map(Vec::len), Some(values.len()));
    let line = written(Format::Lines);
    assert_eq!(line.matches('\n').count(), 1);
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(line.as_object().map(serde_json::Map::len), Some(values.len()));
    assert!(written(Format::Csv).ends_with("\r\n"));
});
