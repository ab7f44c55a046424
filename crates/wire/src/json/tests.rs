use super::*;
use crate::malformed::{Malformed, Problem};
use proptest::prelude::*;
use serde::de::IgnoredAny;

fn skip(text: &[u8]) -> Result<(), Malformed> {
    let mut reader = Reader::new(text)?;
    reader.skip()?;
    reader.finish()
}

/// What a general reader says of it.
fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

#[test]
fn what_is_json_and_what_is_not_is_as_everywhere() {
    let texts = [
        "0",
        "-0",
        "10",
        "1.5",
        "1e5",
        "1E+5",
        "1e-5",
        "-1.0e0",
        "01",
        "1.",
        ".5",
        "1e",
        "1e+",
        "-",
        "+1",
        "1.e1",
        "0x1",
        "\"\"",
        "\"a",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "\"a\nb\"",
        "\"\u{7f}\"",
        "[]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1",
        "]",
        "{}",
        "{\"a\":1}",
        "{\"a\" : 1 , \"b\":[{}]}",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{\"a\":1,}",
        "{1:1}",
        "true",
        "tru",
        "truex",
        "null",
        "nul",
        "",
        " ",
        " 1 ",
        "1 1",
        "\u{feff}1",
    ];
    for text in texts {
        assert_eq!(skip(text.as_bytes()).is_ok(), is_json(text.as_bytes()), "{text:?}");
    }
}

#[test]
fn half_a_surrogate_pair_is_no_text() {
    for text in [r#""\ud800""#, r#""\ud800\u0041""#, r#""\udc00""#, r#""\ud800\ud800""#, r#""\ud800x""#] {
        assert_eq!(skip(text.as_bytes()), Err(Malformed::new(1, Problem::LoneSurrogate)), "{text}");
    }
}

#[test]
fn nesting_has_a_bound() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert_eq!(skip(nested(100).as_bytes()), Ok(()));
    assert_eq!(skip(nested(101).as_bytes()).unwrap_err().at(), 100);
    // No stack is used up by what never ends, either.
    assert!(skip("{\"a\":".repeat(1_000_000).as_bytes()).is_err());
}

#[test]
fn integers_and_doubles_are_exact() {
    let mut reader = Reader::new(b"[9223372036854775807, 9007199254740993, 0.1, 1e400]").unwrap();
    let mut numbers = Vec::new();
    let failed = reader.array(10, |reader| {
        numbers.push(reader.numeric()?);
        Ok(())
    });
    let found: Vec<_> =
        numbers.iter().map(|number| (number.integer, number.float, number.is_whole)).collect();
    let expected = [
        (Some(i64::MAX), 9.223372036854776e18, true),
        (Some((1 << 53) + 1), 9007199254740992.0, true),
        (None, 0.1, false),
    ];
    assert_eq!(found, expected);
    assert_eq!(
        failed.unwrap_err().to_string(),
        "[3]: this must be a number that a double can hold (at byte 45)"
    );
}

proptest! {
    #[test]
    fn texts_come_back_as_they_went_in(text in any::<String>()) {
        let mut out = Vec::new();
        put_str(&mut out, &text);
        prop_assert_eq!(&serde_json::from_slice::<String>(&out).unwrap(), &text);
        let mut reader = Reader::new(&out).unwrap();
        prop_assert_eq!(reader.string().unwrap(), text);
        prop_assert!(reader.finish().is_ok());
    }

    #[test]
    fn any_bytes_are_json_here_exactly_when_they_are_elsewhere(
        text in "[\\[\\]{},:\"\\\\ntrueflas0-9.eE+ -]{0,12}"
    ) {
        // A number too great for a double is one to whom it is not asked for.
        prop_assert_eq!(skip(text.as_bytes()).is_ok(), is_json(text.as_bytes()), "{:?}", text);
    }
}
