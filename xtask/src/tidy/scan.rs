//! Reading Rust without a parser: code apart from comments and literals, tests apart from the rest.
//!
//! Every character keeps its place, so line numbers and brace counts hold. Text inside comments and
//! literals is blank in `code`; everything but comments is blank in `comments`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Document;

/// A Rust file, taken apart.
pub(super) struct Source {
    /// The code, literals and comments blanked.
    pub(super) code: String,
    /// The comments, all else blanked.
    pub(super) comments: String,
    /// For each line whether it belongs to a test.
    pub(super) test_lines: Vec<bool>,
}

/// A walk over the characters that sorts them into code and comments.
struct Splitter {
    chars: Vec<char>,
    at: usize,
    code: String,
    comments: String,
}

/// Finds the files that are tests: by their folder, their name, or the `cfg` on their `mod` line.
pub(super) fn test_files(documents: &[Document]) -> BTreeSet<PathBuf> {
    let mut tests = BTreeSet::new();
    let mut folders = Vec::new();
    for document in documents.iter().filter(|document| super::extension(&document.path) == "rs") {
        let by_folder =
            document.path.iter().any(|part| ["tests", "benches", "examples"].iter().any(|t| part == *t));
        if by_folder || document.path.file_name().is_some_and(|name| name == "tests.rs") {
            tests.insert(document.path.clone());
        }
        let source = Source::read(&document.text);
        if source.test_lines.iter().all(|test| *test) && !source.test_lines.is_empty() {
            tests.insert(document.path.clone());
        }
        let folder = module_folder(&document.path);
        for name in source.test_modules() {
            tests.insert(folder.join(format!("{name}.rs")));
            folders.push(folder.join(name));
        }
    }
    let inside = |path: &PathBuf| folders.iter().any(|folder| path.starts_with(folder));
    tests.extend(documents.iter().map(|document| document.path.clone()).filter(inside));
    tests
}

/// Returns the folder in which a file's child modules lie.
fn module_folder(path: &Path) -> PathBuf {
    let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
    match path.file_stem().and_then(|stem| stem.to_str()) {
        Some("lib" | "main" | "mod") | None => folder,
        Some(stem) => folder.join(stem),
    }
}

/// Returns the words of a text: runs of letters, digits and `_`.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !is_word(c)).filter(|word| !word.is_empty())
}

/// Returns whether the character may stand in an identifier.
pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Returns the index just past the bracket that closes the one at `open`, or the end.
pub(super) fn closing(code: &[char], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, c) in code.iter().enumerate().skip(open) {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return index + 1;
        }
    }
    code.len()
}

/// Returns the index of the `{` or `;` that ends an item's head that starts at `from`.
pub(super) fn head_end(code: &[char], from: usize) -> Option<usize> {
    let mut at = from;
    while at < code.len() {
        match code[at] {
            '{' | ';' => return Some(at),
            '(' | '[' => at = closing(code, at),
            _ => at += 1,
        }
    }
    None
}

// === impl Source ===

impl Source {
    /// Takes a file's text apart.
    pub(super) fn read(text: &str) -> Self {
        let (code, comments) = Splitter::new(text).split();
        let test_lines = test_lines(&code);
        Self { code, comments, test_lines }
    }

    /// Returns how many lines there are that belong to no test.
    pub(super) fn lines_of_source(&self) -> usize {
        self.test_lines.iter().filter(|test| !**test).count()
    }

    /// Returns whether the line, counted from 1, belongs to a test.
    pub(super) fn is_test(&self, line: usize) -> bool {
        self.test_lines.get(line - 1).copied().unwrap_or(false)
    }

    /// Returns the names of the modules declared for tests that lie in files of their own.
    fn test_modules(&self) -> Vec<&str> {
        let lines = self.code.lines().enumerate().filter(|(index, _)| self.is_test(index + 1));
        lines
            .filter_map(|(_, line)| {
                let head = line.trim().strip_suffix(';')?;
                let mut words = words(head).skip_while(|word| ["pub", "crate", "super"].contains(word));
                if words.next() == Some("mod") { words.next() } else { None }
            })
            .collect()
    }
}

