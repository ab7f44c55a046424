//! Sizes: a file holds one concept, a function one thought. Tests are not counted.

use std::path::Path;

use super::Finding;
use super::scan::{self, Source};

/// Lines of a source file, tests apart, from which a second concept is assumed.
const FILE_LINES: usize = 500;
/// Lines of a function, from its `fn` to its closing brace.
const FUNCTION_LINES: usize = 70;

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
struct Function {
    name: String,
    line: usize,
    lines: usize,
}

/// Finds the file too long and the functions too long.
pub(super) fn check(path: &Path, source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = source.lines_of_source();
    if lines > FILE_LINES {
        let message = format!("{lines} lines, {FILE_LINES} allowed: move its second concept out");
        findings.push(Finding::new(path, 0, message));
    }
    for function in functions(&source.code) {
        if function.lines > FUNCTION_LINES && !source.is_test(function.line) {
            let Function { name, line, lines } = function;
            let message =
                format!("`{name}` has {lines} lines, {FUNCTION_LINES} allowed: give its parts names");
            findings.push(Finding::new(path, line, message));
        }
    }
    findings
}

/// Finds the functions that have a body.
fn functions(code: &str) -> Vec<Function> {
    let chars: Vec<char> = code.chars().collect();
    let mut functions = Vec::new();
    for at in 0..chars.len() {
        let keyword = chars[at..].starts_with(&['f', 'n', ' ']);
        if !keyword || (at > 0 && scan::is_word(chars[at - 1])) {
            continue;
        }
        let name: String = chars[at + 3..].iter().take_while(|c| scan::is_word(**c)).collect();
        let Some(open) = scan::head_end(&chars, at) else { continue };
        if name.is_empty() || chars[open] == ';' {
            continue;
        }
        let line = newlines(&chars[..at]) + 1;
        let lines = newlines(&chars[at..scan::closing(&chars, open)]) + 1;
        functions.push(Function { name, line, lines });
    }
    functions
}

fn newlines(chars: &[char]) -> usize {
    chars.iter().filter(|c| **c == '\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<String> {
        check(Path::new("a.rs"), &Source::read(text)).iter().map(ToString::to_string).collect()
    }

    fn function(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
    }

    #[test]
    fn a_file_may_have_500_lines() {
        assert!(messages(&"// a\n".repeat(500)).is_empty());
        assert_eq!(messages(&"// a\n".repeat(501)).len(), 1);
    }

    #[test]
    fn tests_do_not_count() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}{}}}\n", function(100), "// a\n".repeat(600));
        assert!(messages(&tests).is_empty());
    }

    #[test]
    fn a_function_may_have_70_lines() {
        assert!(messages(&function(70)).is_empty());
        let findings = messages(&format!("// before\n{}", function(71)));
        assert_eq!(findings, ["a.rs:2: `long` has 71 lines, 70 allowed: give its parts names"]);
    }

    #[test]
    fn braces_in_literals_and_comments_do_not_count() {
        let inner = "    a(\"{\", '{', r#\"{\"#); // {\n".repeat(60);
        let text = format!("fn a() {{\n{inner}}}\nfn b() {{\n{inner}}}\n");
        assert!(messages(&text).is_empty());
    }

    #[test]
    fn only_functions_with_a_body_are_found() {
        let text = "trait A { fn a(&self) -> [u8; 4]; }\nstruct B { f: fn(u8) -> u8 }\nconst fn c(x: [u8; 2]) {\n}\n";
        assert_eq!(functions(&Source::read(text).code), [Function { name: "c".into(), line: 3, lines: 2 }]);
    }
}
