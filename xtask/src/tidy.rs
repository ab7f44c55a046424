//! `cargo xtask tidy`: what no compiler checks.
//!
//! Each rule is a pure function from text to findings in a file of its own, tested there on small
//! inputs: a rule that cannot fail would be a defect.

mod floors;
mod leftovers;
mod links;
mod manifests;
mod paths;
mod scan;
mod sizes;
mod statics;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::run;

/// One thing to put right.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// Where, relative to the root; empty when it concerns the workspace.
    file: PathBuf,
    /// Which line, counted from 1; 0 when it concerns the whole file.
    line: usize,
    /// What is wrong and what to do.
    message: String,
}

/// A file of the project, as its rules see it.
struct Document {
    path: PathBuf,
    text: String,
}

/// Checks every rule on every file and prints what it finds.
///
/// # Errors
///
/// When a rule is broken, or the project cannot be read.
pub(crate) fn run() -> Result<()> {
    let root = run::root();
    let documents = documents(&root)?;
    let metadata = run::output(&mut run::cargo(&["metadata", "--no-deps", "--format-version", "1"]))?;

    let mut findings = floors::check(&floors::edges(&metadata)?);
    findings.extend(check_documents(&documents, &root));
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("tidy found {} thing(s) to put right", findings.len());
    }
    println!("tidy: {} files, nothing to put right", documents.len());
    Ok(())
}

/// Reads the project's text files: those git tracks or would track.
fn documents(root: &Path) -> Result<Vec<Document>> {
    let list = run::output(&mut run::program(
        "git",
        &["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    ))
    .context("tidy asks git which files belong to the project")?;
    let mut documents = Vec::new();
    for path in list.split('\0').filter(|path| !path.is_empty()).collect::<BTreeSet<_>>() {
        let file = root.join(path);
        if !file.is_file() {
            continue;
        }
        let bytes = fs::read(&file).with_context(|| format!("cannot read {path}"))?;
        if let Ok(text) = String::from_utf8(bytes) {
            documents.push(Document { path: PathBuf::from(path), text });
        }
    }
    Ok(documents)
}

/// Checks the rules that look at files.
fn check_documents(documents: &[Document], root: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let tests = scan::test_files(documents);
    for document in documents {
        findings.extend(paths::check(document, root));
        findings.extend(leftovers::check_text(document));
        match extension(&document.path) {
            "md" => findings.extend(links::check(document, |target| root.join(target).exists())),
            "toml" if document.path.ends_with("Cargo.toml") => findings.extend(manifests::check(document)),
            "rs" => {
                let source = scan::Source::read(&document.text);
                findings.extend(leftovers::check_code(&document.path, &source));
                if !tests.contains(&document.path) {
                    findings.extend(sizes::check(&document.path, &source));
                    findings.extend(statics::check(&document.path, &source));
                }
            }
            _ => {}
        }
    }
    findings
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

// === impl Finding ===

impl Finding {
    fn new(file: &Path, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.to_path_buf(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file.as_os_str().is_empty(), self.line) {
            (true, _) => write!(f, "{}", self.message),
            (false, 0) => write!(f, "{}: {}", self.file.display(), self.message),
            (false, line) => write!(f, "{}:{line}: {}", self.file.display(), self.message),
        }
    }
}

// === impl Document ===

#[cfg(test)]
impl Document {
    fn new(path: &str, text: &str) -> Self {
        Self { path: PathBuf::from(path), text: text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_rule_is_wired_in() {
        let long = "//! Long.\n".repeat(501);
        let marker = format!("// {}: later\n", "TODO");
        let documents = [
            Document::new("crates/a/src/long.rs", &long),
            Document::new("crates/a/src/state.rs", "static A: Mutex<u8> = Mutex::new(0);\n"),
            Document::new("crates/a/src/marker.rs", &marker),
            Document::new("docs/page.md", "[gone](gone.md)\n"),
            Document::new("crates/a/Cargo.toml", "[package]\n"),
            Document::new("docs/home.txt", concat!("/ho", "me/someone/project\n")),
        ];

        let findings = check_documents(&documents, Path::new("/nowhere-at-all"));

        let files: Vec<_> = findings.iter().map(|finding| finding.file.to_str().unwrap()).collect();
        assert_eq!(
            files,
            [
                "crates/a/src/long.rs",
                "crates/a/src/state.rs",
                "crates/a/src/marker.rs",
                "docs/page.md",
                "crates/a/Cargo.toml",
                "docs/home.txt",
            ]
        );
    }

    #[test]
    fn sizes_and_statics_do_not_concern_tests() {
        let text = format!("static A: Mutex<u8> = Mutex::new(0);\n{}", "// line\n".repeat(600));
        let documents = [Document::new("crates/a/tests/story.rs", &text)];

        assert_eq!(check_documents(&documents, Path::new("/nowhere-at-all")), []);
    }

    #[test]
    fn a_finding_names_its_place() {
        assert_eq!(Finding::new(Path::new("a.rs"), 3, "wrong").to_string(), "a.rs:3: wrong");
        assert_eq!(Finding::new(Path::new("a.rs"), 0, "wrong").to_string(), "a.rs: wrong");
        assert_eq!(Finding::new(Path::new(""), 0, "wrong").to_string(), "wrong");
    }
}