/// Marks the lines of every item under a `cfg` that asks for tests.
fn test_lines(code: &str) -> Vec<bool> {
    let chars: Vec<char> = code.chars().collect();
    let mut marks = vec![false; code.lines().count()];
    let mut at = 0;
    while let Some(start) = find(&chars, at, '#') {
        let inner = chars.get(start + 1) == Some(&'!');
        let open = start + 1 + usize::from(inner);
        at = start + 1;
        if chars.get(open) != Some(&'[') {
            continue;
        }
        let end = closing(&chars, open);
        if !asks_for_tests(&chars[open..end].iter().collect::<String>()) {
            continue;
        }
        if inner {
            marks.fill(true);
            return marks;
        }
        let last = match head_end(&chars, skip_attributes(&chars, end)) {
            Some(head) if chars[head] == '{' => closing(&chars, head),
            Some(head) => head + 1,
            None => chars.len(),
        };
        let first_line = chars[..start].iter().filter(|c| **c == '\n').count();
        let last_line = chars[..last].iter().filter(|c| **c == '\n').count();
        marks.iter_mut().take(last_line + 1).skip(first_line).for_each(|mark| *mark = true);
        at = last;
    }
    marks
}

/// Returns whether an attribute, brackets included, makes its item a test.
fn asks_for_tests(attribute: &str) -> bool {
    let plain: String = attribute.chars().filter(|c| !c.is_whitespace()).collect();
    if plain == "[test]" || plain.starts_with("[tokio::test") {
        return true;
    }
    plain.starts_with("[cfg(") && words(&plain.replace("not(test)", "")).any(|word| word == "test")
}

/// Returns the index after any further attributes.
fn skip_attributes(chars: &[char], from: usize) -> usize {
    let mut at = from;
    loop {
        while chars.get(at).is_some_and(|c| c.is_whitespace()) {
            at += 1;
        }
        if chars.get(at) != Some(&'#') || chars.get(at + 1) != Some(&'[') {
            return at;
        }
        at = closing(chars, at + 1);
    }
}

fn find(chars: &[char], from: usize, wanted: char) -> Option<usize> {
    chars.iter().skip(from).position(|c| *c == wanted).map(|index| from + index)
}

// === impl Splitter ===

impl Splitter {
    fn new(text: &str) -> Self {
        Self { chars: text.chars().collect(), at: 0, code: String::new(), comments: String::new() }
    }

