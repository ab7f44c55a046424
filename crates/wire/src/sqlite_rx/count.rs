//! How many values a msgpack message holds, told before any memory is spent on them.
use rmp::Marker;

/// Counts the values in `body`, of which arrays and maps are one and their elements are more; stops
/// soon after `most`. What is malformed ends the count: the decoder tells.
pub(super) fn values(body: &[u8], most: usize) -> usize {
    let (mut rest, mut count) = (body, 0);
    while let Some((&marker, after)) = rest.split_first() {
        count += 1;
        if most < count {
            break;
        }
        let Some(skipped) = head_and_bytes(Marker::from_u8(marker), after) else { break };
        let Some(next) = after.get(skipped..) else { break };
        rest = next;
    }
    count
}

/// The bytes that follow a marker and are no values of their own: a number, a length, a text.
fn head_and_bytes(marker: Marker, after: &[u8]) -> Option<usize> {
    let length = |width: usize| {
        let bytes = after.get(..width)?;
        Some(bytes.iter().fold(0_usize, |length, &byte| length << 8 | usize::from(byte)))
    };
    let with_length = |width: usize, more: usize| length(width)?.checked_add(width + more);
    match marker {
        Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => Some(0),
        Marker::FixArray(_) | Marker::FixMap(_) => Some(0),
        Marker::Array16 | Marker::Map16 => Some(2),
        Marker::Array32 | Marker::Map32 => Some(4),
        Marker::U8 | Marker::I8 => Some(1),
        Marker::U16 | Marker::I16 => Some(2),
        Marker::U32 | Marker::I32 | Marker::F32 => Some(4),
        Marker::U64 | Marker::I64 | Marker::F64 => Some(8),
        Marker::FixStr(length) => Some(length.into()),
        Marker::Str8 | Marker::Bin8 => with_length(1, 0),
        Marker::Str16 | Marker::Bin16 => with_length(2, 0),
        Marker::Str32 | Marker::Bin32 => with_length(4, 0),
        Marker::FixExt1 => Some(2),
        Marker::FixExt2 => Some(3),
        Marker::FixExt4 => Some(5),
        Marker::FixExt8 => Some(9),
        Marker::FixExt16 => Some(17),
        Marker::Ext8 => with_length(1, 1),
        Marker::Ext16 => with_length(2, 1),
        Marker::Ext32 => with_length(4, 1),
        Marker::Reserved => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rmpv::Value;

    #[test]
    fn every_kind_of_value_counts_once() {
        let scalars: Vec<Value> = vec![
            1.into(),
            300.into(),
            70_000.into(),
            u64::MAX.into(),
            (-1).into(),
            (-300).into(),
            i64::MIN.into(),
            1.5.into(),
            Value::F32(1.5),
            Value::Nil,
            true.into(),
            "x".into(),
            "x".repeat(40).into(),
            "x".repeat(300).into(),
            "x".repeat(70_000).into(),
            Value::Binary(vec![0; 3]),
            Value::Binary(vec![0; 300]),
            Value::Binary(vec![0; 70_000]),
            Value::Ext(1, vec![0; 4]),
            Value::Ext(1, vec![0; 5]),
            Value::Ext(1, vec![0; 300]),
            Value::Ext(1, vec![0; 70_000]),
        ];
        let expected = 1 + scalars.len() + 1 + 2 + 1 + 20;
        let mut all = scalars;
        all.push(Value::Map(vec![("k".into(), "v".into())]));
        all.push(Value::Array(vec![Value::Nil; 20]));
        let mut body = Vec::new();
        rmpv::encode::write_value(&mut body, &Value::Array(all)).expect("into memory");
        assert_eq!(values(&body, 1000), expected);
    }

    #[test]
    fn counting_stops_at_the_bound_and_at_nonsense() {
        assert_eq!(values(&[0xc0; 100], 10), 11);
        assert_eq!(values(&[0xdd, 0xff], 10), 1);
        assert_eq!(values(&[0xc6, 0xff, 0xff, 0xff, 0xff, 0], 10), 1);
    }
}
