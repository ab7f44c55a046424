//! A reader that goes from front to back.
use super::string;
use crate::malformed::{Malformed, Problem};
use std::borrow::Cow;

/// How deep arrays and objects may be nested.
const MAX_DEPTH: usize = 100;

/// Reads one JSON text.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

/// A number, that may be meant as an integer or as a double.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number {
    /// It as an integer, if it is one of 64 bits.
    pub(crate) integer: Option<i64>,
    /// The double nearest to it.
    pub(crate) float: f64,
    /// Whether it is written as an integer, of whatever length.
    pub(crate) is_whole: bool,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    /// A reader of these bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| Malformed::new(error.valid_up_to(), Problem::NotUtf8))?;
        Ok(Self { text, at: 0, depth: 0 })
    }

    /// Checks that nothing follows.
    pub(crate) fn finish(mut self) -> Result<(), Malformed> {
        match self.next_byte() {
            None => Ok(()),
            Some(_) => Err(self.fail(Problem::Trailing)),
        }
    }

    /// An error at where the reader stands.
    pub(crate) fn fail(&self, problem: Problem) -> Malformed {
        Malformed::new(self.at, problem)
    }

    /// What comes next, without taking it.
    pub(crate) fn peek(&mut self) -> Result<Kind, Malformed> {
        match self.next_byte() {
            Some(b'n') => Ok(Kind::Null),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b'"') => Ok(Kind::String),
            Some(b'[') => Ok(Kind::Array),
            Some(b'{') => Ok(Kind::Object),
            Some(_) => Err(self.fail(Problem::NoJson)),
            None => Err(self.fail(Problem::Truncated)),
        }
    }

    /// Reads an object: `member` is called with each key and must read its value.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &str) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.expect(Kind::Object)?;
        self.enter()?;
        if self.take(b'}') {
            self.depth -= 1;
            return Ok(());
        }
        loop {
            if self.next_byte() != Some(b'"') {
                return Err(self.unexpected());
            }
            let key = self.string()?;
            if !self.take(b':') {
                return Err(self.unexpected());
            }
            member(self, &key).map_err(|error| error.under(&key))?;
            if self.take(b'}') {
                self.depth -= 1;
                return Ok(());
            }
            if !self.take(b',') {
                return Err(self.unexpected());
            }
        }
    }

    /// Reads an array of at most `most` elements: `element` must read one.
    pub(crate) fn array(
        &mut self,
        most: usize,
        mut element: impl FnMut(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.expect(Kind::Array)?;
        self.enter()?;
        if self.take(b']') {
            self.depth -= 1;
            return Ok(());
        }
        for index in 0.. {
            if index == most {
                return Err(self.fail(Problem::TooMany(most)));
            }
            element(self).map_err(|error| error.within(index))?;
            if self.take(b']') {
                break;
            }
            if !self.take(b',') {
                return Err(self.unexpected());
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Reads a string.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Malformed> {
        self.expect(Kind::String)?;
        let (text, after) = string::read(self.text, self.at + 1)?;
        self.at = after;
        Ok(text)
    }

    /// Reads a number, as it is written.
    pub(crate) fn number(&mut self) -> Result<&'a str, Malformed> {
        self.expect(Kind::Number)?;
        let rest = &self.text.as_bytes()[self.at..];
        let mut len = usize::from(rest[0] == b'-');
        let digits = |from: usize| rest[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let whole = digits(len);
        if whole == 0 || (whole > 1 && rest[len] == b'0') {
            return Err(self.fail(Problem::NoJson));
        }
        len += whole;
        if rest.get(len) == Some(&b'.') {
            let fraction = digits(len + 1);
            if fraction == 0 {
                return Err(self.fail(Problem::NoJson));
            }
            len += 1 + fraction;
        }
        if matches!(rest.get(len), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(rest.get(len + 1), Some(b'+' | b'-')));
            let exponent = digits((len + 1 + sign).min(rest.len()));
            if exponent == 0 {
                return Err(self.fail(Problem::NoJson));
            }
            len += 1 + sign + exponent;
        }
        let number = &self.text[self.at..self.at + len];
        self.at += len;
        Ok(number)
    }

    /// Reads a number as both that it may be meant as.
    pub(crate) fn numeric(&mut self) -> Result<Number, Malformed> {
        self.next_byte();
        let at = self.at;
        let number = self.number()?;
        let float = number.parse::<f64>().expect("JSON's numbers are Rust's too");
        if float.is_infinite() {
            return Err(Malformed::new(at, Problem::Wanted("a number that a double can hold")));
        }
        let is_whole = !number.contains(['.', 'e', 'E']);
        Ok(Number { integer: number.parse().ok(), float, is_whole })
    }

    /// Reads a number as an integer of this type.
    pub(crate) fn integer<T: std::str::FromStr>(&mut self, wanted: &'static str) -> Result<T, Malformed> {
        self.next_byte();
        let at = self.at;
        self.number()?.parse().map_err(|_| Malformed::new(at, Problem::Wanted(wanted)))
    }

    /// Reads `true` or `false`.
    pub(crate) fn bool(&mut self) -> Result<bool, Malformed> {
        self.expect(Kind::Bool)?;
        let value = self.text.as_bytes()[self.at] == b't';
        self.word(if value { "true" } else { "false" })?;
        Ok(value)
    }

    /// Reads `null`, or what `read` reads.
    pub(crate) fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        match self.peek()? {
            Kind::Null => self.word("null").map(|()| None),
            _ => read(self).map(Some),
        }
    }

    /// Reads over one value, whatever it is.
    pub(crate) fn skip(&mut self) -> Result<(), Malformed> {
        match self.peek()? {
            Kind::Null => self.word("null"),
            Kind::Bool => self.bool().map(drop),
            Kind::Number => self.number().map(drop),
            Kind::String => self.string().map(drop),
            Kind::Array => self.array(usize::MAX, Self::skip),
            Kind::Object => self.object(|reader, _| reader.skip()),
        }
    }

    fn word(&mut self, word: &'static str) -> Result<(), Malformed> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.fail(Problem::NoJson));
        }
        self.at += word.len();
        Ok(())
    }

    fn expect(&mut self, wanted: Kind) -> Result<(), Malformed> {
        match self.peek()? {
            found if found == wanted => Ok(()),
            found => Err(self.fail(Problem::Type { wanted: wanted.noun(), found: found.noun() })),
        }
    }

    fn enter(&mut self) -> Result<(), Malformed> {
        if self.depth == MAX_DEPTH {
            return Err(self.fail(Problem::TooDeep(MAX_DEPTH)));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// Takes the next byte if it is this one.
    fn take(&mut self, byte: u8) -> bool {
        let taken = self.next_byte() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    /// The next byte that is no space, which is where the reader then stands.
    fn next_byte(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    fn unexpected(&self) -> Malformed {
        let ended = self.at == self.text.len();
        self.fail(if ended { Problem::Truncated } else { Problem::NoJson })
    }
}

// === impl Kind ===

impl Kind {
    /// What it is called in a sentence.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}
