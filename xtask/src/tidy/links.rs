//! Every relative link in a Markdown file leads to a file of the project.

use std::path::{Component, Path, PathBuf};

use super::{Document, Finding};

/// Finds links that lead nowhere; `exists` answers for paths relative to the root.
pub(super) fn check(document: &Document, exists: impl Fn(&Path) -> bool) -> Vec<Finding> {
    let folder = document.path.parent().unwrap_or(Path::new(""));
    let mut findings = Vec::new();
    for (line, target) in targets(&document.text) {
        let leads = resolve(folder, target).is_some_and(|path| exists(&path));
        if !leads {
            findings.push(Finding::new(&document.path, line, format!("the link `{target}` leads nowhere")));
        }
    }
    findings
}

/// Returns the relative targets in the text with their lines, code apart.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let mut targets = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            fenced = !fenced;
        } else if !fenced {
            let found = prose(line).flat_map(inline).chain(definition(line));
            targets.extend(found.filter(|target| is_relative(target)).map(|target| (index + 1, target)));
        }
    }
    targets
}

/// Returns the parts of a line that are not inline code.
fn prose(line: &str) -> impl Iterator<Item = &str> {
    // A link's text may itself be code: keep such a span joined to what follows by cutting only spans
    // that hold a whole link.
    line.split('`')
        .enumerate()
        .filter(|(index, part)| index % 2 == 0 || !part.contains("]("))
        .map(|(_, part)| part)
}

/// Returns the targets of `](target)` in a part of a line.
fn inline(part: &str) -> impl Iterator<Item = &str> {
    part.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(first_word)
}

/// Returns the target of a `[name]: target` line.
fn definition(line: &str) -> Option<&str> {
    let (name, target) = line.trim_start().strip_prefix('[')?.split_once("]:")?;
    (!name.contains(']')).then(|| first_word(target))
}

/// Drops a link's title and angle brackets.
fn first_word(target: &str) -> &str {
    target.split_whitespace().next().unwrap_or_default().trim_matches(['<', '>'])
}

fn is_relative(target: &str) -> bool {
    let scheme =
        target.split_once(':').is_some_and(|(scheme, _)| scheme.chars().all(|c| c.is_ascii_alphanumeric()));
    !target.is_empty() && !scheme && !target.starts_with('#')
}

/// Returns where a target leads, relative to the root; none when outside it.
fn resolve(folder: &Path, target: &str) -> Option<PathBuf> {
    let file = target.split(['#', '?']).next().unwrap_or_default();
    let mut path = PathBuf::new();
    for part in folder.join(file).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir if path.pop() => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(text: &str) -> Vec<usize> {
        let known = ["docs/a.md", "README.md", "docs"];
        let findings =
            check(&Document::new("docs/page.md", text), |path| known.iter().any(|k| path == Path::new(k)));
        findings.iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        for text in [
            "[a](a.md)",
            "[a](./a.md#part) and [b](../README.md \"title\")",
            "[a](https://example.org/x.md), [b](mailto:a@example.org), [c](#part)",
            "[`code`](a.md)",
            "```\n[a](gone.md)\n```",
            "write `[a](gone.md)` so",
            "[a]: a.md",
            "[folder](../docs)",
        ] {
            assert!(broken(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        for text in [
            "[a](gone.md)",
            "[`code`](gone.md)",
            "![p](gone.png)",
            "[a]: gone.md",
            "[a](../../out.md)",
            "[a](/a.md)",
        ] {
            assert_eq!(broken(text), [1], "{text}");
        }
        assert_eq!(broken("x\n\n[a](a.md) [b](b.md)\n"), [3]);
    }
}
