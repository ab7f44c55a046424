//! No path of the machine on which the project was written.

use std::path::Path;

use super::scan::is_word;
use super::{Document, Finding};

/// Folders that hold people's homes.
const HOMES: &[&str] = &["/home/", "/Users/", "/root/"];

/// Finds paths into a home, or into the folder in which this clone lies.
pub(super) fn check(document: &Document, root: &Path) -> Vec<Finding> {
    let root = root.to_string_lossy();
    let mut findings = Vec::new();
    for (index, line) in document.text.lines().enumerate() {
        let home = HOMES.iter().find(|home| starts_path(line, home));
        if home.is_some() || (root.len() > 1 && starts_path(line, &root)) {
            findings.push(Finding::new(
                &document.path,
                index + 1,
                "names a path of one machine: make it relative",
            ));
        }
    }
    findings
}

/// Returns whether the line contains the folder as the start of an absolute path into it.
fn starts_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let starts = !line[..at].ends_with(|c: char| is_word(c) || "./-~}".contains(c));
        let goes_on = line[at + folder.len()..].starts_with(|c: char| is_word(c) || "./".contains(c));
        starts && (goes_on || !folder.ends_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> usize {
        check(&Document::new("a.md", text), Path::new("/srv/clone")).len()
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        for home in HOMES {
            assert_eq!(count(&format!("see {home}someone/a.txt")), 1, "{home}");
        }
        assert_eq!(count("a\ncd /srv/clone/crates"), 1);
        assert_eq!(count("cd /srv/clone"), 1);
    }

    #[test]
    fn other_paths_pass() {
        for text in
            ["https://example.org/home/a", "docs/home/a.md", "/var/lib/rowhouse", "`/root/`", "../home/a"]
        {
            assert_eq!(count(text), 0, "{text}");
        }
    }
}
