//! Putting a page into a document, between two comments that name it.

/// Replaces what stands between the comments; `None` when they are not there.
pub(super) fn paste(document: &str, name: &str, page: &str) -> Option<String> {
    let (before, rest) = document.split_once(&format!("<!-- begin {name} "))?;
    let (opening, rest) = rest.split_once("-->\n")?;
    let end = format!("<!-- end {name} -->");
    let (_old, after) = rest.split_once(&end)?;
    Some(format!("{before}<!-- begin {name} {opening}-->\n{}\n{end}{after}", page.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run;

    const DOCUMENT: &str =
        "one\n<!-- begin a by hand -->\nold\n<!-- end a -->\ntwo\n<!-- begin b x -->\n<!-- end b -->\n";

    #[test]
    fn only_what_stands_between_the_comments_is_replaced() {
        let pasted = paste(DOCUMENT, "a", "new\n").unwrap();

        assert_eq!(pasted, DOCUMENT.replace("old", "new"));
        assert_eq!(paste(&pasted, "a", "old").unwrap(), DOCUMENT);
    }

    #[test]
    fn a_document_without_the_comments_stays() {
        assert!(paste(DOCUMENT, "c", "new").is_none());
        assert!(paste("<!-- begin a x -->\nold\n", "a", "new").is_none());
    }

    #[test]
    fn the_documentation_has_a_place_for_every_comparison() {
        let document = std::fs::read_to_string(run::root().join("docs/benchmarks.md")).unwrap();

        for name in ["foundation", "on-demand", "limits", "isolation", "hrana", "organizations"] {
            assert!(paste(&document, name, "new").is_some(), "{name}");
        }
    }
}
