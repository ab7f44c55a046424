//! Users with passwords.
use crate::keys::{Files, HERE};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::join_all;
use futures::poll;
use rowhouse_access::{Access, AccessParts, AuthError, Credentials, Identity, PasswordHash, Scope, User};
use rowhouse_types::Target;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Poll;

fn user(name: &str, password: &str) -> User {
    User {
        name: name.parse().expect("a name"),
        password: PasswordHash::of(password).expect("a hash"),
        scopes: "write".parse().expect("scopes"),
        databases: "acme".parse().expect("databases"),
        created: None,
    }
}

async fn try_from(access: &Access, who: &str, from: IpAddr) -> Result<Arc<Identity>, AuthError> {
    let credentials = STANDARD.encode(who);
    access.authenticate(Credentials::Basic(&credentials), from).await
}

async fn try_as(access: &Access, who: &str) -> Result<Arc<Identity>, AuthError> {
    try_from(access, who, HERE).await
}

#[tokio::test]
async fn a_user_comes_in_by_name_and_password_and_by_nothing_else() {
    let access = Access::default();
    access.add_user(user("alice", "correct: horse")).expect("new");
    let identity = try_as(&access, "alice:correct: horse").await.expect("right");
    assert_eq!(identity.who.as_deref(), Some("user:alice"));
    let acme = Target::Named("acme".parse().expect("a name"));
    assert!(identity.may(Scope::Write, &acme) && !identity.may(Scope::Create, &acme));
    let again = try_as(&access, "alice:correct: horse").await.expect("remembered");
    assert!(Arc::ptr_eq(&identity, &again));
    for wrong in ["alice:", "alice", "", ":", "Alice:correct: horse", "bob:correct: horse"] {
        assert_eq!(try_as(&access, wrong).await.err(), Some(AuthError::Invalid), "{wrong:?}");
    }
    let raw = access.authenticate(Credentials::Basic("not base64!"), HERE).await;
    assert_eq!(raw.err(), Some(AuthError::Invalid));
    access.remove_user(&"alice".parse().expect("a name")).expect("known");
    assert!(!identity.is_current());
    assert_eq!(try_as(&access, "alice:correct: horse").await.err(), Some(AuthError::Invalid));
}

#[tokio::test]
async fn who_guesses_waits_and_who_is_known_already_does_not() {
    let access = Access::default();
    access.add_user(user("alice", "correct horse")).expect("new");
    let elsewhere: IpAddr = "192.0.2.1".parse().expect("an address");
    let known = try_from(&access, "alice:correct horse", elsewhere).await.expect("right");
    let mut refused = None;
    for n in 0..8 {
        refused = try_from(&access, &format!("alice:guess {n}"), elsewhere).await.err();
    }
    let waits = refused.and_then(|error| error.retry_after());
    assert!(waits.is_some(), "{refused:?}");
    let again = try_from(&access, "alice:correct horse", elsewhere).await.expect("remembered");
    assert!(Arc::ptr_eq(&known, &again));
    let unknown = try_from(&access, "nobody:guess", elsewhere).await;
    assert_eq!(unknown.err(), Some(AuthError::Invalid), "others from there have tries left");
    for n in 0..8 {
        refused = try_from(&access, &format!("nobody:guess {n}"), elsewhere).await.err();
    }
    assert!(refused.and_then(|error| error.retry_after()).is_some(), "a name that nobody has waits alike");
}

#[tokio::test]
async fn one_password_is_hashed_once_for_all_who_present_it_at_once() {
    let access = Access::default();
    access.add_user(user("alice", "correct horse")).expect("new");
    let all = join_all((0..64).map(|_| try_as(&access, "alice:correct horse"))).await;
    let first = all[0].as_ref().expect("right").clone();
    assert!(all.iter().all(|one| one.as_ref().is_ok_and(|one| Arc::ptr_eq(one, &first))));
    assert_eq!(access.counts().remembered, 1);
}

