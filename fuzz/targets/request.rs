//! A request's msgpack: bounded memory, its depth and its number of values kept, and understood as a
//! general decoder understands it.
#![no_main]
use libfuzzer_sys::fuzz_target;
use rmpv::Value as Msgpack;
use rowhouse_types::{Arguments, Request, Value};
use rowhouse_wire::sqlite_rx::{Call, decode};

/// What one byte on the wire may take decoded: one value, in the tree and among the arguments, in
/// vectors that double.
const PER_BYTE: usize = 512;

const OVERHEAD: usize = 64 << 10;

fuzz_target!(|data: &[u8]| {
    let decoded = rowhouse_fuzz::within(PER_BYTE * data.len() + OVERHEAD, || decode(data));
    let tree = rmpv::decode::read_value(&mut &*data).ok();
    let Ok(incoming) = decoded else { return };
    let tree = tree.expect("what is accepted is msgpack");
    assert!(depth(&tree) <= 32);
    let Msgpack::Map(_) = &tree else { panic!("what is accepted is a map") };
    match incoming.call {
        Call::HealthCheck => assert_eq!(last(&tree, "query").and_then(Msgpack::as_str), Some("HEALTH_CHECK")),
        Call::Run(Err(fault)) => assert!(!fault.text().is_empty()),
        Call::Run(Ok(request)) => {
            assert_eq!(last(&tree, "query").and_then(Msgpack::as_str), Some(request.sql()));
            match request {
                Request::Execute { arguments, .. } => check(&arguments, data.len()),
                Request::Repeat { sets, .. } => {
                    assert!(sets.len() <= data.len());
                    sets.iter().for_each(|set| check(set, data.len()));
                }
                Request::Script { .. } => {}
                Request::Sequence { .. } => panic!("no such call"),
            }
        }
    }
});

/// No argument is longer than what came, and there are no more than came.
fn check(arguments: &Arguments, most: usize) {
    let values: Vec<&Value> = match arguments {
        Arguments::None => return,
        Arguments::Positional(values) => values.iter().collect(),
        Arguments::Named(named) => named.iter().map(|(_, value)| value).collect(),
    };
    assert!(values.len() <= most);
    for value in values {
        match value {
            Value::Text(text) => assert!(text.len() <= most),
            Value::Blob(bytes) => assert!(bytes.len() <= most),
            Value::Null | Value::Integer(_) | Value::Real(_) => {}
        }
    }
}

fn last<'a>(tree: &'a Msgpack, key: &str) -> Option<&'a Msgpack> {
    tree.as_map()?.iter().rev().find(|(found, _)| found.as_str() == Some(key)).map(|(_, value)| value)
}

fn depth(tree: &Msgpack) -> usize {
    1 + match tree {
        Msgpack::Array(items) => items.iter().map(depth).max().unwrap_or(0),
        Msgpack::Map(pairs) => {
            pairs.iter().map(|(key, value)| depth(key).max(depth(value))).max().unwrap_or(0)
        }
        _ => 0,
    }
}
