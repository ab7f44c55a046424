//! Strings: borrowed where they hold no escapes.
use crate::malformed::{Malformed, Problem};
use std::borrow::Cow;

/// Reads a string whose first character is at `start`; what it says, and where its end quote ends.
pub(super) fn read(text: &str, start: usize) -> Result<(Cow<'_, str>, usize), Malformed> {
    let bytes = text.as_bytes();
    let mut owned: Option<String> = None;
    let mut from = start;
    loop {
        let plain = bytes[from..].iter().position(|&byte| is_special(byte));
        let Some(plain) = plain else { return Err(Malformed::new(bytes.len(), Problem::Truncated)) };
        let at = from + plain;
        match bytes[at] {
            b'"' => {
                let rest = &text[from..at];
                let whole = match owned {
                    None => Cow::Borrowed(rest),
                    Some(mut owned) => {
                        owned.push_str(rest);
                        Cow::Owned(owned)
                    }
                };
                return Ok((whole, at + 1));
            }
            b'\\' => {
                let owned = owned.get_or_insert_default();
                owned.push_str(&text[from..at]);
                let (character, after) = escape(bytes, at)?;
                owned.push(character);
                from = after;
            }
            _ => return Err(Malformed::new(at, Problem::NoJson)),
        }
    }
}

/// Whether a byte ends a stretch of characters that stand for themselves.
fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Reads the escape at `at`; what it stands for, and where it ends.
fn escape(bytes: &[u8], at: usize) -> Result<(char, usize), Malformed> {
    let Some(&letter) = bytes.get(at + 1) else {
        return Err(Malformed::new(bytes.len(), Problem::Truncated));
    };
    let character = match letter {
        b'"' | b'\\' | b'/' => char::from(letter),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode(bytes, at),
        _ => return Err(Malformed::new(at, Problem::NoJson)),
    };
    Ok((character, at + 2))
}

fn unicode(bytes: &[u8], at: usize) -> Result<(char, usize), Malformed> {
    let first = unit(bytes, at)?;
    if let Some(character) = char::from_u32(first) {
        return Ok((character, at + 6));
    }
    let lone = Malformed::new(at, Problem::LoneSurrogate);
    let follows = bytes.get(at + 6..at + 8) == Some(b"\\u");
    if !(0xd800..0xdc00).contains(&first) || !follows {
        return Err(lone);
    }
    let second = unit(bytes, at + 6)?;
    if !(0xdc00..0xe000).contains(&second) {
        return Err(lone);
    }
    let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    char::from_u32(code).map(|character| (character, at + 12)).ok_or(lone)
}

/// The four digits of the `\u` at `at`.
fn unit(bytes: &[u8], at: usize) -> Result<u32, Malformed> {
    let Some(digits) = bytes.get(at + 2..at + 6) else {
        return Err(Malformed::new(bytes.len(), Problem::Truncated));
    };
    digits.iter().try_fold(0, |unit, &digit| {
        let digit = char::from(digit).to_digit(16).ok_or(Malformed::new(at, Problem::NoJson))?;
        Ok(unit << 4 | digit)
    })
}
