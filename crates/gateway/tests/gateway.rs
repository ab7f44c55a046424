//! The gateway over a fake engine.
use futures::StreamExt;
use futures::future::join_all;
use rowhouse_engine::{EngineError, Location, Options, SqlPolicy};
use rowhouse_gateway::{
    Catalog, Dynamic, Failing, Gateway, Journal, Limits, Parts, Principal, Session, Silent, Spec, TenantKind,
};
use rowhouse_testing::Fake;
use rowhouse_types::{ErrorCode, Reportable, Request, Target, ValueRef};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn named(name: &str) -> Target {
    Target::Named(name.parse().expect("valid"))
}

async fn gateway(fake: &Fake, most: u32, dynamic: Dynamic) -> Gateway {
    let statics = [
        Spec { target: Target::Default, location: Location("default".into()) },
        Spec { target: named("static"), location: Location("static".into()) },
    ];
    let parts = Parts {
        catalog: Catalog::new(statics, dynamic).expect("valid"),
        engine: Arc::new(fake.clone()),
        observer: Arc::new(Silent),
        limits: Limits {
            max_connections: NonZeroU32::new(most).expect("positive"),
            room_timeout: Duration::from_secs(2),
            ..Limits::default()
        },
        journal: Journal::in_memory(),
        metadata: None,
        migrator: None,
    };
    Gateway::start(parts).await.expect("starts")
}

async fn run(session: &mut Session, sql: &str) -> String {
    let options = Options {
        deadline: None,
        policy: SqlPolicy::Standard,
        foreign_keys: false,
        max_rows: None,
        max_bytes: None,
    };
    let chunk =
        session.run(Request::execute(sql), options).next().await.expect("one chunk").expect("no error");
    let row = chunk.rows.rows().next().expect("one row");
    let value = row.values().next().expect("one value");
    let ValueRef::Text(place) = value else { panic!("text") };
    place.to_owned()
}

async fn visit(gateway: &Gateway, target: &Target) -> Result<String, ErrorCode> {
    let mut session = gateway.connect(target, None).await.map_err(|error| error.code())?;
    Ok(run(&mut session, "SELECT").await)
}