    fn split(mut self) -> (String, String) {
        while let Some(c) = self.peek(0) {
            match (c, self.peek(1)) {
                ('/', Some('/')) => self.line_comment(),
                ('/', Some('*')) => self.block_comment(),
                ('"', _) => self.string(),
                ('\'', _) => self.quote(),
                ('r', Some('"' | '#')) if self.starts_raw() => self.raw_string(),
                _ => self.keep(),
            }
        }
        (self.code, self.comments)
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    /// Takes one character as code.
    fn keep(&mut self) {
        let c = self.chars[self.at];
        self.code.push(c);
        self.comments.push(if c == '\n' { c } else { ' ' });
        self.at += 1;
    }

    /// Takes one character as part of a literal.
    fn blank(&mut self) {
        let c = if self.chars[self.at] == '\n' { '\n' } else { ' ' };
        self.code.push(c);
        self.comments.push(c);
        self.at += 1;
    }

    /// Takes so many characters as comment.
    fn comment(&mut self, count: usize) {
        for _ in 0..count.min(self.chars.len() - self.at) {
            let c = self.chars[self.at];
            self.code.push(if c == '\n' { c } else { ' ' });
            self.comments.push(c);
            self.at += 1;
        }
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.comment(1);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while let Some(c) = self.peek(0) {
            match (c, self.peek(1)) {
                ('/', Some('*')) => depth += 1,
                ('*', Some('/')) => depth -= 1,
                _ => {
                    self.comment(1);
                    continue;
                }
            }
            self.comment(2);
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.keep();
        while let Some(c) = self.peek(0) {
            match c {
                '"' => return self.keep(),
                '\\' if self.peek(1).is_some() => {
                    self.blank();
                    self.blank();
                }
                _ => self.blank(),
            }
        }
    }

    /// Tells a character literal from a lifetime.
    fn quote(&mut self) {
        self.keep();
        if self.peek(0) == Some('\\') {
            self.blank();
            self.blank();
            while self.peek(0).is_some_and(|c| c != '\'') {
                self.blank();
            }
        } else if self.peek(1) == Some('\'') {
            self.blank();
        } else {
            return;
        }
        if self.peek(0).is_some() {
            self.keep();
        }
    }

    /// Returns whether the `r` here opens a raw string, and not a word or a raw identifier.
    fn starts_raw(&self) -> bool {
        let before = |back: usize| self.at.checked_sub(back).map(|index| self.chars[index]);
        let prefixed = before(1).is_some_and(|c| c == 'b' || c == 'c');
        let word_before = before(if prefixed { 2 } else { 1 }).is_some_and(is_word);
        let hashes = self.chars[self.at + 1..].iter().take_while(|c| **c == '#').count();
        !word_before && self.peek(1 + hashes) == Some('"')
    }

    fn raw_string(&mut self) {
        self.keep();
        let hashes = self.chars[self.at..].iter().take_while(|c| **c == '#').count();
        for _ in 0..=hashes {
            self.keep();
        }
        while let Some(c) = self.peek(0) {
            if c == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#')) {
                for _ in 0..=hashes {
                    self.keep();
                }
                return;
            }
            self.blank();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        Source::read(text).code
    }

    #[test]
    fn comments_are_not_code() {
        assert_eq!(code("a // b { \nc"), "a        \nc");
        assert_eq!(code("a /* b /* { */ */ c"), "a                 c");
    }

    #[test]
    fn comments_are_kept_apart() {
        assert_eq!(Source::read("a // b\n\"// c\"").comments.trim(), "// b");
    }

    #[test]
    fn literals_are_blank() {
        assert_eq!(code(r#"f("{\"}", '{', '\'', b'}')"#), r#"f("    ", ' ', '  ', b' ')"#);
        assert_eq!(code("r#\"a \" { \"# x"), "r#\"      \"# x");
        assert_eq!(code("br\"{\" x"), "br\" \" x");
        assert_eq!(code("'\\u{7d}' x"), "'      ' x");
    }

    #[test]
    fn lifetimes_and_raw_identifiers_are_code() {
        let text = "fn a<'a>(x: &'a str, r#type: u8, bar: u8) {}";
        assert_eq!(code(text), text);
    }

    #[test]
    fn test_modules_are_marked() {
        let text = "fn a() {}\n\n#[cfg(test)]\n#[expect(x)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
        let expected = [false, false, true, true, true, true, true, false];
        assert_eq!(Source::read(text).test_lines, expected);
        assert_eq!(Source::read("#[cfg(all(loom, test))]\nmod a {\n}\nb!();").lines_of_source(), 1);
        assert_eq!(Source::read("#[cfg(not(test))]\nmod a {\n}\n").lines_of_source(), 3);
    }

    #[test]
    fn test_files_are_known_by_place_name_and_declaration() {
        let documents = [
            Document::new("a/src/lib.rs", "mod x;\n#[cfg(test)]\nmod model;\n"),
            Document::new("a/src/model.rs", "fn a() {}\n"),
            Document::new("a/src/model/deep.rs", "fn a() {}\n"),
            Document::new("a/src/x.rs", "fn a() {}\n"),
            Document::new("a/src/x/tests.rs", "fn a() {}\n"),
            Document::new("a/tests/story.rs", "fn a() {}\n"),
            Document::new("a/src/inner.rs", "#![cfg(test)]\nfn a() {}\n"),
        ];

        let tests = test_files(&documents);

        for path in ["a/src/lib.rs", "a/src/x.rs"] {
            assert!(!tests.contains(Path::new(path)), "{path}");
        }
        for path in [
            "a/src/model.rs",
            "a/src/model/deep.rs",
            "a/src/x/tests.rs",
            "a/tests/story.rs",
            "a/src/inner.rs",
        ] {
            assert!(tests.contains(Path::new(path)), "{path}");
        }
    }
}