#[tokio::test]
async fn more_than_may_wait_are_told_so_at_once() {
    let access = Access::default();
    access.add_user(user("alice", "correct horse")).expect("new");
    let names: Vec<_> = (0..200).map(|n| format!("user{n}:password")).collect();
    let mut tries: Vec<_> = names.iter().map(|who| Box::pin(try_as(&access, who))).collect();
    let mut busy = 0;
    for one in &mut tries {
        busy += u32::from(matches!(poll!(one), Poll::Ready(Err(AuthError::Busy { .. }))));
    }
    assert!((100..150).contains(&busy), "{busy}");
    drop(tries);
    try_as(&access, "alice:correct horse").await.expect("afterwards there is room");
}

#[tokio::test]
async fn a_name_that_nobody_has_costs_what_a_wrong_password_costs() {
    let access = Access::default();
    access.add_user(user("alice", "correct horse")).expect("new");
    for (hashed, who) in [(1, "alice:guess"), (2, "nobody:guess"), (3, "no name:guess"), (4, "alice:")] {
        assert_eq!(try_as(&access, who).await.err(), Some(AuthError::Invalid));
        assert_eq!(access.counts().hashed, hashed, "{who}");
    }
}

#[tokio::test]
async fn where_nobody_has_a_password_none_is_hashed() {
    let access = Access::default();
    access.require();
    for who in ["alice:guess", "bob:guess", ""] {
        assert_eq!(try_as(&access, who).await.err(), Some(AuthError::Invalid), "{who:?}");
    }
    assert_eq!(access.counts().hashed, 0);
}

#[tokio::test]
async fn users_of_a_file_are_exchanged_while_it_runs() {
    let files = Files::new();
    let (alice, bob) = (user("alice", "correct horse"), user("bob", "battery staple"));
    let lines = |users: &[&User]| {
        let lines: Vec<_> = users.iter().map(|user| user.line()).collect();
        format!("# who\n\n{}\n", lines.join("\n"))
    };
    let file = files.write_as("users", &lines(&[&alice, &bob]), 0o600);
    let parts = AccessParts { users_file: Some(file), ..AccessParts::default() };
    let access = Access::new(parts).expect("users");
    let a = try_as(&access, "alice:correct horse").await.expect("right");
    let b = try_as(&access, "bob:battery staple").await.expect("right");
    let narrower = User { scopes: "read".parse().expect("scopes"), ..alice.clone() };
    files.write_as("users", &lines(&[&narrower]), 0o600);
    assert!(access.reload().is_empty());
    assert!(!a.is_current() && !b.is_current());
    let a = try_as(&access, "alice:correct horse").await.expect("right");
    assert!(!a.may(Scope::Write, &Target::Named("acme".parse().expect("a name"))));
    assert_eq!(try_as(&access, "bob:battery staple").await.err(), Some(AuthError::Invalid));
    files.write_as("users", "alice:correct horse:read:acme\n", 0o600);
    let errors = access.reload();
    assert!(errors[0].to_string().contains("file of users"), "{errors:?}");
    assert!(a.is_current(), "what cannot be read exchanges nothing");
    files.write_as("users", &lines(&[&alice]), 0o640);
    assert_eq!(access.reload().len(), 1, "others may read it");
    assert!(!format!("{access:?} {alice:?}").contains("argon2"));
}

#[tokio::test]
async fn a_user_of_the_file_takes_the_place_of_one_who_was_added() {
    let files = Files::new();
    let file = files.write_as("users", "", 0o600);
    let access =
        Access::new(AccessParts { users_file: Some(file), ..AccessParts::default() }).expect("users");
    access.add_user(user("alice", "added horse")).expect("new");
    let added = try_as(&access, "alice:added horse").await.expect("right");
    files.write_as("users", &user("alice", "written horse").line(), 0o600);
    assert!(access.reload().is_empty());
    assert!(!added.is_current());
    assert_eq!(try_as(&access, "alice:added horse").await.err(), Some(AuthError::Invalid));
    try_as(&access, "alice:written horse").await.expect("right");
    assert_eq!(access.users().len(), 1);
    files.write_as("users", "", 0o600);
    assert!(access.reload().is_empty());
    try_as(&access, "alice:added horse").await.expect("again who she was");
}
