//! Building a msgpack map in order.
use rmpv::Value;

/// Pairs, in the order they are sent.
pub(super) type Map = Vec<(Value, Value)>;

/// Appends a pair.
pub(super) fn set(map: &mut Map, key: &str, value: impl Into<Value>) {
    map.push((key.into(), value.into()));
}

/// The map's bytes.
pub(super) fn encode(map: Map) -> Vec<u8> {
    let mut out = Vec::with_capacity(4096);
    rmpv::encode::write_value(&mut out, &Value::Map(map)).expect("writing into memory cannot fail");
    out
}
