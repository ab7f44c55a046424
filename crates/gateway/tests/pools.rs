//! Pools of databases that take a server's connections, over a fake engine.
use futures::StreamExt;
use futures::future::join_all;
use rowhouse_engine::{Options, SqlPolicy};
use rowhouse_gateway::{
    AcquireError, Catalog, Cause, ConnectError, DatabaseLimits, Dynamic, Gateway, Interface, Journal, Limits,
    LimitsPatch, Parts, Patch, PoolSize, Session, Silent,
};
use rowhouse_testing::Fake;
use rowhouse_types::{ErrorCode, Reportable, Request, Target, ValueRef};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

struct House {
    fake: Fake,
    gateway: Gateway,
}

fn n(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).expect("positive")
}

/// Organizations on the server `pg`.
fn org(number: usize) -> Target {
    named(&format!("pg-org{number}"))
}

fn named(name: &str) -> Target {
    Target::Named(name.parse().expect("a name"))
}

fn limits() -> Limits {
    Limits { max_connections: n(1_000), ..Limits::default() }
}

fn pool(size: u32, overflow: u32) -> Limits {
    Limits { organizations: PoolSize { size: n(size), overflow }, ..limits() }
}

fn terms(change: impl FnOnce(&mut DatabaseLimits)) -> Limits {
    let mut limits = limits();
    change(&mut limits.database);
    limits
}

/// A server that can take so many connections.
async fn house(connections: u32, limits: Limits) -> House {
    let fake = Fake::default();
    fake.serve("pg", connections);
    let parts = Parts {
        catalog: Catalog::new([], Dynamic::Create).expect("a catalog"),
        engine: Arc::new(fake.clone()),
        observer: Arc::new(Silent),
        limits,
        journal: Journal::in_memory(),
        metadata: None,
        migrator: None,
    };
    House { fake, gateway: Gateway::start(parts).await.expect("starts") }
}

impl House {
    async fn session(&self, number: usize) -> Session {
        self.gateway.connect(&org(number), None).await.expect("a session")
    }

    async fn refused(&self, number: usize) -> ConnectError {
        self.gateway.connect(&org(number), None).await.expect_err("no session")
    }

    /// Connections the server has, and the most it has had at once.
    fn backends(&self) -> (u32, u32) {
        self.fake.backends("pg")
    }

    fn idle(&self) -> u32 {
        self.gateway.budgets()[0].idle
    }
}

/// Runs a statement, and tells where it ran.
async fn place(session: &mut Session, sql: &str) -> String {
    let options = Options {
        deadline: None,
        policy: SqlPolicy::Standard,
        foreign_keys: true,
        max_rows: None,
        max_bytes: None,
    };
    let chunk = session.run(Request::execute(sql), options).next().await.expect("a chunk").expect("a result");
    let row = chunk.rows.rows().next().expect("a row");
    let Some(ValueRef::Text(place)) = row.values().next() else { panic!("a text") };
    place.to_owned()
}

/// Lets what was begun in the background go on until nothing is left to do but wait.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

// --- one pool

#[tokio::test(start_paused = true)]
async fn an_organization_has_five_connections_and_ten_more_while_they_are_used_and_the_sixteenth_waits() {
    let house = house(100, terms(|limits| limits.acquire_timeout = Duration::from_secs(3))).await;
    let mut sessions = join_all((0..15).map(|_| house.session(1))).await;
    assert_eq!(house.backends(), (15, 15));
    let started = Instant::now();
    let refused = house.refused(1).await;
    assert_eq!(refused.code(), ErrorCode::ConnectionLimitReached);
    assert_eq!(started.elapsed(), Duration::from_secs(3));
    assert!(refused.hint().expect("a hint").contains("15 connections"), "{refused:?}");
    let (sixteenth, ()) = tokio::join!(house.session(1), async { drop(sessions.pop()) });
    drop((sixteenth, sessions));
    settle().await;
    assert_eq!((house.backends(), house.idle()), ((15, 15), 15));
    sleep(Duration::from_secs(60)).await;
    assert_eq!((house.backends().0, house.idle()), (5, 5), "those beyond pool_size are closed when unused");
    sleep(Duration::from_secs(600)).await;
    assert_eq!(house.backends().0, 5);
}

