//! The tokens of PostgreSQL's SQL, as far as they matter here.
//!
//! Every byte belongs to a token, a comment or white space; a token that never ends goes to the end.

/// A token and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
    /// Where it begins, in bytes.
    pub(crate) at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A key word or a name.
    Word,
    /// A name in quotes.
    Quoted,
    /// A string or a number.
    Literal,
    /// `$1`, `?1`: the place of this number.
    Numbered(u32),
    /// `?`
    Next,
    /// `:name`, `$name`
    Named,
    /// Anything else: an operator, or one of `( ) [ ] , ; .`
    Mark,
}

/// Yields the tokens of a text.
#[derive(Clone, Debug)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Whether a value has just been: an operator may follow, and no value.
    after_value: bool,
    /// How many brackets are open.
    brackets: u32,
}

/// Words that a value may follow.
const BEFORE_VALUE: &[&str] = &[
    "all",
    "and",
    "any",
    "array",
    "as",
    "between",
    "by",
    "call",
    "case",
    "check",
    "default",
    "distinct",
    "else",
    "escape",
    "except",
    "execute",
    "exists",
    "fetch",
    "filter",
    "first",
    "from",
    "having",
    "ilike",
    "in",
    "intersect",
    "is",
    "like",
    "limit",
    "next",
    "not",
    "offset",
    "on",
    "or",
    "over",
    "returning",
    "row",
    "select",
    "set",
    "similar",
    "some",
    "then",
    "to",
    "union",
    "using",
    "values",
    "when",
    "where",
    "with",
];

// === impl Token ===

impl Token<'_> {
    /// Whether it is this word, whatever the case of its letters.
    pub(crate) fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    pub(crate) fn is_mark(&self, mark: &str) -> bool {
        self.kind == Kind::Mark && self.text == mark
    }
}

// === impl Lexer ===

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0, after_value: false, brackets: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// The byte `ahead` of the next one; 0 past the end.
    fn peek(&self, ahead: usize) -> u8 {
        self.rest().get(ahead).copied().unwrap_or(0)
    }

    fn skip_blanks(&mut self) {
        loop {
            match (self.peek(0), self.peek(1)) {
                (b'-', b'-') => {
                    let line = self.rest().iter().position(|&byte| byte == b'\n');
                    self.at = line.map_or(self.text.len(), |len| self.at + len);
                }
                (b'/', b'*') => self.skip_comment(),
                (byte, _) if byte.is_ascii_whitespace() || byte == 0x0b => self.at += 1,
                _ => return,
            }
        }
    }

    /// Comments of this kind may lie in each other.
    fn skip_comment(&mut self) {
        let mut depth = 0;
        while self.at < self.text.len() {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => (depth, self.at) = (depth + 1, self.at + 2),
                (b'*', b'/') => (depth, self.at) = (depth - 1, self.at + 2),
                _ => self.at += 1,
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// Goes past what is in quotes, in which a doubled quote is one.
    fn skip_quoted(&mut self, escapes: bool) {
        let quote = self.peek(0);
        self.at += 1;
        while self.at < self.text.len() {
            match (self.peek(0), self.peek(1)) {
                (b'\\', _) if escapes => self.at += 2,
                (byte, next) if byte == quote && next == quote => self.at += 2,
                (byte, _) if byte == quote => {
                    self.at += 1;
                    return;
                }
                _ => self.at += 1,
            }
        }
        self.at = self.at.min(self.text.len());
    }

    /// How long the tag is that begins here, with both of its signs, if it is one.
    fn tag(&self) -> Option<usize> {
        let rest = self.rest().get(1..)?;
        let len = rest.iter().position(|&byte| !is_word(byte) || byte == b'$')?;
        let begins = rest.first().is_some_and(|byte| !byte.is_ascii_digit());
        (rest[len] == b'$' && (len == 0 || begins)).then_some(len + 2)
    }

    fn dollar(&mut self) -> Kind {
        if let Some(len) = self.tag() {
            let tag = &self.text[self.at..self.at + len];
            let body = self.at + len;
            let end = self.text[body..].find(tag);
            self.at = end.map_or(self.text.len(), |end| body + end + len);
            return Kind::Literal;
        }
        self.at += 1;
        match self.peek(0) {
            byte if byte.is_ascii_digit() => Kind::Numbered(self.number()),
            byte if is_word_start(byte) => {
                self.word();
                Kind::Named
            }
            _ => Kind::Mark,
        }
    }

    /// Reads digits; what is no number of a place becomes the greatest one, which is none either.
    fn number(&mut self) -> u32 {
        let begin = self.at;
        while self.peek(0).is_ascii_digit() {
            self.at += 1;
        }
        self.text[begin..self.at].parse().unwrap_or(u32::MAX)
    }

    fn word(&mut self) {
        while is_word(self.peek(0)) {
            self.at += 1;
        }
    }

    fn colon(&mut self) -> Kind {
        self.at += 1;
        match self.peek(0) {
            b':' | b'=' => {
                self.at += 1;
                Kind::Mark
            }
            // In brackets it is between two bounds.
            byte if is_word_start(byte) && self.brackets == 0 => {
                self.word();
                Kind::Named
            }
            _ => Kind::Mark,
        }
    }

    /// A place, unless it stands where an operator stands: there are `?`, `?|`, `?&` and others.
    fn question(&mut self) -> Kind {
        self.at += 1;
        if self.after_value {
            while matches!(self.peek(0), b'|' | b'&' | b'-' | b'#') {
                self.at += 1;
            }
            return Kind::Mark;
        }
        match self.peek(0).is_ascii_digit() {
            true => Kind::Numbered(self.number()),
            false => Kind::Next,
        }
    }

    fn operator(&mut self) {
        let begin = self.at;
        while is_operator(self.peek(0)) {
            let comment = matches!((self.peek(0), self.peek(1)), (b'-', b'-') | (b'/', b'*'));
            if comment && begin < self.at {
                return;
            }
            self.at += 1;
        }
        if &self.text[begin..self.at] == "@" && self.peek(0) == b'?' {
            self.at += 1;
        }
    }

    fn kind(&mut self, first: u8) -> Kind {
        match first {
            b'\'' => {
                self.skip_quoted(false);
                Kind::Literal
            }
            b'e' | b'E' if self.peek(1) == b'\'' => {
                self.at += 1;
                self.skip_quoted(true);
                Kind::Literal
            }
            b'"' => {
                self.skip_quoted(false);
                Kind::Quoted
            }
            b'$' => self.dollar(),
            b':' => self.colon(),
            b'?' => self.question(),
            byte if is_word_start(byte) => {
                self.word();
                Kind::Word
            }
            byte if byte.is_ascii_digit() || (byte == b'.' && self.peek(1).is_ascii_digit()) => {
                while self.peek(0).is_ascii_alphanumeric() || matches!(self.peek(0), b'.' | b'_') {
                    self.at += 1;
                }
                Kind::Literal
            }
            byte if is_operator(byte) => {
                self.operator();
                Kind::Mark
            }
            _ => {
                self.at += 1;
                Kind::Mark
            }
        }
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_blanks();
        let at = self.at;
        let first = *self.rest().first()?;
        let kind = self.kind(first);
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
        let token = Token { kind, text: &self.text[at..self.at], at };
        match token.text {
            "[" => self.brackets += 1,
            "]" => self.brackets = self.brackets.saturating_sub(1),
            _ => {}
        }
        self.after_value = match kind {
            Kind::Word => !BEFORE_VALUE.iter().any(|word| token.is(word)),
            Kind::Mark => matches!(token.text, ")" | "]"),
            _ => true,
        };
        Some(token)
    }
}

fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || 0x80 <= byte
}

