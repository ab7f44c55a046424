//! Tokens and users that are kept.
use rowhouse_access::{Access, AuthError, Credentials, PasswordHash, Scope};
use rowhouse_gateway::{
    Action, Cause, Interface, Journal, NewToken, NewUser, Query, Roster, RosterError, Verdict,
};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn cause() -> Cause {
    Cause::new(Interface::Http, "127.0.0.1")
}

fn new_token(name: &str, databases: &str) -> NewToken {
    NewToken {
        name: name.parse().expect("a name"),
        scopes: "read".parse().expect("scopes"),
        databases: databases.parse().expect("databases"),
        lasts: Some(Duration::from_secs(60)),
        rate: None,
    }
}

#[tokio::test]
async fn what_was_made_is_there_after_a_restart_and_what_was_taken_back_is_not() {
    let journal = Journal::in_memory();
    let roster = Roster::open(Access::default(), journal.clone()).await.expect("empty");
    assert!(!roster.access().is_required());
    let kept = roster.issue(new_token("kept", "acme"), &cause()).await.expect("new");
    let gone = roster.issue(new_token("gone", "acme"), &cause()).await.expect("new");
    let held = roster.access().authenticate(Credentials::Bearer(gone.secret.reveal()), HERE).await;
    roster.revoke(&gone.token.name, &cause()).await.expect("known").await.expect("recorded");
    assert!(!held.expect("it was good").is_current());
    let alice = NewUser {
        name: "alice".parse().expect("a name"),
        password: PasswordHash::of("correct horse").expect("a hash"),
        scopes: "write".parse().expect("scopes"),
        databases: "*".parse().expect("databases"),
    };
    roster.add_user(alice, &cause()).await.expect("new").await.expect("recorded");

    let again = Roster::open(Access::default(), journal.clone()).await.expect("readable");
    let access = again.access();
    assert!(access.is_required());
    let identity = access.authenticate(Credentials::Bearer(kept.secret.reveal()), HERE).await.expect("kept");
    assert!(identity.may(Scope::Read, &rowhouse_types::Target::Named("acme".parse().expect("a name"))));
    let refused = access.authenticate(Credentials::Bearer(gone.secret.reveal()), HERE).await;
    assert_eq!(refused.err(), Some(AuthError::Invalid));
    access.authenticate(Credentials::Basic("YWxpY2U6Y29ycmVjdCBob3JzZQ=="), HERE).await.expect("kept");

    again.revoke(&kept.token.name, &cause()).await.expect("known");
    again.remove_user(&"alice".parse().expect("a name"), &cause()).await.expect("known");
    let last = Roster::open(Access::default(), journal.clone()).await.expect("readable");
    assert!(last.access().is_required(), "nobody opens the door by taking the last one back");
    assert!(last.access().tokens().is_empty() && last.access().users().is_empty());
}

#[tokio::test]
async fn what_is_done_and_refused_is_recorded_without_any_secret() {
    let journal = Journal::in_memory();
    let roster = Roster::open(Access::default(), journal.clone()).await.expect("empty");
    let issued = roster.issue(new_token("ci", "acme,eu-*"), &cause()).await.expect("new");
    let taken = roster.issue(new_token("ci", "b"), &cause()).await.expect_err("taken");
    assert!(matches!(taken, RosterError::Token(_)), "{taken}");
    let nothing = roster.issue(new_token("none", ""), &cause()).await.expect_err("nothing");
    assert!(matches!(nothing, RosterError::Nothing));
    let unknown =
        roster.revoke(&"x".parse().expect("a name"), &cause()).await.map(drop).expect_err("unknown");
    assert_eq!(unknown.to_string(), "there is no token \"x\"");
    let entries = journal.entries(Query::default()).await.expect("readable");
    let told: Vec<_> = entries
        .iter()
        .rev()
        .map(|one| (one.entry.action, one.entry.verdict(), one.entry.to.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            (Action::IssueToken, Verdict::Applied, Some("ci: read on acme,eu-*")),
            (Action::IssueToken, Verdict::Refused, Some("ci: read on b")),
            (Action::IssueToken, Verdict::Refused, Some("none: read on ")),
            (Action::RevokeToken, Verdict::Refused, None),
        ]
    );
    let kept = format!("{:?} {entries:?}", journal.kept().await.expect("readable"));
    assert!(!kept.contains(issued.secret.reveal()));
}
