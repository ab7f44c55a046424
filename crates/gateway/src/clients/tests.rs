use super::*;
use crate::event::Silent;
use crate::journal::{Action, Cause, Interface, Journal, Query};
use futures::poll;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;
use tokio::task::{JoinSet, yield_now};

fn n(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).expect("positive")
}

fn clients(limit: u32) -> Clients {
    Clients::with_grace(parts(limit), Duration::ZERO)
}

fn parts(limit: u32) -> ClientsParts {
    let (observer, journal) = (Arc::new(Silent), Journal::in_memory());
    ClientsParts { limit: n(limit), handshake_limit: n(512), observer, journal }
}

fn from(last: u8) -> SocketAddr {
    ([10, 0, 0, last], 1).into()
}

fn test() -> Cause {
    Cause::new(Interface::Library, "test")
}

/// Who is let in at once.
async fn guest(clients: &Clients, host: u8) -> Guest {
    let mut admitted = pin!(clients.admit("test", from(host)));
    let Poll::Ready(admitted) = poll!(&mut admitted) else { panic!("there is room") };
    admitted.expect("there is room")
}

async fn place(clients: &Clients) -> Place {
    guest(clients, 1).await.identify(None).expect("nobody is cut")
}

async fn places(clients: &Clients, count: u32) -> Vec<Place> {
    let mut places = Vec::new();
    for _ in 0..count {
        places.push(place(clients).await);
    }
    places
}

async fn must_leave(guest: &Guest) -> bool {
    poll!(pin!(guest.sent_away())).is_ready()
}

fn set(limit: u32) -> Change {
    Change::Set { limit: n(limit), drain: false }
}

fn drain_to(limit: u32) -> Change {
    Change::Set { limit: n(limit), drain: true }
}

fn less(amount: u32) -> Change {
    Change::Decrease { amount: n(amount), drain: false }
}

// Permits.

#[tokio::test]
async fn every_connection_holds_one_permit_from_accept_to_close() {
    let clients = clients(8);
    let (one, other) = (guest(&clients, 1).await, place(&clients).await);
    assert_eq!(clients.status().active, 2);
    let one = one.identify(Some("key".to_owned())).expect("nobody is cut");
    assert_eq!((clients.status().active, clients.status().unidentified), (2, 0));
    drop((one, other));
    assert_eq!(clients.status().active, 0);
    assert!(clients.list().is_empty());
}

#[tokio::test]
async fn one_too_many_is_refused_and_counted_and_told_the_limit() {
    let clients = clients(2);
    let places = places(&clients, 2).await;
    let full = clients.admit("test", from(1)).await.expect_err("full");
    assert_eq!((full.limit, full.active), (n(2), 2));
    assert!(full.word.is_some());
    assert_eq!(clients.status().refused, 1);
    drop(places);
    drop(place(&clients).await);
}

#[tokio::test]
async fn so_many_are_told_at_a_time_and_the_rest_is_not() {
    let clients = clients(1);
    let _only = place(&clients).await;
    let mut told = Vec::new();
    for _ in 0..64 {
        told.push(clients.admit("test", from(1)).await.expect_err("full").word.expect("few are being told"));
    }
    assert!(clients.admit("test", from(1)).await.expect_err("full").word.is_none());
    told.pop();
    assert!(clients.admit("test", from(1)).await.expect_err("full").word.is_some());
}

#[tokio::test]
async fn a_panic_gives_the_permit_back() {
    let clients = clients(2);
    let place = place(&clients).await;
    let guest = guest(&clients, 1).await;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let _held = (place, guest);
        panic!("on purpose");
    });
    assert!(tasks.join_next().await.expect("one task").is_err());
    assert_eq!(clients.status().active, 0);
}

// Strangers.

#[tokio::test]
async fn strangers_hold_a_quarter_of_the_permits_and_one_may_always_be() {
    for (limit, most) in [(1, 1), (3, 1), (8, 2), (1000, 250), (100_000, 512)] {
        assert_eq!(clients(limit).status().unidentified_limit, n(most), "of {limit}");
    }
}

#[tokio::test]
async fn the_oldest_stranger_leaves_for_a_newcomer_who_waits_until_it_has_left() {
    let clients = clients(8);
    let (oldest, newer) = (guest(&clients, 1).await, guest(&clients, 1).await);
    let mut entering = pin!(clients.admit("test", from(1)));
    assert!(poll!(&mut entering).is_pending());
    assert!(must_leave(&oldest).await && !must_leave(&newer).await);
    assert!(poll!(&mut entering).is_pending());
    drop(oldest);
    let Poll::Ready(Ok(newest)) = poll!(&mut entering) else { panic!("there is room") };
    assert!(!must_leave(&newest).await && !must_leave(&newer).await);
    assert_eq!(clients.status().unidentified, 2);
}