fn is_word(byte: u8) -> bool {
    is_word_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn is_operator(byte: u8) -> bool {
    b"+-*/<>=~!@#%^&|`".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<&str> {
        Lexer::new(sql).map(|token| token.text).collect()
    }

    #[test]
    fn quotes_and_comments_hide_what_is_in_them() {
        for hidden in ["';'", "'it''s ;'", r"E'\';'", "\";\"", "$$;$$", "$a$ ; $$ $b$ $a$", "U&';'", "'\\'"] {
            let sql = format!("x {hidden} y");
            let tokens = texts(&sql);
            assert_eq!((tokens.first(), tokens.last()), (Some(&"x"), Some(&"y")), "{hidden}");
            assert!(!tokens.contains(&";"), "{hidden}: {tokens:?}");
        }
        assert_eq!(texts("a -- ;\n b /* ; /* ; */ ; */ c"), ["a", "b", "c"]);
    }

    #[test]
    fn a_question_mark_is_a_place_where_a_value_is_wanted() {
        let places = |sql| Lexer::new(sql).filter(|token| token.kind == Kind::Next).count();
        for (sql, count) in [
            ("SELECT ?", 1),
            ("INSERT INTO t VALUES (?, ?)", 2),
            ("SELECT * FROM t WHERE n=? AND m <> ? LIMIT ?", 3),
            ("SELECT data ? 'key' FROM t", 0),
            ("SELECT data ? ? FROM t", 1),
            ("SELECT data ?| array['a'], data ?& array['b'] FROM t WHERE \"d\" ?| ?", 1),
            ("SELECT data @? '$.a'", 0),
            ("SELECT -? + ?", 2),
            ("SELECT ?||'x'", 1),
            ("UPDATE t SET n = n + ? WHERE (a) ? 'x'", 1),
        ] {
            assert_eq!(places(sql), count, "{sql}");
        }
    }

    #[test]
    fn names_are_places_and_casts_and_slices_are_not() {
        let named = |sql| {
            let tokens = Lexer::new(sql).filter(|token| token.kind == Kind::Named);
            tokens.map(|token| token.text).collect::<Vec<_>>()
        };
        assert_eq!(named("SELECT :a, $b::int, '1'::text, x[1:n], f(y := 1), $q$ :c $q$"), [":a", "$b"]);
        let numbered = Lexer::new("SELECT $1, ?2").filter(|token| matches!(token.kind, Kind::Numbered(_)));
        assert_eq!(numbered.count(), 2);
    }

    #[test]
    fn whatever_the_text_is_it_comes_to_an_end() {
        for sql in ["'", "\"", "$a$", "/*", "E'\\", "$", ":", "?", "é$ü", "\u{b}", "@?", "1e", ".5", "\0"] {
            assert!(texts(sql).len() <= 3, "{sql:?}");
        }
    }
}
