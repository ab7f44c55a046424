use super::*;
use std::fs::{Permissions, read_to_string, set_permissions, write};
use std::os::unix::fs::PermissionsExt as _;
use tempfile::TempDir;

fn files() -> (TempDir, KeyFiles) {
    let home = TempDir::new().expect("a directory");
    let files = KeyFiles::new(home.path().join("new/.curve"), "id_server".to_owned());
    (home, files)
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("it exists").mode() & 0o7777
}

#[test]
fn made_keys_are_read_and_nobody_else_may_read_them() {
    let (_home, files) = files();
    files.make().expect("nothing is there");
    files.load().expect("a pair");
    assert_eq!(mode(files.directory()), 0o700);
    assert_eq!(mode(&files.clients()), 0o700);
    assert_eq!((mode(&files.secret()), mode(&files.public())), (0o600, 0o600));
    let mut names: Vec<_> = std::fs::read_dir(files.directory())
        .expect("the directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    assert_eq!(names, ["authorized_clients", "id_server.key", "id_server.key_secret"]);
}

#[test]
fn keys_are_never_overwritten() {
    let (_home, files) = files();
    files.make().expect("nothing is there");
    let before = read_to_string(files.secret()).expect("the secret");
    assert!(matches!(files.make(), Err(MakeError::Exists(path)) if path == files.secret()));
    std::fs::remove_file(files.secret()).expect("it is there");
    assert!(matches!(files.make(), Err(MakeError::Exists(path)) if path == files.public()));
    assert!(!files.secret().exists());
    assert_ne!(before, "");
}

#[test]
fn a_missing_secret_says_how_to_make_one() {
    let (_home, files) = files();
    let error = files.load().expect_err("nothing is there").to_string();
    assert!(error.contains("id_server.key_secret"), "{error}");
    assert!(error.contains("rowhouse keygen --mode server --curve-dir"), "{error}");
}

#[test]
fn a_secret_that_others_may_read_is_refused() {
    let (_home, files) = files();
    files.make().expect("nothing is there");
    for mode in [0o640, 0o604, 0o620, 0o601] {
        set_permissions(files.secret(), Permissions::from_mode(mode)).expect("it is ours");
        let error = files.load().expect_err("others may read it").to_string();
        assert!(error.contains("chmod 600") && error.contains(&format!("{mode:04o}")), "{error}");
    }
    set_permissions(files.secret(), Permissions::from_mode(0o400)).expect("it is ours");
    files.load().expect("only the owner may read it");
}

#[test]
fn the_public_file_is_not_needed_but_must_be_the_right_one() {
    let (_home, files) = files();
    files.make().expect("nothing is there");
    std::fs::remove_file(files.public()).expect("it is there");
    files.load().expect("the secret file has both");
    let other = KeyFiles::new(files.directory().to_owned(), "other".to_owned());
    other.make().expect("nothing is there");
    std::fs::copy(other.public(), files.public()).expect("a copy");
    let error = files.load().expect_err("it is of another pair");
    assert!(matches!(&error, KeyError::Bad { path, source: BadKey::OtherPair } if *path == files.public()));
}

#[test]
fn a_damaged_secret_names_its_file_and_shows_nothing_of_it() {
    let (_home, files) = files();
    files.make().expect("nothing is there");
    let text = read_to_string(files.secret()).expect("the secret");
    let secret = text.rsplit('"').nth(1).expect("the key in quotes").to_owned();
    for damaged in [text.replace(&secret, &secret[..39]), "x".repeat(FILE_BYTES_MAX + 1), String::new()] {
        write(files.secret(), damaged).expect("it is ours");
        let error = files.load().expect_err("it is damaged");
        let told = format!("{error} {error:?}");
        assert!(told.contains("id_server.key_secret") && !told.contains(&secret[..39]), "{told}");
    }
}

#[test]
fn a_pipe_in_place_of_a_secret_is_refused_rather_than_waited_for() {
    let (_home, files) = files();
    files.make().expect("nothing is there");
    std::fs::remove_file(files.secret()).expect("it is there");
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
    rustix::fs::mknodat(rustix::fs::CWD, files.secret(), kind, mode, 0).expect("a pipe");
    let error = files.load().expect_err("it is no file");
    assert!(matches!(&error, KeyError::Unreadable { path, .. } if *path == files.secret()), "{error}");
}
