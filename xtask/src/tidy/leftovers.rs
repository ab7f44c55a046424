//! Nothing half done: no markers for later, no stand-ins, no test that is switched off.

use std::path::Path;

use super::scan::{self, Source};
use super::{Document, Finding, extension};

/// Markers that say something is unfinished.
const MARKERS: &[&str] = &["TODO", "FIXME"];
/// Code that stands in for code, or switches a test off.
const STAND_INS: &[&str] = &["todo!", "unimplemented!", "#[ignore"];

/// Finds markers in files that have comments but are not Rust.
pub(super) fn check_text(document: &Document) -> Vec<Finding> {
    let script = document.path.starts_with(".ci");
    if !script && !["py", "sh", "toml", "yml", "yaml", "sql"].contains(&extension(&document.path)) {
        return Vec::new();
    }
    markers(&document.path, &document.text)
}

/// Finds markers in comments and stand-ins in code, tests included.
pub(super) fn check_code(path: &Path, source: &Source) -> Vec<Finding> {
    let mut findings = markers(path, &source.comments);
    for (index, line) in source.code.lines().enumerate() {
        for stand_in in STAND_INS.iter().filter(|stand_in| contains(line, stand_in)) {
            findings.push(Finding::new(path, index + 1, format!("`{stand_in}` is left over: finish it")));
        }
    }
    findings
}

fn markers(path: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(marker) = scan::words(line).find(|word| MARKERS.contains(word)) {
            findings.push(Finding::new(
                path,
                index + 1,
                format!("`{marker}` is left over: do it or file an issue"),
            ));
        }
    }
    findings
}

/// Returns whether the line contains the text, not as the end of a longer word.
fn contains(line: &str, text: &str) -> bool {
    line.match_indices(text).any(|(at, _)| !line[..at].ends_with(scan::is_word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_code(text: &str) -> usize {
        check_code(Path::new("a.rs"), &Source::read(text)).len()
    }

    #[test]
    fn leftovers_are_found() {
        for text in ["// TODO: later", "/* FIXME */", "/// TODO", "todo!()", "unimplemented!(\"x\")"] {
            assert_eq!(in_code(text), 1, "{text}");
        }
        assert_eq!(in_code("#[test]\n#[ignore = \"slow\"]\nfn a() {}"), 1);
    }

    #[test]
    fn the_words_alone_are_no_leftovers() {
        for text in ["let a = \"TODO\";", "// a to-do", "fn todo() {}", "mytodo!()", "// TODOS"] {
            assert_eq!(in_code(text), 0, "{text}");
        }
    }

    #[test]
    fn scripts_are_read_too() {
        let text = format!("# {}: later\n", MARKERS[0]);
        assert_eq!(check_text(&Document::new("clients/python/a.py", &text)).len(), 1);
        assert_eq!(check_text(&Document::new(".ci/run", &text)).len(), 1);
        assert_eq!(check_text(&Document::new("a.md", &text)).len(), 0);
    }
}