#[tokio::test(start_paused = true)]
async fn what_is_older_than_its_lifetime_is_closed_used_or_not() {
    let house = house(100, terms(|limits| limits.max_lifetime = Duration::from_secs(600))).await;
    let sessions = join_all((0..2).map(|_| house.session(1))).await;
    sleep(Duration::from_secs(700)).await;
    assert_eq!(house.backends().0, 2, "what is lent is not closed");
    drop(sessions);
    settle().await;
    assert_eq!(house.backends().0, 0);
    drop(house.session(1).await);
    sleep(Duration::from_secs(500)).await;
    assert_eq!(house.backends().0, 1);
    sleep(Duration::from_secs(130)).await;
    assert_eq!(house.backends().0, 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_answers_no_longer_is_replaced_before_it_is_lent() {
    let house = house(100, limits()).await;
    drop(house.session(1).await);
    house.fake.set_silent("pg-org1", true);
    drop(house.session(1).await);
    assert_eq!(house.fake.tally().connected, 1, "it was used a moment ago");
    sleep(Duration::from_secs(2)).await;
    drop(house.session(1).await);
    assert_eq!((house.fake.tally().connected, house.backends()), (2, (1, 1)));
    sleep(Duration::from_secs(2)).await;
    let patch = LimitsPatch { pre_ping: Patch::Set(false), ..LimitsPatch::default() };
    house.gateway.set_limits(&org(1), &patch, false, &cause()).await.expect("changes");
    drop(house.session(1).await);
    assert_eq!(house.fake.tally().connected, 2, "nobody asks whether it answers");
}

#[tokio::test(start_paused = true)]
async fn one_who_leaves_while_it_is_connected_for_him_leaves_the_connection_to_the_next() {
    let house = house(100, limits()).await;
    drop(house.session(1).await);
    let held = house.session(1).await;
    house.fake.pause();
    let target = org(1);
    tokio::select! {
        biased;
        _ = house.gateway.connect(&target, None) => panic!("connecting takes a while"),
        () = settle() => {}
    }
    house.fake.resume();
    settle().await;
    assert_eq!((house.backends(), house.idle()), ((2, 2), 1));
    let _next = house.session(1).await;
    assert_eq!(house.fake.tally().connected, 2);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_failure_to_connect_frees_its_room() {
    let house = house(1, limits()).await;
    drop(house.session(1).await);
    house.fake.set_refusing("pg", true);
    let refused = house.refused(2).await;
    assert!(matches!(refused, ConnectError::Acquire(AcquireError::Connect(_))), "{refused:?}");
    house.fake.set_refusing("pg", false);
    drop(house.session(2).await);
    assert_eq!(house.backends(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_evicted_database_has_no_connection_left() {
    let house = house(100, limits()).await;
    drop(join_all((0..3).map(|_| house.session(1))).await);
    settle().await;
    house.gateway.evict(&org(1), &cause()).await.expect("nobody uses it");
    assert_eq!(house.backends().0, 0);
    assert_eq!(house.gateway.budgets()[0].open, 0);
}

// --- one budget

#[tokio::test(start_paused = true)]
async fn an_unused_connection_of_whoever_used_none_for_longest_is_closed_before_anybody_waits() {
    let house = house(3, limits()).await;
    for number in [1, 2, 3] {
        drop(house.session(number).await);
        sleep(Duration::from_millis(10)).await;
    }
    drop(house.session(1).await);
    let started = Instant::now();
    let _fourth = house.session(4).await;
    assert_eq!(started.elapsed(), Duration::ZERO);
    let status = house.gateway.status().await;
    let reclaimed = |number| {
        let mut open = status.opened.open.iter();
        let one = open.find(|one| one.spec.target == org(number)).expect("open");
        one.backends.as_ref().expect("it takes a server's").reclaimed
    };
    assert_eq!([1, 2, 3].map(reclaimed), [0, 1, 0]);
    assert_eq!(house.backends(), (3, 3));
    assert_eq!(status.budgets[0].reclaimed, 1);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_server_in_vain_is_told_its_limit_and_nothing_of_others() {
    let house = house(2, terms(|limits| limits.acquire_timeout = Duration::from_secs(1))).await;
    let _busy = join_all([1, 2].map(|number| house.session(number))).await;
    let refused = house.refused(3).await;
    assert_eq!(refused.code(), ErrorCode::ServerConnectionLimitReached);
    let said = format!("{} {}", refused.public_message(), refused.hint().expect("a hint"));
    assert!(said.contains("within 1000 ms") && said.contains("the 2 connections"), "{said}");
    assert!(said.contains("server_connections") && !said.contains("org") && !said.contains("pg"), "{said}");
    assert_eq!(house.gateway.budgets()[0].waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn the_budget_is_what_the_server_says_unless_it_is_set_and_changes_while_it_runs() {
    let house = house(3, limits()).await;
    let budget = || house.gateway.budgets()[0].budget;
    let held = house.session(1).await;
    assert_eq!(budget(), Some(n(3)));
    let lower = Limits { server_connections: Some(n(1)), ..limits() };
    house.gateway.set_defaults(lower).expect("changes");
    assert_eq!(budget(), Some(n(1)));
    let two = org(2);
    let waiting = house.gateway.connect(&two, None);
    tokio::pin!(waiting);
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("there is no room"),
        () = settle() => {}
    }
    house.gateway.set_defaults(limits()).expect("changes");
    waiting.await.expect("there is room");
    drop(held);
    house.fake.serve("pg", 7);
    sleep(Duration::from_secs(120)).await;
    assert_eq!(budget(), Some(n(7)), "the server is asked again now and then");
}

#[tokio::test(start_paused = true)]
async fn sizes_of_pools_change_while_it_runs_for_all_and_for_one() {
    let house = house(100, pool(1, 0)).await;
    let one = house.session(1).await;
    let target = org(1);
    let waiting = house.gateway.connect(&target, None);
    tokio::pin!(waiting);
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("there is one connection"),
        () = settle() => {}
    }
    house.gateway.set_defaults(pool(1, 1)).expect("changes");
    let two = waiting.await.expect("there are two");
    let patch = LimitsPatch { sessions: Patch::Set(n(2)), overflow: Patch::Set(3), ..LimitsPatch::default() };
    house.gateway.set_limits(&org(1), &patch, false, &cause()).await.expect("changes");
    let _more = join_all((0..3).map(|_| house.session(1))).await;
    let report = house.gateway.inspect(&org(1)).await.expect("it is there");
    assert_eq!((report.limits.sessions, report.limits.overflow), (n(2), 3));
    let refused = house.gateway.change_sessions(&org(1), change_to(1), &cause()).await;
    assert_eq!(refused.expect_err("five are at work").code(), ErrorCode::LimitRefused);
    let other = house.gateway.pool_limits_of(&org(2));
    assert_eq!((other.sessions, other.overflow), (n(1), 1), "closed ones are known to be on a server");
    drop((one, two));
}

fn change_to(limit: u32) -> rowhouse_gateway::Change {
    rowhouse_gateway::Change::Set { limit: n(limit), drain: false }
}

fn cause() -> Cause {
    Cause::new(Interface::Library, "a test")
}

/// 200 organizations, 400 clients that ask again and again, 40 connections: never more than 40, everybody is
/// served, each gets its own database's answer, and nobody waits for more than a few turns of the others.
#[tokio::test(start_paused = true)]
async fn two_hundred_organizations_share_forty_connections_fairly() {
    const ROUNDS: usize = 5;
    let house = house(40, limits()).await;
    let longest = Arc::new(Mutex::new(BTreeMap::new()));
    let clients = (0..400).map(|client| {
        let (gateway, longest) = (house.gateway.clone(), longest.clone());
        async move {
            let number = client % 200;
            for _ in 0..ROUNDS {
                let asked = Instant::now();
                let mut session = gateway.connect(&org(number), None).await.expect("a session");
                let waited = asked.elapsed();
                assert_eq!(place(&mut session, "SELECT").await, format!("pg/org{number}"));
                sleep(Duration::from_millis(10)).await;
                drop(session);
                let mut longest = longest.lock().expect("no panic");
                let entry = longest.entry(number).or_insert(Duration::ZERO);
                *entry = waited.max(*entry);
            }
        }
    });
    join_all(clients).await;
    assert!(house.backends().1 <= 40, "{:?}", house.backends());
    let longest = longest.lock().expect("no panic");
    assert_eq!(longest.len(), 200);
    // Five organizations to a connection, of which each goes on for 10 ms and until its session of 10 ends.
    let most = *longest.values().max().expect("some");
    assert!(most <= 2 * Duration::from_millis(5 * (10 + 10)), "{most:?}");
    assert_eq!(house.gateway.budgets()[0].waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn databases_of_their_own_are_bound_by_no_server() {
    let house = house(1, limits()).await;
    let _served = house.session(1).await;
    let own = named("plain");
    let _many = join_all((0..50).map(|_| house.gateway.connect(&own, None))).await;
    let report = house.gateway.inspect(&own).await.expect("it is there");
    assert_eq!((report.limits.sessions, report.limits.overflow), (n(100), 0));
    assert!(report.open.expect("open").status.backends.is_none());
}
