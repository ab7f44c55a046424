//! Where somebody is in a feed.
use std::fmt;
use std::str::FromStr;

/// Where somebody is in a feed: which telling it is, and the number of what was heard last.
///
/// As text it is a word, to come again with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    pub(super) epoch: u64,
    pub(super) number: u64,
}

/// The text is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no position in a feed")]
pub struct InvalidPosition;

// === impl Position ===

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.epoch, self.number)
    }
}

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let (epoch, number) = text.split_once('-').ok_or(InvalidPosition)?;
        let hexadecimal = epoch.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let decimal = number.bytes().all(|byte| byte.is_ascii_digit());
        if epoch.len() != 16 || !hexadecimal || !decimal {
            return Err(InvalidPosition);
        }
        let epoch = u64::from_str_radix(epoch, 16).map_err(|_| InvalidPosition)?;
        Ok(Self { epoch, number: number.parse().map_err(|_| InvalidPosition)? })
    }
}
