use super::*;
use crate::curve::certificate::public_text;
use omq_proto::CurveKeypair;
use std::fs;
use tempfile::TempDir;

const OWNER: rustix::fs::Mode = rustix::fs::Mode::RWXU;

struct List {
    home: TempDir,
    allowed: AllowedClients,
}

fn list(keys: &[(&str, &CurveKeypair)]) -> List {
    let home = TempDir::new().expect("a directory");
    for (name, pair) in keys {
        fs::write(home.path().join(name), public_text(pair)).expect("a file");
    }
    let allowed = AllowedClients::load(home.path().to_owned()).expect("a directory");
    List { home, allowed }
}

fn key(pair: &CurveKeypair) -> ClientKey {
    *pair.public.as_bytes()
}

#[test]
fn only_keys_of_files_with_the_right_ending_are_on_the_list() {
    let (one, other) = (CurveKeypair::generate(), CurveKeypair::generate());
    let list = list(&[("one.key", &one), ("other.key_secret", &other), ("other.pub", &other)]);
    assert!(list.allowed.has(&key(&one)));
    assert!(!list.allowed.has(&key(&other)));
}

#[test]
fn what_is_no_key_is_skipped_and_the_others_are_read() {
    let one = CurveKeypair::generate();
    let list = list(&[("one.key", &one)]);
    fs::write(list.home.path().join("bad.key"), "public-key = \"short\"").expect("a file");
    fs::create_dir(list.home.path().join("directory.key")).expect("a directory");
    std::os::unix::fs::symlink("nowhere", list.home.path().join("dangling.key")).expect("a link");
    std::os::unix::fs::symlink("circle.key", list.home.path().join("circle.key")).expect("a link");
    let pipe = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, list.home.path().join("pipe.key"), pipe, OWNER, 0).expect("a pipe");
    let _socket =
        std::os::unix::net::UnixListener::bind(list.home.path().join("socket.key")).expect("a socket");
    let other = CurveKeypair::generate();
    fs::write(list.home.path().join("other.key"), public_text(&other)).expect("a file");
    list.allowed.refresh();
    assert!(list.allowed.has(&key(&one)) && list.allowed.has(&key(&other)));
    assert_eq!(list.allowed.count(), 2);
}

#[test]
fn an_added_key_is_let_in_and_a_removed_one_is_not() {
    let (one, other) = (CurveKeypair::generate(), CurveKeypair::generate());
    let list = list(&[("one.key", &one)]);
    fs::write(list.home.path().join("other.key"), public_text(&other)).expect("a file");
    list.allowed.refresh();
    assert!(list.allowed.has(&key(&other)));
    fs::remove_file(list.home.path().join("one.key")).expect("it is there");
    list.allowed.refresh();
    assert!(!list.allowed.has(&key(&one)));
    assert!(list.allowed.has(&key(&other)));
}

#[test]
fn a_file_that_is_overwritten_in_place_is_read_again() {
    let (one, other) = (CurveKeypair::generate(), CurveKeypair::generate());
    let list = list(&[("one.key", &one)]);
    // As long as before, within the same tick of the file system's clock.
    fs::write(list.home.path().join("one.key"), public_text(&other)).expect("a file");
    list.allowed.refresh();
    assert!(!list.allowed.has(&key(&one)));
    assert!(list.allowed.has(&key(&other)));
}

#[test]
fn without_its_directory_nobody_is_let_in_until_it_is_back() {
    let one = CurveKeypair::generate();
    let list = list(&[("one.key", &one)]);
    let (here, away) = (list.home.path().to_owned(), list.home.path().with_extension("away"));
    fs::rename(&here, &away).expect("a rename");
    list.allowed.refresh();
    assert!(!list.allowed.has(&key(&one)));
    fs::rename(&away, &here).expect("a rename");
    list.allowed.refresh();
    assert!(list.allowed.has(&key(&one)));
}

#[test]
fn a_lack_of_files_or_memory_throws_nobody_out() {
    use rustix::io::Errno;
    for lack in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::IO, Errno::INTR] {
        assert!(!is_certain(&lack.into()), "{lack}");
    }
    let one = CurveKeypair::generate();
    let list = list(&[("one.key", &one)]);
    let mut read = list.allowed.read.lock().expect("nobody panicked");
    list.allowed.keep(&mut read, &Errno::MFILE.into());
    assert!(read.unsure);
    drop(read);
    assert!(list.allowed.has(&key(&one)));
    fs::remove_file(list.home.path().join("one.key")).expect("it is there");
    list.allowed.refresh();
    assert!(!list.allowed.has(&key(&one)));
}

#[test]
fn a_missing_directory_is_an_error_at_the_start() {
    let home = TempDir::new().expect("a directory");
    let error = AllowedClients::load(home.path().join("authorized_clients")).expect_err("it is missing");
    assert!(error.to_string().contains("authorized_clients"), "{error}");
}

#[tokio::test]
async fn who_waits_for_a_revocation_is_told_of_his_own_only() {
    let (one, other) = (CurveKeypair::generate(), CurveKeypair::generate());
    let list = list(&[("one.key", &one), ("other.key", &other)]);
    let (one_key, other_key) = (key(&one), key(&other));
    let mut of_one = Box::pin(list.allowed.revoked(&one_key));
    let of_other = Box::pin(list.allowed.revoked(&other_key));
    assert!(futures::poll!(&mut of_one).is_pending());
    fs::remove_file(list.home.path().join("other.key")).expect("it is there");
    list.allowed.refresh();
    assert!(futures::poll!(&mut of_one).is_pending());
    of_other.await;
}