#[tokio::test]
async fn a_hundred_first_callers_cause_one_creation_and_all_succeed() {
    let fake = Fake::default();
    let gateway = gateway(&fake, 5, Dynamic::Create).await;
    let target = named("new");
    let visits = (0..100).map(|_| visit(&gateway, &target));
    for outcome in join_all(visits).await {
        assert_eq!(outcome, Ok("new".into()));
    }
    let tally = fake.tally();
    assert_eq!((tally.created, tally.opened), (3, 3), "two configured ones and the new one");
    gateway.shut_down().await;
    assert_eq!(fake.tally().open, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_more_open_than_allowed_and_nobody_fails_under_churn() {
    const MOST: u32 = 4;
    let fake = Fake::default();
    let gateway = gateway(&fake, MOST, Dynamic::Create).await;
    let done = Arc::new(AtomicBool::new(false));
    let sampler = {
        let (gateway, done) = (gateway.clone(), done.clone());
        async move {
            while !done.load(Ordering::Relaxed) {
                assert!(gateway.counts().places <= MOST as usize);
                tokio::task::yield_now().await;
            }
        }
    };
    let clients = (0..16u64).map(|client| {
        let gateway = gateway.clone();
        async move {
            for step in 0..100u64 {
                let name = format!("db{}", (client * 31 + step * 17) % 13);
                assert_eq!(visit(&gateway, &named(&name)).await, Ok(name));
            }
        }
    });
    let load = async {
        join_all(clients).await;
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(sampler, load);
    assert!(fake.tally().most_open <= u64::from(MOST) + 2, "configured ones apart");
    assert!(gateway.counts().evicted > 100);
    gateway.shut_down().await;
    assert_eq!(fake.tally().open, 0);
}

#[tokio::test]
async fn configured_databases_are_neither_counted_nor_evicted() {
    let fake = Fake::default();
    let gateway = gateway(&fake, 1, Dynamic::Create).await;
    for n in 0..20 {
        visit(&gateway, &named(&format!("db{n}"))).await.expect("room");
        assert_eq!(visit(&gateway, &named("static")).await, Ok("static".into()));
        assert_eq!(visit(&gateway, &Target::Default).await, Ok("default".into()));
    }
    let status = gateway.status().await;
    assert_eq!(status.configured.len(), 2);
    assert_eq!(status.opened.counts.places, 1);
    assert_eq!(fake.tally().opened, 22, "each configured one once");
}

#[tokio::test(start_paused = true)]
async fn when_all_are_in_use_newcomers_wait_and_are_then_told_the_limit() {
    let fake = Fake::default();
    let gateway = gateway(&fake, 1, Dynamic::Create).await;
    let held = gateway.connect(&named("a"), None).await.expect("room");
    assert_eq!(visit(&gateway, &named("b")).await, Err(ErrorCode::DatabaseLimitReached));
    let (b, c) = (named("b"), named("c"));
    let both = async { tokio::join!(visit(&gateway, &b), visit(&gateway, &c)) };
    let release = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(held);
    };
    let (outcomes, ()) = tokio::join!(both, release);
    assert_eq!(outcomes, (Ok("b".into()), Ok("c".into())));
}

#[tokio::test]
async fn unknown_names_evict_nobody() {
    let fake = Fake::default();
    fake.put("a");
    let gateway = gateway(&fake, 1, Dynamic::Open).await;
    assert_eq!(visit(&gateway, &named("a")).await, Ok("a".into()));
    assert_eq!(visit(&gateway, &named("missing")).await, Err(ErrorCode::CreationNotAllowed));
    assert_eq!(gateway.counts().evicted, 0);
    assert_eq!(gateway.counts().open, 1);
}

#[tokio::test]
async fn a_failing_database_evicts_at_most_once_and_recovers_when_mended() {
    let fake = Fake::default();
    fake.put("a");
    fake.put("broken");
    fake.set_broken("broken", true);
    let gateway = gateway(&fake, 1, Dynamic::Open).await;
    for _ in 0..50 {
        assert_eq!(visit(&gateway, &named("a")).await, Ok("a".into()));
        assert_eq!(visit(&gateway, &named("broken")).await, Err(ErrorCode::DatabaseCorrupt));
    }
    assert!(gateway.counts().evicted <= 2, "remembered, not tried again each time");
    let failing = gateway.status().await.failing;
    assert_eq!(failing, [Failing { target: named("broken"), kind: TenantKind::Dynamic }]);
    fake.set_broken("broken", false);
    let mended = async {
        while visit(&gateway, &named("broken")).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), mended).await.expect("recovers without restart");
    assert!(gateway.status().await.failing.is_empty());
}

#[tokio::test]
async fn what_a_borrower_leaves_behind_is_undone_before_the_database_can_be_evicted() {
    let fake = Fake::default();
    let gateway = gateway(&fake, 1, Dynamic::Create).await;
    let mut session = gateway.connect(&named("a"), None).await.expect("room");
    run(&mut session, "BEGIN").await;
    drop(session);
    assert_eq!(visit(&gateway, &named("b")).await, Ok("b".into()));
    assert_eq!(fake.tally().reset, 1);
}

#[tokio::test]
async fn an_opening_lands_though_its_caller_left() {
    let fake = Fake::default();
    let gateway = gateway(&fake, 1, Dynamic::Create).await;
    fake.pause();
    let target = named("a");
    let left = tokio::time::timeout(Duration::from_millis(20), gateway.connect(&target, None)).await;
    assert!(left.is_err());
    fake.resume();
    assert_eq!(visit(&gateway, &target).await, Ok("a".into()));
    assert_eq!(fake.tally().opened, 3);
}

#[tokio::test]
async fn a_replaced_database_is_opened_anew_when_its_last_session_has_ended() {
    let fake = Fake::default();
    let gateway = gateway(&fake, 2, Dynamic::Create).await;
    let client = gateway.client();
    for target in [named("a"), named("static"), Target::Default] {
        let mut session = client.connect(&target, None).await.expect("room");
        run(&mut session, "SELECT").await;
        let mut holder = client.connect(&target, None).await.expect("room");
        run(&mut holder, "BEGIN").await;
        let opened = fake.tally().opened;
        fake.replace(&run(&mut holder, "SELECT").await);
        let options = Options {
            deadline: None,
            policy: SqlPolicy::Standard,
            foreign_keys: false,
            max_rows: None,
            max_bytes: None,
        };
        let refused = session.run(Request::execute("SELECT 1"), options).next().await.expect("one chunk");
        assert!(matches!(refused, Err(EngineError::Replaced)));
        let request = session.take_back().expect("nothing of it was done");
        let anew = async {
            let mut session = client.reconnect(session, None).await.expect("opened anew");
            run(&mut session, request.sql()).await
        };
        let (_, ()) = tokio::join!(anew, async {
            tokio::task::yield_now().await;
            assert_eq!(fake.tally().opened, opened, "not while a session is left");
            drop(holder);
        });
        assert_eq!(fake.tally().opened, opened + 1);
    }
    assert_eq!(gateway.counts().replaced, 1);
    gateway.shut_down().await;
    assert_eq!(fake.tally().open, 0);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_replaced_database_in_use_is_told_so_in_time() {
    let fake = Fake::default();
    let gateway = gateway(&fake, 2, Dynamic::Create).await;
    let client = gateway.client();
    for target in [named("a"), named("static")] {
        let session = client.connect(&target, None).await.expect("room");
        let holder = client.connect(&target, None).await.expect("room");
        fake.replace(&target.to_string());
        let refused = client.reconnect(session, None).await.expect_err("in use");
        assert_eq!(refused.code(), ErrorCode::DatabaseUnavailable);
        assert!(refused.public_message().contains("replaced"), "{}", refused.public_message());
        drop(holder);
        assert_eq!(visit(&gateway, &target).await, Ok(target.to_string()));
    }
}

#[tokio::test]
async fn a_database_removed_while_open_is_created_anew_or_not_found_by_the_rules() {
    for (dynamic, then) in
        [(Dynamic::Create, Ok("a".to_owned())), (Dynamic::Open, Err(ErrorCode::CreationNotAllowed))]
    {
        let fake = Fake::default();
        fake.put("a");
        let gateway = gateway(&fake, 2, dynamic).await;
        assert_eq!(visit(&gateway, &named("a")).await, Ok("a".into()));
        fake.remove("a");
        let client = gateway.client();
        let session = client.connect(&named("a"), None).await.expect("open");
        let again = client.reconnect(session, None).await;
        let again = match again {
            Ok(mut session) => Ok(run(&mut session, "SELECT").await),
            Err(error) => Err(error.code()),
        };
        assert_eq!(again, then);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_replaced_and_is_not_asked_for_is_closed_by_the_housekeeping() {
    let fake = Fake::default();
    let gateway = gateway(&fake, 2, Dynamic::Create).await;
    assert_eq!(visit(&gateway, &named("a")).await, Ok("a".into()));
    fake.remove("a");
    tokio::time::sleep(Limits::default().database.idle_timeout).await;
    assert_eq!(gateway.counts().places, 0);
}

#[tokio::test]
async fn one_client_that_cycles_through_many_names_leaves_the_others_theirs() {
    const MOST: u32 = 20;
    const VICTIMS: u64 = 3;
    const EACH: u64 = 5;
    let fake = Fake::default();
    (0..1_000).for_each(|n| fake.put(&format!("evil{n}")));
    let gateway = gateway(&fake, MOST, Dynamic::Create).await;
    let attacker = gateway.client();
    // It comes first, and has taken every place.
    for n in 0..100 {
        attacker.connect(&named(&format!("evil{n}")), None).await.expect("room");
    }
    let victims: Vec<_> = (0..VICTIMS).map(|_| gateway.client()).collect();
    let mut opened_by_victims = 0;
    let mut uses = 0;
    for step in 0..1_000 {
        attacker.connect(&named(&format!("evil{}", step % 1_000)), None).await.expect("room");
        let (victim, n) = (step % VICTIMS, step / VICTIMS % EACH);
        let before = fake.tally().opened;
        let name = format!("good{victim}-{n}");
        let of = usize::try_from(victim).expect("small");
        victims[of].connect(&named(&name), None).await.expect("room");
        opened_by_victims += fake.tally().opened - before;
        uses += 1;
    }
    assert_eq!(opened_by_victims, VICTIMS * EACH, "each once, out of {uses} uses");
}

/// Who connects a hundred times has one share, as who connects once.
#[tokio::test]
async fn a_flood_of_connections_has_one_principal_s_share() {
    const MOST: u32 = 20;
    const OWN: usize = 8;
    let fake = Fake::default();
    (0..1_000).for_each(|n| fake.put(&format!("evil{n}")));
    let gateway = gateway(&fake, MOST, Dynamic::Create).await;
    let principal = |last: u8| Principal::of(None, SocketAddr::from(([10, 0, 0, last], 1)));
    let flood: Vec<_> = (0..100).map(|_| gateway.client_of(principal(1))).collect();
    let modest = gateway.client_of(principal(2));
    for (n, attacker) in flood.iter().enumerate() {
        attacker.connect(&named(&format!("evil{n}")), None).await.expect("room");
    }
    let mut opened_by_modest = 0;
    for step in 0..500 {
        flood[step % 100].connect(&named(&format!("evil{step}")), None).await.expect("room");
        let before = fake.tally().opened;
        modest.connect(&named(&format!("good{}", step % OWN)), None).await.expect("room");
        opened_by_modest += fake.tally().opened - before;
    }
    assert_eq!(opened_by_modest, OWN as u64, "each once");
}

#[tokio::test(start_paused = true)]
async fn a_principal_creates_no_faster_for_all_its_connections_and_is_forgotten_with_the_last() {
    let fake = Fake::default();
    let gateway = gateway(&fake, 1_000, Dynamic::Create).await;
    let rate = u64::from(Limits::default().create_rate.get());
    let principal = || Principal::of(Some("key".to_owned()), SocketAddr::from(([127, 0, 0, 1], 1)));
    let started = tokio::time::Instant::now();
    let mut connections = Vec::new();
    for n in 0..=rate {
        let client = gateway.client_of(principal());
        client.connect(&named(&format!("a{n}")), None).await.expect("at its pace");
        connections.push(client);
    }
    assert!(Duration::ZERO < started.elapsed(), "the last one waits for its turn");
    drop(connections);
    let (anew, started) = (gateway.client_of(principal()), tokio::time::Instant::now());
    anew.connect(&named("b"), None).await.expect("room");
    assert_eq!(started.elapsed(), Duration::ZERO, "nothing is kept of who has left");
}

#[tokio::test(start_paused = true)]
async fn a_client_creates_no_faster_than_it_may_and_is_told_when_that_takes_too_long() {
    let fake = Fake::default();
    let gateway = gateway(&fake, 1_000, Dynamic::Create).await;
    let rate = u64::from(Limits::default().create_rate.get());
    let (greedy, modest) = (gateway.client(), gateway.client());
    let started = tokio::time::Instant::now();
    for n in 0..rate {
        greedy.connect(&named(&format!("a{n}")), None).await.expect("a second's worth goes at once");
    }
    assert_eq!(started.elapsed(), Duration::ZERO);
    greedy.connect(&named("one-more"), None).await.expect("waits for its turn");
    assert!(Duration::ZERO < started.elapsed());
    modest.connect(&named("b"), None).await.expect("another client is not held up");
    let names: Vec<_> = (0..10 * rate).map(|n| named(&format!("b{n}"))).collect();
    let outcomes = join_all(names.iter().map(|name| greedy.connect(name, None))).await;
    let refused: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!((7 * rate as usize..10 * rate as usize).contains(&refused.len()), "{}", refused.len());
    assert!(refused.iter().all(|error| error.code() == ErrorCode::CreationRateLimited));
    let hint = refused[0].hint().expect("says what to do");
    assert!(hint.contains("create_rate") && hint.contains(&rate.to_string()), "{hint}");
    greedy.connect(&named("a0"), None).await.expect("what exists is no creation");
}
