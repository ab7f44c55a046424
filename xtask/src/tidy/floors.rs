//! The floors: a crate may import only from floors below it.
//!
//! The table is the picture in `ARCHITECTURE.md`. A new crate is added here first, with its reason.

use std::path::Path;

use anyhow::{Context, Result};

use super::Finding;

/// Where a crate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// On a floor: imports from the floors below, in use and in tests.
    Floor(u8),
    /// Helps tests: imports anything below the binary, is imported only as a dev-dependency.
    Testing,
    /// Outside the house: imports none of it, but for [`MEASURED`], and is imported by none.
    Outside,
}

/// How one crate names another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `[dependencies]` or `[build-dependencies]`.
    Use,
    /// `[dev-dependencies]`.
    Dev,
}

/// One crate of the workspace and the other members it names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member {
    name: String,
    imports: Vec<(String, Kind)>,
}

const TABLE: &[(&str, Place)] = &[
    ("rowhouse-types", Place::Floor(0)),
    ("rowhouse-sync", Place::Floor(0)),
    ("rowhouse-engine", Place::Floor(1)),
    ("rowhouse-wire", Place::Floor(1)),
    // The one place where SQLite's interface to files is met in its own language.
    ("rowhouse-wal-locks", Place::Floor(1)),
    ("rowhouse-engine-sqlite", Place::Floor(2)),
    ("rowhouse-engine-postgres", Place::Floor(2)),
    ("rowhouse-engine-worker", Place::Floor(2)),
    ("rowhouse-access", Place::Floor(2)),
    ("rowhouse-gateway", Place::Floor(3)),
    ("rowhouse-protocol-hrana", Place::Floor(4)),
    ("rowhouse-protocol-sqlite-rx", Place::Floor(4)),
    ("rowhouse-protocol-postgres", Place::Floor(4)),
    ("rowhouse-management", Place::Floor(4)),
    ("rowhouse-axum", Place::Floor(4)),
    ("rowhouse-client", Place::Floor(4)),
    ("rowhouse", Place::Floor(5)),
    // A program of somebody else's, who stands on all of it.
    ("organizations", Place::Floor(6)),
    ("rowhouse-testing", Place::Testing),
    ("xtask", Place::Outside),
    // In the place of the generator that libsqlite3-sys would have: see `bindings/`.
    ("bindgen", Place::Outside),
];

/// Downward edges that the floors would allow and the invariants do not: who, what, why.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("rowhouse-gateway", "rowhouse-engine-", "the gateway depends on no engine, only on the port"),
    ("rowhouse-gateway", "rowhouse-wire", "the gateway knows no protocol"),
    ("rowhouse-protocol-", "rowhouse-engine-", "protocols reach databases only through the gateway"),
    ("rowhouse-management", "rowhouse-engine-", "management reaches databases only through the gateway"),
    ("rowhouse-axum", "rowhouse-engine-", "in-process use reaches databases only through the gateway"),
    ("rowhouse-client", "rowhouse-gateway", "the client stands beside the gateway, not on it"),
];

/// What xtask may import, because a bench measures it in process: the codec, the values it takes, and the limiter.
const MEASURED: &[&str] = &["rowhouse-wire", "rowhouse-types", "rowhouse-sync"];

/// Reads the workspace's members and their edges from `cargo metadata`.
///
/// # Errors
///
/// When the text is not what `cargo metadata --format-version 1` prints.
pub(super) fn edges(metadata: &str) -> Result<Vec<Member>> {
    let metadata: serde_json::Value = serde_json::from_str(metadata).context("cargo metadata is not JSON")?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut members = Vec::new();
    for package in packages {
        let name = package["name"].as_str().context("a package has no name")?;
        let dependencies = package["dependencies"].as_array().context("a package has no dependencies")?;
        let imports = dependencies.iter().filter_map(|dependency| {
            let imported = dependency["name"].as_str().filter(|imported| names.contains(imported))?;
            let kind = if dependency["kind"] == "dev" { Kind::Dev } else { Kind::Use };
            Some((imported.to_owned(), kind))
        });
        members.push(Member { name: name.to_owned(), imports: imports.collect() });
    }
    Ok(members)
}

/// Checks every edge against the table.
pub(super) fn check(members: &[Member]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in members {
        let Some(place) = place(&member.name) else {
            findings.push(finding(format!(
                "crate `{}` stands on no floor: add it to the table in xtask/src/tidy/floors.rs",
                member.name
            )));
            continue;
        };
        for (imported, kind) in &member.imports {
            let Some(below) = self::place(imported) else { continue };
            if let Some(reason) = refusal(&member.name, place, imported, below, *kind) {
                findings.push(finding(format!("`{}` may not import `{imported}`: {reason}", member.name)));
            }
        }
    }
    findings
}

fn finding(message: String) -> Finding {
    Finding::new(Path::new(""), 0, message)
}

fn place(name: &str) -> Option<Place> {
    TABLE.iter().find(|(known, _)| *known == name).map(|(_, place)| *place)
}

