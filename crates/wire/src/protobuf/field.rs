//! A message, field by field.
use super::varint::unzigzag;
use crate::malformed::{Malformed, Problem};

/// How deep messages may be nested.
const MAX_DEPTH: usize = 100;

/// A message, read from front to back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    bytes: &'a [u8],
    /// Where in the whole the rest of it begins.
    at: usize,
    depth: usize,
}

/// One field: its number, and what it holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    /// Its number.
    pub(crate) tag: u32,
    at: usize,
    content: Content<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Content<'a> {
    Varint(u64),
    Eight([u8; 8]),
    Four,
    Bytes(Message<'a>),
}

// === impl Message ===

impl<'a> Message<'a> {
    /// A message of these bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, depth: 0 }
    }

    /// An error at where the reader stands.
    pub(crate) fn fail(&self, problem: Problem) -> Malformed {
        Malformed::new(self.at, problem)
    }

    /// Calls `each` with every field.
    pub(crate) fn fields(
        mut self,
        mut each: impl FnMut(Field<'a>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        while !self.bytes.is_empty() {
            each(self.field()?)?;
        }
        Ok(())
    }

    fn field(&mut self) -> Result<Field<'a>, Malformed> {
        let at = self.at;
        let key = u32::try_from(self.varint()?).map_err(|_| Malformed::new(at, Problem::NoProtobuf))?;
        let content = match key & 7 {
            0 => Content::Varint(self.varint()?),
            1 => Content::Eight(self.take(8)?.try_into().expect("eight bytes were taken")),
            2 => {
                let len = self.varint()?;
                let len = usize::try_from(len).map_err(|_| self.fail(Problem::Truncated))?;
                let start = self.at;
                let bytes = self.take(len)?;
                Content::Bytes(Message { bytes, at: start, depth: self.depth + 1 })
            }
            5 => self.take(4).map(|_| Content::Four)?,
            _ => return Err(Malformed::new(at, Problem::NoProtobuf)),
        };
        match key >> 3 {
            0 => Err(Malformed::new(at, Problem::NoProtobuf)),
            tag => Ok(Field { tag, at, content }),
        }
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.take(1)?[0];
            // The tenth byte has one bit left; what is beyond is lost, as everywhere.
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.fail(Problem::NoProtobuf))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        if self.bytes.len() < len {
            return Err(Malformed::new(self.at + self.bytes.len(), Problem::Truncated));
        }
        let (taken, rest) = self.bytes.split_at(len);
        self.bytes = rest;
        self.at += len;
        Ok(taken)
    }
}

// === impl Field ===

impl<'a> Field<'a> {
    /// An error at this field.
    pub(crate) fn fail(&self, problem: Problem) -> Malformed {
        Malformed::new(self.at, problem)
    }

    pub(crate) fn message(self) -> Result<Message<'a>, Malformed> {
        match self.content {
            Content::Bytes(message) if message.depth > MAX_DEPTH => {
                Err(self.fail(Problem::TooDeep(MAX_DEPTH)))
            }
            Content::Bytes(message) => Ok(message),
            other => Err(self.unfit("a message", other)),
        }
    }

    pub(crate) fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self.content {
            Content::Bytes(Message { bytes, .. }) => Ok(bytes),
            other => Err(self.unfit("bytes", other)),
        }
    }

    pub(crate) fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| self.fail(Problem::NotUtf8))
    }

    pub(crate) fn bool(self) -> Result<bool, Malformed> {
        self.varint("a boolean").map(|number| number != 0)
    }

    /// As every reader does, takes the lower 32 bits of what is there.
    pub(crate) fn int32(self) -> Result<i32, Malformed> {
        self.varint("an integer").map(|number| number as i32)
    }

    /// As every reader does, takes the lower 32 bits of what is there.
    pub(crate) fn uint32(self) -> Result<u32, Malformed> {
        self.varint("an integer").map(|number| number as u32)
    }

    #[cfg(test)]
    pub(crate) fn uint64(self) -> Result<u64, Malformed> {
        self.varint("an integer")
    }

    pub(crate) fn sint64(self) -> Result<i64, Malformed> {
        self.varint("an integer").map(unzigzag)
    }

    pub(crate) fn double(self) -> Result<f64, Malformed> {
        match self.content {
            Content::Eight(bytes) => Ok(f64::from_le_bytes(bytes)),
            other => Err(self.unfit("a double", other)),
        }
    }

    fn varint(self, wanted: &'static str) -> Result<u64, Malformed> {
        match self.content {
            Content::Varint(number) => Ok(number),
            other => Err(self.unfit(wanted, other)),
        }
    }

    fn unfit(&self, wanted: &'static str, found: Content<'_>) -> Malformed {
        let found = match found {
            Content::Varint(_) => "a number",
            Content::Eight(_) => "eight bytes",
            Content::Four => "four bytes",
            Content::Bytes(_) => "bytes",
        };
        self.fail(Problem::Type { wanted, found })
    }
}