#[tokio::test]
async fn who_has_only_just_come_has_the_time_to_say_who_he_is() {
    let clients = Clients::with_grace(parts(4), Duration::from_secs(3600));
    let first = guest(&clients, 1).await;
    let mut second = pin!(clients.admit("test", from(2)));
    assert!(poll!(&mut second).is_pending());
    assert!(!must_leave(&first).await, "it may still say who it is");
    let _first = first.identify(None).expect("nobody is cut");
    let Poll::Ready(Ok(_second)) = poll!(&mut second) else { panic!("there is room") };
}

#[tokio::test]
async fn who_has_said_who_he_is_is_never_cut() {
    let clients = clients(4);
    let places = places(&clients, 3).await;
    let stranger = guest(&clients, 1).await;
    let mut entering = pin!(clients.admit("test", from(2)));
    assert!(poll!(&mut entering).is_pending(), "the stranger is to leave first");
    assert!(must_leave(&stranger).await);
    drop(stranger);
    let Poll::Ready(Ok(newcomer)) = poll!(&mut entering) else { panic!("there is room") };
    let _fourth = newcomer.identify(None).expect("nobody is cut");
    assert!(clients.admit("test", from(3)).await.is_err(), "all have said who they are");
    for place in &places {
        assert!(poll!(pin!(place.ended())).is_pending());
    }
}

#[tokio::test]
async fn who_is_being_cut_is_not_let_in() {
    let clients = clients(1);
    let stranger = guest(&clients, 1).await;
    let mut entering = pin!(clients.admit("test", from(2)));
    assert!(poll!(&mut entering).is_pending());
    assert!(stranger.identify(None).is_none());
    let Poll::Ready(Ok(newcomer)) = poll!(&mut entering) else { panic!("there is room") };
    assert!(newcomer.identify(None).is_some());
}

#[tokio::test]
async fn a_crowd_from_one_address_takes_no_place_of_another() {
    let clients = clients(12);
    let alone = guest(&clients, 1).await;
    let (mut crowd, mut second) = (guest(&clients, 2).await, guest(&clients, 2).await);
    for _ in 0..100 {
        let mut entering = pin!(clients.admit("test", from(2)));
        assert!(poll!(&mut entering).is_pending());
        assert!(must_leave(&crowd).await && !must_leave(&alone).await);
        drop(crowd);
        crowd = second;
        second = entering.await.expect("there is room");
    }
}

#[tokio::test]
async fn newcomers_of_several_listeners_cut_one_each() {
    let clients = clients(16);
    let mut strangers = Vec::new();
    for _ in 0..4 {
        strangers.push(guest(&clients, 1).await);
    }
    let (mut one, mut other) = (pin!(clients.admit("a", from(2))), pin!(clients.admit("b", from(2))));
    assert!(poll!(&mut one).is_pending() && poll!(&mut other).is_pending());
    assert!(poll!(&mut one).is_pending() && poll!(&mut other).is_pending());
    let rest = strangers.split_off(2);
    drop(strangers);
    assert!(poll!(&mut one).is_ready() && poll!(&mut other).is_ready());
    for stranger in &rest {
        assert!(!must_leave(stranger).await);
    }
}

#[tokio::test]
async fn a_newcomer_who_gives_up_takes_nothing() {
    let clients = clients(4);
    let stranger = guest(&clients, 1).await;
    {
        let mut entering = pin!(clients.admit("test", from(1)));
        assert!(poll!(&mut entering).is_pending());
    }
    assert_eq!(clients.status().active, 1);
    drop(stranger);
    assert_eq!((clients.status().active, clients.status().unidentified), (0, 0));
}

// Changes.

#[tokio::test]
async fn a_limit_is_not_set_below_what_is_active() {
    let clients = clients(1000);
    let _places = places(&clients, 3).await;
    let told = |change| clients.change(change, test()).expect_err("refused").to_string();
    assert_eq!(told(set(2)), "cannot set limit to 2 when 3 connections are active");
    assert_eq!(told(less(998)), "cannot decrease limit to 2 when 3 connections are active");
    assert_eq!(told(less(2000)), "cannot decrease limit to -1000 when 3 connections are active");
    let too_many = Change::Increase(n(u32::MAX));
    assert_eq!(told(too_many), "connection limit must be at most 2147483647");
    assert_eq!(told(set(1 << 31)), "connection limit must be at most 2147483647");
    let nothing = Change::Decrease { amount: n(1000), drain: true };
    assert_eq!(told(nothing), "connection limit must be positive");
    let status = clients.status();
    assert_eq!((status.limit, status.active), (n(1000), 3), "nothing has changed");
    assert_eq!(clients.change(set(3), test()).expect("as many as are active").to, n(3));
}