/// Says why an edge may not be, if it may not.
fn refusal(from: &str, place: Place, to: &str, below: Place, kind: Kind) -> Option<String> {
    match (place, below, kind) {
        (Place::Outside, ..) if MEASURED.contains(&to) => None,
        (Place::Outside, ..) | (_, Place::Outside, _) => Some("xtask stands outside the house".to_owned()),
        (Place::Testing, Place::Floor(5..), _) => Some("test helpers stand below the binary".to_owned()),
        (Place::Testing, ..) | (Place::Floor(_), Place::Testing, Kind::Dev) => None,
        (Place::Floor(_), Place::Testing, Kind::Use) => Some("it is a dev-dependency only".to_owned()),
        (Place::Floor(from), Place::Floor(to), _) if to >= from => {
            Some(format!("floor {from} may import only from the floors below it, not from floor {to}"))
        }
        (Place::Floor(_), Place::Floor(_), Kind::Dev) => None,
        (Place::Floor(_), Place::Floor(_), Kind::Use) => FORBIDDEN
            .iter()
            .find(|(who, what, _)| names(who, from) && names(what, to))
            .map(|(_, _, why)| (*why).to_owned()),
    }
}

/// Matches a name against a pattern: itself, or a family when the pattern ends in `-`.
fn names(pattern: &str, name: &str) -> bool {
    if pattern.ends_with('-') { name.starts_with(pattern) } else { name == pattern }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(from: &str, to: &str, kind: Kind) -> Vec<String> {
        let member = Member { name: from.to_owned(), imports: vec![(to.to_owned(), kind)] };
        check(&[member]).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn an_edge_down_is_allowed() {
        for (from, to) in [
            ("rowhouse-engine", "rowhouse-types"),
            ("rowhouse-engine-sqlite", "rowhouse-sync"),
            ("rowhouse-engine-sqlite", "rowhouse-engine"),
            ("rowhouse-gateway", "rowhouse-engine"),
            ("rowhouse-protocol-sqlite-rx", "rowhouse-gateway"),
            ("rowhouse-client", "rowhouse-wire"),
            ("rowhouse", "rowhouse-engine-sqlite"),
            ("rowhouse-testing", "rowhouse-gateway"),
        ] {
            assert!(messages(from, to, Kind::Use).is_empty(), "{from} -> {to}");
        }
    }

    #[test]
    fn an_edge_up_or_level_is_refused() {
        for (from, to) in [
            ("rowhouse-types", "rowhouse-sync"),
            ("rowhouse-sync", "rowhouse-types"),
            ("rowhouse-engine", "rowhouse-wire"),
            ("rowhouse-engine", "rowhouse-gateway"),
            ("rowhouse-gateway", "rowhouse"),
            ("rowhouse-protocol-hrana", "rowhouse-management"),
        ] {
            assert!(messages(from, to, Kind::Use)[0].contains("floors below"), "{from} -> {to}");
            assert!(messages(from, to, Kind::Dev)[0].contains("floors below"), "{from} -> {to}");
        }
    }

    #[test]
    fn the_invariants_refuse_more_than_the_floors() {
        for (from, to) in [
            ("rowhouse-gateway", "rowhouse-engine-sqlite"),
            ("rowhouse-gateway", "rowhouse-wire"),
            ("rowhouse-protocol-sqlite-rx", "rowhouse-engine-sqlite"),
            ("rowhouse-management", "rowhouse-engine-postgres"),
            ("rowhouse-axum", "rowhouse-engine-sqlite"),
            ("rowhouse-client", "rowhouse-gateway"),
        ] {
            assert_eq!(messages(from, to, Kind::Use).len(), 1, "{from} -> {to}");
        }
    }

    #[test]
    fn tests_of_the_gateway_may_use_an_engine() {
        assert!(messages("rowhouse-gateway", "rowhouse-engine-sqlite", Kind::Dev).is_empty());
    }

    #[test]
    fn testing_is_a_dev_dependency_only() {
        assert!(messages("rowhouse-gateway", "rowhouse-testing", Kind::Dev).is_empty());
        assert!(
            messages("rowhouse-gateway", "rowhouse-testing", Kind::Use)[0].contains("dev-dependency only")
        );
        assert_eq!(messages("rowhouse-testing", "rowhouse", Kind::Use).len(), 1);
    }

    #[test]
    fn xtask_stands_outside() {
        assert_eq!(messages("xtask", "rowhouse-gateway", Kind::Use).len(), 1);
        assert_eq!(messages("rowhouse", "xtask", Kind::Dev).len(), 1);
        assert_eq!(messages("rowhouse-wire", "xtask", Kind::Use).len(), 1);
    }

    #[test]
    fn xtask_may_import_what_it_measures_in_process() {
        assert!(messages("xtask", "rowhouse-wire", Kind::Use).is_empty());
    }

    #[test]
    fn an_unknown_crate_is_told_where_to_go() {
        let findings = messages("rowhouse-attic", "rowhouse-types", Kind::Use);

        assert!(findings[0].contains("add it to the table in xtask/src/tidy/floors.rs"));
    }

    #[test]
    fn edges_are_read_from_the_metadata() {
        let metadata = r#"{"packages": [
            {"name": "rowhouse-types", "dependencies": [{"name": "bytes", "kind": null}]},
            {"name": "rowhouse-engine", "dependencies": [
                {"name": "rowhouse-types", "kind": null}, {"name": "rowhouse-types", "kind": "dev"}]}
        ]}"#;

        let members = edges(metadata).unwrap();

        assert_eq!(members[0].imports, []);
        let types = "rowhouse-types".to_owned();
        assert_eq!(members[1].imports, [(types.clone(), Kind::Use), (types, Kind::Dev)]);
    }
}
