use super::*;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).expect("writable");
    }
    directory
}

fn refused(files: &[(&str, &str)]) -> String {
    read(directory(files).path()).expect_err("refused").to_string()
}

#[test]
fn migrations_are_sorted_by_number_and_told_by_engine() {
    let directory = directory(&[
        ("V10__ten.sql", "SELECT 10"),
        ("V0002__two.sql", "SELECT 2"),
        ("V3__three.sqlite.sql", "SELECT 3"),
        ("V3__three.postgres.sql", "SELECT 3.0"),
        ("V4__four.postgres.sql", "SELECT 4"),
        ("README.md", "no migration"),
        (".V1__hidden.sql", ""),
    ]);
    let plans = read(directory.path()).expect("reads");
    let versions = |dialect| plans.of(dialect).steps().iter().map(|step| step.version).collect::<Vec<_>>();
    assert_eq!(versions(Dialect::Sqlite), [2, 3, 10]);
    assert_eq!(versions(Dialect::Postgres), [2, 3, 4, 10]);
    assert_eq!(plans.of(Dialect::Sqlite).steps()[1].name, "three");
    assert_ne!(plans.sqlite.steps()[1].checksum, plans.postgres.steps()[1].checksum);
}

#[test]
fn the_ends_of_lines_do_not_change_what_a_migration_is() {
    let of = |text| read(directory(&[("V1__a.sql", text)]).path()).expect("reads");
    assert_eq!(of("SELECT 1;\nSELECT 2;\n"), of("\u{feff}SELECT 1;\r\nSELECT 2;\r\n"));
    assert_ne!(of("SELECT 1;\nSELECT 2;\n"), of("SELECT 1;\nSELECT 3;\n"));
}

#[test]
fn what_breaks_a_rule_is_told_by_file_and_rule() {
    for (files, file, rule) in [
        (&[("12__a.sql", "SELECT 1")][..], "12__a.sql", "V<number>__<name>.sql"),
        (&[("V__a.sql", "SELECT 1")], "V__a.sql", "V<number>__<name>.sql"),
        (&[("V1_a.sql", "SELECT 1")], "V1_a.sql", "V<number>__<name>.sql"),
        (&[("V1__.sql", "SELECT 1")], "V1__.sql", "1 to 100"),
        (&[("V1__a b.sql", "SELECT 1")], "V1__a b.sql", "1 to 100"),
        (&[("V0__a.sql", "SELECT 1")], "V0__a.sql", "from 1 to"),
        (&[("V99999999999999999999__a.sql", "SELECT 1")], "V99999999999999999999__a.sql", "from 1 to"),
        (&[("V1__a.sql", "SELECT 1"), ("V01__a.sql", "SELECT 1")], "V1__a.sql", "V01__a.sql already"),
        (&[("V1__a.sql", "SELECT 1"), ("V1__b.sql", "SELECT 1")], "V1__b.sql", "\"a\" already"),
        (&[("V1__a.sql", "SELECT 1"), ("V1__a.sqlite.sql", "SELECT 1")], "V1__a.sqlite.sql", "every engine"),
        (&[("V1__a.sql", "-- nothing\n")], "V1__a.sql", "empty"),
        (&[("V1__a.sql", "SELECT '\0'")], "V1__a.sql", "NUL"),
        (&[("V1__a.sql", "SELECT 1;\nCOMMIT")], "V1__a.sql", "line 2: COMMIT"),
        (&[("V1__a.sql", "-- rowhouse: no-transactions\nSELECT 1")], "V1__a.sql", "no-transactions"),
    ] {
        let message = refused(files);
        assert!(message.starts_with(&format!("{file}: ")) && message.contains(rule), "{message}");
    }
    let many = "SELECT 1;".repeat(1 << 19);
    assert!(refused(&[("V1__a.sql", &many)]).contains("larger than"));
    let other = directory(&[]);
    std::fs::write(other.path().join("V1__a.sql"), b"SELECT '\xff'").expect("writable");
    assert!(read(other.path()).expect_err("refused").to_string().contains("not UTF-8 at byte 8"));
    assert!(matches!(read(&other.path().join("none")), Err(DirectoryError::Io { .. })));
}

#[test]
fn links_lead_nowhere_else() {
    let (outside, inside) = (directory(&[("V1__a.sql", "SELECT 1")]), directory(&[]));
    symlink(outside.path().join("V1__a.sql"), inside.path().join("V1__a.sql")).expect("writable");
    assert!(read(inside.path()).expect_err("refused").to_string().contains("leads out"));
    // As orchestrators mount files: links to a hidden directory within.
    let mounted = directory(&[]);
    std::fs::create_dir(mounted.path().join("..data")).expect("writable");
    std::fs::write(mounted.path().join("..data/V1__a.sql"), "SELECT 1").expect("writable");
    symlink("..data/V1__a.sql", mounted.path().join("V1__a.sql")).expect("writable");
    assert_eq!(read(mounted.path()).expect("reads").sqlite.version(), 1);
    std::fs::create_dir(mounted.path().join("more")).expect("writable");
    assert!(read(mounted.path()).expect_err("refused").to_string().contains("side by side"));
}

#[test]
fn the_first_line_says_how_a_migration_is_run() {
    let manner = |text| check(text, &Dialect::ALL).expect("it is known");
    assert_eq!(manner("SELECT 1"), Manner::default());
    assert!(manner("-- rowhouse: no-transaction\nVACUUM").piecemeal);
    let both = manner("-- rowhouse: no-transaction, no-foreign-keys\nVACUUM");
    assert!(both.piecemeal && both.loose_keys);
    assert!(!manner("SELECT 1;\n-- rowhouse: no-transaction").piecemeal);
}
