use super::*;
use crate::malformed::Malformed;
use proptest::prelude::*;

/// The numbers of the fields, as they come.
fn tags(bytes: &[u8]) -> Result<Vec<u32>, Malformed> {
    let mut tags = Vec::new();
    Message::new(bytes).fields(|field| {
        tags.push(field.tag);
        Ok(())
    })?;
    Ok(tags)
}

#[test]
fn fields_of_every_kind_are_read_over() {
    let bytes = [
        &[1 << 3, 0x96, 1][..],
        &[2 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8],
        &[3 << 3 | 2, 2, 0xff, 0xff],
        &[4 << 3 | 5, 1, 2, 3, 4],
        // Its number takes two bytes.
        &[0x82, 1, 0],
    ];
    assert_eq!(tags(&bytes.concat()), Ok(vec![1, 2, 3, 4, 16]));
}

#[test]
fn what_is_no_protobuf_is_refused_where_it_is() {
    let cases: [(&[u8], &str); 9] = [
        (&[8], "the message ends too early (at byte 1)"),
        (&[8, 0x80], "the message ends too early (at byte 2)"),
        (&[18, 3, 1, 2], "the message ends too early (at byte 4)"),
        (
            &[18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            "the message ends too early (at byte 11)",
        ),
        (&[9, 1, 2, 3], "the message ends too early (at byte 4)"),
        (&[0, 0], "this is no protobuf (at byte 0)"),
        (&[8, 0, 11, 12], "this is no protobuf (at byte 2)"),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 1], "this is no protobuf (at byte 0)"),
        (
            &[8, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0],
            "this is no protobuf (at byte 11)",
        ),
    ];
    for (bytes, expected) in cases {
        assert_eq!(tags(bytes).unwrap_err().to_string(), expected, "{bytes:?}");
    }
}

#[test]
fn a_field_of_another_kind_says_what_it_should_be() {
    let read = Message::new(&[8, 1]).fields(|field| field.text().map(drop));
    assert_eq!(read.unwrap_err().to_string(), "this must be bytes, not a number (at byte 0)");
    let read = Message::new(&[0x0a, 1, 0xff]).fields(|field| field.text().map(drop));
    assert_eq!(read.unwrap_err().to_string(), "the message is not UTF-8 (at byte 0)");
}

#[test]
fn nesting_has_a_bound() {
    fn descend(message: Message<'_>) -> Result<(), Malformed> {
        message.fields(|field| descend(field.message()?))
    }
    let nested = |depth: usize| {
        let mut bytes = Vec::new();
        for _ in 0..depth {
            let mut outer = vec![0x0a];
            put_varint(&mut outer, bytes.len() as u64);
            outer.append(&mut bytes);
            bytes = outer;
        }
        bytes
    };
    assert_eq!(descend(Message::new(&nested(100))), Ok(()));
    let error = descend(Message::new(&nested(101))).unwrap_err().to_string();
    assert!(error.starts_with("nested deeper than 100"), "{error}");
}

proptest! {
    #[test]
    fn numbers_come_back_as_they_went_in(number in any::<i64>(), shift in 0u32..64) {
        let number = number >> shift;
        let mut bytes = vec![8];
        put_varint(&mut bytes, zigzag(number));
        prop_assert_eq!(bytes.len(), 1 + varint_len(zigzag(number)));
        let mut read = None;
        Message::new(&bytes).fields(|field| field.sint64().map(|number| read = Some(number))).unwrap();
        prop_assert_eq!(read, Some(number));
    }
}