#[tokio::test]
async fn nothing_active_does_not_let_a_limit_fall_to_nothing() {
    let clients = clients(100);
    let refused = clients.change(less(100), test()).expect_err("refused");
    assert_eq!(refused.to_string(), "connection limit must be positive");
    assert_eq!((refused.requested(), refused.active(), refused.limit()), (0, 0, n(100)));
}

#[tokio::test]
async fn a_drain_cuts_nobody_and_lets_nobody_in_until_the_count_has_fallen() {
    let clients = clients(10);
    let mut places = places(&clients, 4).await;
    let stranger = guest(&clients, 1).await;
    let changed = clients.change(drain_to(3), test()).expect("it drains");
    assert_eq!((changed.from, changed.to, changed.active), (n(10), n(3), 5));
    assert_eq!((clients.status().active, clients.status().over), (5, 2));
    assert!(clients.admit("test", from(2)).await.is_err());
    assert!(!must_leave(&stranger).await, "his leaving would make no room");
    assert!(clients.change(set(2), test()).is_err(), "more are active still");
    for place in &places {
        assert!(poll!(pin!(place.ended())).is_pending());
    }
    drop(stranger);
    places.pop();
    assert!(clients.admit("test", from(2)).await.is_err(), "as many as the limit are in");
    places.pop();
    places.push(place(&clients).await);
    assert_eq!((clients.status().active, clients.status().over), (3, 0));
}

#[tokio::test]
async fn growth_lets_those_in_who_wait() {
    let clients = clients(1);
    let stranger = guest(&clients, 1).await;
    let mut entering = pin!(clients.admit("test", from(1)));
    assert!(poll!(&mut entering).is_pending());
    clients.change(set(8), test()).expect("more");
    assert!(poll!(&mut entering).is_ready());
    drop(stranger);
}

#[tokio::test]
async fn a_lower_bound_of_strangers_sends_nobody_away_before_the_next_comes() {
    let clients = clients(40);
    let (oldest, second) = (guest(&clients, 1).await, guest(&clients, 1).await);
    clients.set_handshake_limit(n(2));
    assert_eq!((clients.status().unidentified, clients.status().unidentified_limit), (2, n(2)));
    assert!(poll!(pin!(oldest.sent_away())).is_pending());
    let mut third = pin!(clients.admit("test", from(2)));
    assert!(poll!(&mut third).is_pending());
    oldest.sent_away().await;
    drop(oldest);
    let Poll::Ready(Ok(third)) = poll!(&mut third) else { panic!("it has the place") };
    clients.set_handshake_limit(n(3));
    drop((guest(&clients, 3).await, second, third));
}

#[tokio::test]
async fn every_change_and_every_refusal_is_in_the_journal_in_their_order() {
    let journal = Journal::in_memory();
    let parts = ClientsParts {
        limit: n(10),
        handshake_limit: n(512),
        observer: Arc::new(Silent),
        journal: journal.clone(),
    };
    let clients = Clients::new(parts);
    let cause = || Cause::new(Interface::Http, "127.0.0.1").because("load");
    let changed = clients.change(Change::Increase(n(5)), cause()).expect("more");
    assert_eq!(changed.recording.await.expect("recorded"), 1);
    clients.change(less(15), cause()).expect_err("nothing would be left");
    clients.change(set(7), cause()).expect("less");
    let entries = journal.entries(Query::default()).await.expect("entries");
    let told: Vec<_> = entries
        .into_iter()
        .rev()
        .map(|recorded| {
            assert_eq!((recorded.entry.action, &recorded.entry.cause), (Action::ClientLimit, &cause()));
            let entry = recorded.entry;
            (entry.from.unwrap_or_default(), entry.to.unwrap_or_default(), entry.result)
        })
        .collect();
    let line = |from: &str, to: &str, result| (from.to_owned(), to.to_owned(), result);
    let refused = Err("connection limit must be positive".to_owned());
    assert_eq!(told, [line("10", "15", Ok(())), line("15", "0", refused), line("15", "7", Ok(()))]);
}

