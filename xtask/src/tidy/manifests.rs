//! Every crate obeys the workspace's lints.

use super::{Document, Finding};

/// The crates that meet C where no library does it for them: their lints are the workspace's but for `unsafe_code`.
const UNSAFE: &[&str] = &["crates/wal-locks/Cargo.toml"];

/// Finds a crate's manifest that does not inherit the workspace's lints.
pub(super) fn check(document: &Document) -> Vec<Finding> {
    let is_crate = document.text.lines().any(|line| line.trim() == "[package]");
    let is_unsafe = UNSAFE.iter().any(|path| document.path.ends_with(path));
    if !is_crate || is_unsafe || inherits_lints(&document.text) {
        return Vec::new();
    }
    vec![Finding::new(&document.path, 0, "add `[lints]` with `workspace = true`")]
}

fn inherits_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    lines
        .by_ref()
        .take_while(|line| !line.starts_with('['))
        .any(|line| line.replace(' ', "") == "workspace=true")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> usize {
        check(&Document::new("crates/a/Cargo.toml", text)).len()
    }

    #[test]
    fn a_crate_without_the_lints_is_found() {
        assert_eq!(count("[package]\nname = \"a\"\n"), 1);
        assert_eq!(count("[package]\n[lints]\n[dependencies]\nworkspace = true\n"), 1);
        assert_eq!(count("[package]\n[lints]\nworkspace = false\n"), 1);
    }

    #[test]
    fn a_crate_with_lints_of_its_own_is_one_that_is_listed() {
        let own = "[package]\n[lints.rust]\nunsafe_code = \"allow\"\n";
        assert_eq!(count(own), 1);
        assert_eq!(check(&Document::new(UNSAFE[0], own)).len(), 0);
    }

    #[test]
    fn a_crate_with_the_lints_passes() {
        assert_eq!(count("[package]\n\n[lints]\nworkspace = true\n"), 0);
        assert_eq!(count("[workspace]\nmembers = []\n"), 0);
    }
}
