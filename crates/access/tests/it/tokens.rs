//! API tokens.
use rowhouse_access::{
    Access, AccessParts, AuthError, Credentials, Digest, Scope, Secret, Token, TokenError,
};
use rowhouse_types::Target;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::{SystemTime, UNIX_EPOCH};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn named(name: &str) -> Target {
    Target::Named(name.parse().expect("a name"))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// A token of this name for reading `acme`, and its secret.
fn token(name: &str) -> (Token, Secret) {
    let secret = Secret::generate().expect("random");
    let token = Token {
        name: name.parse().expect("a name"),
        digest: Digest::of(secret.reveal()),
        scopes: "read".parse().expect("scopes"),
        databases: "acme".parse().expect("databases"),
        created: now(),
        expires: None,
        rate: None,
    };
    (token, secret)
}

#[tokio::test]
async fn anybody_is_let_in_until_there_is_something_to_come_in_by() {
    let access = Access::default();
    assert!(!access.is_required());
    let anybody = access.authenticate(Credentials::None, HERE).await.expect("anybody");
    assert!(anybody.may(Scope::Create, &named("a")) && !anybody.may(Scope::Admin, &named("a")));
    access.authenticate(Credentials::Bearer("whatever"), HERE).await.expect("as if it had said nothing");
    let (one, _) = token("one");
    access.add_token(one.clone()).expect("new");
    assert!(access.is_required());
    assert!(!anybody.is_current() && !anybody.may(Scope::Read, &named("a")), "who is still held goes, too");
    assert_eq!(access.authenticate(Credentials::None, HERE).await.err(), Some(AuthError::Missing));
    access.remove_token(&one.name).expect("known");
    assert!(access.is_required(), "who takes the last token back does not open the door");
}

#[tokio::test]
async fn who_has_leave_to_present_nothing_must_be_right_if_they_present_something() {
    let access =
        Access::new(AccessParts { allow_anonymous: true, ..AccessParts::default() }).expect("no files");
    let (one, secret) = token("one");
    access.add_token(one).expect("new");
    assert!(!access.is_required());
    let anybody = access.authenticate(Credentials::None, HERE).await.expect("anybody");
    assert!(anybody.is_current());
    let identity = access.authenticate(Credentials::Bearer(secret.reveal()), HERE).await.expect("known");
    assert!(!identity.may(Scope::Write, &named("acme")));
    let wrong = access.authenticate(Credentials::Bearer("rh_wrong"), HERE).await;
    assert_eq!(wrong.err(), Some(AuthError::Invalid));
}

#[tokio::test]
async fn a_token_is_good_for_its_databases_until_it_is_taken_back() {
    let access = Access::default();
    let (one, secret) = token("one");
    let (two, other) = token("two");
    access.add_token(one.clone()).expect("new");
    access.add_token(two).expect("new");
    let identity = access.authenticate(Credentials::Bearer(secret.reveal()), HERE).await.expect("known");
    assert_eq!(identity.who.as_deref(), Some("token:one"));
    assert_eq!(identity.only().map(ToString::to_string).as_deref(), Some("acme"));
    assert!(identity.may(Scope::Read, &named("acme")) && !identity.may(Scope::Read, &named("acme2")));
    assert_eq!(access.remove_token(&one.name), Some(one));
    assert!(!identity.may(Scope::Read, &named("acme")), "felt by who came in before");
    let again = access.authenticate(Credentials::Bearer(secret.reveal()), HERE).await;
    assert_eq!(again.err(), Some(AuthError::Invalid));
    access.authenticate(Credentials::Bearer(other.reveal()), HERE).await.expect("the other is good");
}

#[tokio::test]
async fn a_token_that_has_ended_says_so_and_one_asked_too_often_says_when() {
    let access = Access::default();
    let (mut over, secret) = token("over");
    over.expires = Some(now() - 1);
    access.add_token(over).expect("new");
    let refused = access.authenticate(Credentials::Bearer(secret.reveal()), HERE).await;
    assert_eq!(refused.err(), Some(AuthError::Expired));
    let (mut slow, secret) = token("slow");
    slow.rate = NonZeroU32::new(1);
    access.add_token(slow).expect("new");
    access.authenticate(Credentials::Bearer(secret.reveal()), HERE).await.expect("the first at once");
    let refused =
        access.authenticate(Credentials::Bearer(secret.reveal()), HERE).await.expect_err("too soon");
    assert!(refused.retry_after().is_some_and(|after| after.as_secs() < 2), "{refused:?}");
}

#[test]
fn no_two_tokens_have_one_name_and_what_is_kept_of_one_is_read_back_and_is_not_its_secret() {
    let access = Access::default();
    let (one, secret) = token("one");
    access.add_token(one.clone()).expect("new");
    assert_eq!(access.add_token(token("one").0), Err(TokenError::Taken("one".to_owned())));
    assert_eq!(access.tokens(), std::slice::from_ref(&one));
    let kept = serde_json::to_string(&one).expect("json");
    assert!(!kept.contains(secret.reveal()));
    assert_eq!(serde_json::from_str::<Token>(&kept).expect("read back"), one);
    assert!(!format!("{access:?} {one:?} {secret:?}").contains(secret.reveal()));
    for name in ["", "a b", "a/b", &"x".repeat(65), "é", "a\n"] {
        assert!(name.parse::<rowhouse_access::Label>().is_err(), "{name:?}");
    }
}