/// 64 tasks change the limit while 10,000 clients come and go: in any order each change is whole, and
/// there are never more in than any limit that has been in force meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn changes_are_exact_while_clients_come_and_go() {
    const CHANGERS: u32 = 64;
    const COMERS: u32 = 100;
    const VISITS: u32 = 100;
    let clients = clients(1000);
    let (inside, done) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let admitted = Arc::new(AtomicU32::new(0));
    let mut comers = JoinSet::new();
    for comer in 0..COMERS {
        let (clients, inside, admitted) = (clients.clone(), inside.clone(), admitted.clone());
        comers.spawn(async move {
            let mut visits = 0;
            while visits < VISITS {
                let host = u8::try_from(comer % 7).expect("small");
                let Ok(guest) = clients.admit("test", from(host)).await else {
                    yield_now().await;
                    continue;
                };
                visits += 1;
                admitted.fetch_add(1, SeqCst);
                inside.fetch_add(1, SeqCst);
                let place = if visits % 3 == 0 { None } else { guest.identify(None) };
                yield_now().await;
                inside.fetch_sub(1, SeqCst);
                drop(place);
            }
        });
    }
    let mut changers = JoinSet::new();
    for changer in 0..CHANGERS {
        let (clients, done) = (clients.clone(), done.clone());
        changers.spawn(async move {
            let mut sum = 0;
            while !done.load(SeqCst) {
                let amount = changer % 5 + 1;
                let change = match changer % 2 {
                    0 => Change::Increase(n(amount)),
                    _ => less(amount),
                };
                match clients.change(change, test()) {
                    Ok(changed) => sum += i64::from(changed.to.get()) - i64::from(changed.from.get()),
                    Err(error) => assert!(error.requested() < i64::from(error.active().max(1))),
                }
                let status = clients.status();
                assert!(
                    status.active <= status.limit.get() && status.over == 0,
                    "above the limit: {status:?}"
                );
                yield_now().await;
            }
            sum
        });
    }
    while let Some(ended) = comers.join_next().await {
        ended.expect("no comer panics");
    }
    done.store(true, SeqCst);
    let mut sum = 1000;
    while let Some(ended) = changers.join_next().await {
        sum += ended.expect("no changer panics");
    }
    assert_eq!(admitted.load(SeqCst), COMERS * VISITS);
    let status = clients.status();
    assert_eq!(i64::from(status.limit.get()), sum, "no change is lost");
    assert_eq!((status.active, status.unidentified, inside.load(SeqCst)), (0, 0, 0));
}

// Who is connected.

#[tokio::test]
async fn what_a_client_does_is_told() {
    let clients = clients(8);
    let stranger = guest(&clients, 1).await;
    let place = guest(&clients, 2).await.identify(Some("key".to_owned())).expect("nobody is cut");
    place.busy(&rowhouse_types::Target::Default);
    place.idle();
    let users: rowhouse_types::Target = rowhouse_types::Target::Named("users".parse().expect("a name"));
    place.busy(&users);
    let [first, second] = &clients.list()[..] else { panic!("two are connected") };
    assert_eq!((first.id, first.protocol, first.from), (stranger.id(), "test", from(1)));
    assert_eq!((first.identified, &first.who, first.requests), (false, &None, 0));
    assert!(matches!(first.doing, Doing::Idle(_)));
    assert_eq!((second.id, second.identified, second.who.as_deref()), (place.id(), true, Some("key")));
    assert_eq!((second.database.as_ref(), second.requests), (Some(&users), 2));
    assert!(matches!(second.doing, Doing::Busy(_)));
    place.idle();
    assert!(matches!(clients.list()[1].doing, Doing::Idle(_)));
}

#[tokio::test]
async fn an_operator_closes_a_connection_of_either_kind_and_that_is_recorded() {
    let journal = Journal::in_memory();
    let parts = ClientsParts {
        limit: n(8),
        handshake_limit: n(512),
        observer: Arc::new(Silent),
        journal: journal.clone(),
    };
    let clients = Clients::new(parts);
    let (stranger, place) = (guest(&clients, 1).await, place(&clients).await);
    assert!(clients.end(stranger.id(), test()) && clients.end(place.id(), test()));
    assert!(clients.end(place.id(), test()), "it has not left yet");
    assert!(must_leave(&stranger).await);
    assert!(poll!(pin!(place.ended())).is_ready());
    assert!(stranger.identify(None).is_none());
    drop(place);
    assert_eq!(clients.status().active, 0);
    assert!(!clients.end(1, test()) && !clients.end(99, test()));
    let entries = journal.entries(Query::default()).await.expect("entries");
    assert!(entries.iter().all(|recorded| recorded.entry.action == Action::CloseConnection));
    assert_eq!(entries.len(), 3);
}
