//! Administration of databases over a fake engine, while they are used.
use futures::future::join_all;
use futures::{FutureExt, StreamExt};
use rowhouse_engine::{EngineError, Location, Options, SqlPolicy};
use rowhouse_gateway::{
    Action, AdminError, Catalog, Cause, Change, ConnectError, DatabaseLimits, Dynamic, Event, Gateway,
    Interface, Journal, Limits, LimitsPatch, Observer, Parts, Patch, Query, Removal, Session, Spec,
};
use rowhouse_testing::Fake;
use rowhouse_types::{DatabaseName, ErrorCode, Reportable, Request, Target};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::Instant;

struct House {
    fake: Fake,
    gateway: Gateway,
    journal: Journal,
    heard: Arc<Heard>,
}

/// What observers were told.
#[derive(Debug, Default)]
struct Heard {
    dropped: AtomicU32,
}

impl Observer for Heard {
    fn observe(&self, event: &Event<'_>) {
        if let Event::DatabaseDropped { .. } = event {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn name(name: &str) -> DatabaseName {
    name.parse().expect("valid")
}

fn named(text: &str) -> Target {
    Target::Named(name(text))
}

fn n(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).expect("positive")
}

fn cause() -> Cause {
    Cause::new(Interface::Library, "a test")
}

fn limits() -> Limits {
    Limits { max_connections: n(4), ..Limits::default() }
}

fn idle(idle_timeout: Duration) -> Limits {
    Limits { database: DatabaseLimits { idle_timeout, ..limits().database }, ..limits() }
}

async fn start(fake: &Fake, journal: &Journal, (limits, heard): (Limits, Arc<Heard>)) -> Gateway {
    let configured = [
        Spec { target: Target::Default, location: Location("default".into()) },
        Spec { target: named("configured"), location: Location("configured".into()) },
    ];
    let parts = Parts {
        catalog: Catalog::new(configured, Dynamic::Create).expect("valid"),
        engine: Arc::new(fake.clone()),
        observer: heard,
        limits,
        journal: journal.clone(),
        metadata: None,
        migrator: None,
    };
    Gateway::start(parts).await.expect("starts")
}

async fn house(limits: Limits) -> House {
    let (fake, journal) = (Fake::default(), Journal::in_memory());
    let heard = Arc::<Heard>::default();
    let gateway = start(&fake, &journal, (limits, heard.clone())).await;
    House { fake, gateway, journal, heard }
}

async fn run(session: &mut Session, sql: &str) {
    let options = Options {
        deadline: None,
        policy: SqlPolicy::Standard,
        foreign_keys: false,
        max_rows: None,
        max_bytes: None,
    };
    session.run(Request::execute(sql), options).next().await.expect("one chunk").expect("no error");
}

impl House {
    async fn session(&self, target: &Target) -> Session {
        self.gateway.connect(target, None).await.expect("connects")
    }

    async fn refused(&self, target: &Target) -> ConnectError {
        self.gateway.connect(target, None).await.map(drop).expect_err("refused")
    }

    async fn set(&self, target: &Target, patch: LimitsPatch) -> Result<(), AdminError> {
        self.gateway.set_limits(target, &patch, false, &cause()).await.map(drop)
    }

    async fn recorded(&self, action: Action) -> Vec<(Option<String>, Option<String>, Result<(), String>)> {
        let query = Query { action: Some(action), ..Query::default() };
        let entries = self.journal.entries(query).await.expect("reads");
        entries.into_iter().rev().map(|it| (it.entry.from, it.entry.to, it.entry.result)).collect()
    }
}

// --- limits

#[tokio::test(start_paused = true)]
async fn a_limit_of_sessions_holds_for_the_next_session_and_cuts_nobody_off() {
    let house = house(limits()).await;
    let target = named("a");
    let held = join_all((0..3).map(|_| house.session(&target))).await;
    let refused = house.set(&target, LimitsPatch::sessions(n(2))).await.expect_err("three are active");
    assert_eq!(refused.to_string(), "cannot set limit to 2 when 3 connections are active");
    assert_eq!(house.gateway.limits_of(&target).sessions, n(100), "nothing has changed");
    house.gateway.set_limits(&target, &LimitsPatch::sessions(n(2)), true, &cause()).await.expect("drains");
    let full = house.refused(&target).await;
    assert_eq!(full.code(), ErrorCode::ConnectionLimitReached);
    assert!(full.hint().is_some_and(|hint| hint.starts_with("2 connections")), "{:?}", full.hint());
    let report = house.gateway.inspect(&target).await.expect("there");
    let open = report.open.expect("open").status;
    assert_eq!((open.active, open.sessions, open.counts.refused), (3, n(2), 1));
    drop(held);
    let _two = join_all((0..2).map(|_| house.session(&target))).await;
    let third = house.gateway.connect(&target, None).now_or_never();
    assert!(third.is_none(), "{third:?}");
}

#[tokio::test(start_paused = true)]
async fn a_raised_limit_of_sessions_lets_in_who_waits() {
    let house = house(limits()).await;
    let target = named("a");
    let _first = house.session(&target).await;
    house.set(&target, LimitsPatch::sessions(n(1))).await.expect("one is active");
    let mut waiting = Box::pin(house.gateway.connect(&target, None));
    assert!((&mut waiting).now_or_never().is_none());
    let change = Change::Increase(n(1));
    let changed = house.gateway.change_sessions(&target, change, &cause()).await.expect("changes");
    assert_eq!((changed.from, changed.to, changed.active), (n(1), n(2), 1));
    assert!(waiting.now_or_never().expect("at once").is_ok());
}

#[tokio::test]
async fn of_concurrent_changes_none_is_lost_and_each_is_recorded() {
    let house = house(limits()).await;
    let target = Target::Default;
    let change = |change| house.gateway.change_sessions(&target, change, &CAUSE);
    static CAUSE: std::sync::LazyLock<Cause> = std::sync::LazyLock::new(cause);
    let changes = (0..64).map(|_| change(Change::Increase(NonZeroU32::MIN)));
    assert!(join_all(changes).await.iter().all(Result::is_ok));
    assert_eq!(house.gateway.limits_of(&target).sessions, n(164));
    let decrease = Change::Decrease { amount: n(200), drain: false };
    let refused = change(decrease).await.expect_err("below zero");
    assert_eq!(refused.to_string(), "cannot decrease limit to -36 when 0 connections are active");
    let recorded = house.recorded(Action::DatabaseLimit).await;
    assert_eq!(recorded.len(), 65);
    let (from, to, result) = &recorded[63];
    assert_eq!((from.as_deref(), to.as_deref()), (Some("pool_size=163"), Some("pool_size=164")));
    assert_eq!(*result, Ok(()));
    assert!(recorded[64].2.as_ref().is_err_and(|why| why.starts_with("limit_refused: cannot decrease")));
}

#[tokio::test(start_paused = true)]
async fn requests_beyond_the_rate_wait_for_their_turn_and_then_are_refused() {
    let house = house(Limits {
        database: DatabaseLimits { acquire_timeout: Duration::from_secs(1), ..limits().database },
        ..limits()
    })
    .await;
    let (target, other) = (named("a"), named("b"));
    house.fake.put("a");
    let rate = LimitsPatch { requests_per_second: Patch::Set(Some(n(10))), ..LimitsPatch::default() };
    house.set(&target, rate).await.expect("changes");
    let started = Instant::now();
    let outcomes = join_all((0..30).map(|_| house.gateway.connect(&target, None))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 20, "ten at once, ten in a second");
    assert!(started.elapsed() <= Duration::from_millis(1_010), "{:?}", started.elapsed());
    let refused = outcomes.into_iter().find_map(Result::err).expect("ten");
    assert_eq!((refused.code(), refused.is_retryable()), (ErrorCode::RateLimited, true));
    let hint = refused.hint().expect("a hint");
    assert_eq!(hint, "try again in 1100 ms, or ask the operator to raise requests_per_second (now 10)");
    let counts = house.gateway.inspect(&target).await.expect("there").counts;
    assert_eq!((counts.rate_limited, counts.refused), (10, 10));
    // Nobody else waits for it, and without the limit nobody does.
    let started = Instant::now();
    join_all((0..30).map(|_| house.session(&other))).await;
    let none = LimitsPatch { requests_per_second: Patch::Default, ..LimitsPatch::default() };
    house.set(&target, none).await.expect("changes");
    join_all((0..30).map(|_| house.session(&target))).await;
    assert!(started.elapsed() < Duration::from_millis(1), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_held_session_keeps_to_the_rate_too() {
    let house = house(limits()).await;
    let target = named("a");
    let session = house.session(&target).await;
    let rate = LimitsPatch { requests_per_second: Patch::Set(Some(n(2))), ..LimitsPatch::default() };
    house.set(&target, rate).await.expect("changes");
    let started = Instant::now();
    for _ in 0..6 {
        house.gateway.once_more(&session, None).await.expect("in turn");
    }
    assert!(Duration::from_secs(2) <= started.elapsed(), "{:?}", started.elapsed());
}

#[tokio::test]
async fn limits_are_the_name_s_over_evictions_and_restarts() {
    let house = house(limits()).await;
    let target = named("a");
    drop(house.session(&target).await);
    let patch = LimitsPatch {
        sessions: Patch::Set(n(3)),
        max_database_bytes: Patch::Set(Some(1 << 20)),
        statement_timeout: Patch::Set(Duration::from_secs(2)),
        ..LimitsPatch::default()
    };
    house.set(&target, patch).await.expect("changes");
    assert_eq!(house.fake.bound_of("a"), Some(1 << 20), "at once");
    let expected = DatabaseLimits {
        sessions: n(3),
        max_database_bytes: Some(1 << 20),
        statement_timeout: Duration::from_secs(2),
        ..DatabaseLimits::default()
    };
    house.gateway.evict(&target, &cause()).await.expect("idle");
    assert_eq!(house.gateway.limits_of(&target), expected);
    house.gateway.shut_down().await;
    let gateway = start(&house.fake, &house.journal, (limits(), house.heard.clone())).await;
    assert_eq!(gateway.limits_of(&target), expected);
    let _session = gateway.connect(&target, None).await.expect("connects");
    assert_eq!(house.fake.bound_of("a"), Some(1 << 20));
    let status = gateway.inspect(&target).await.expect("there").open.expect("open").status;
    assert_eq!(status.sessions, n(3));
}

#[tokio::test]
async fn defaults_hold_for_all_without_limits_of_their_own_open_ones_included() {
    let house = house(limits()).await;
    let (own, other) = (named("own"), named("other"));
    let _open = (house.session(&own).await, house.session(&other).await);
    let patch = LimitsPatch { max_database_bytes: Patch::Set(None), ..LimitsPatch::default() };
    house.set(&own, patch).await.expect("changes");
    let database =
        DatabaseLimits { queue: 7, max_database_bytes: Some(1 << 21), ..DatabaseLimits::default() };
    house.gateway.set_defaults(Limits { database, ..limits() }).expect("changes");
    assert_eq!((house.fake.bound_of("own"), house.fake.bound_of("other")), (None, Some(1 << 21)));
    assert_eq!(house.fake.bound_of("default"), Some(1 << 21));
    assert_eq!(house.gateway.limits_of(&own), DatabaseLimits { max_database_bytes: None, ..database });
    let zero = DatabaseLimits { statement_timeout: Duration::ZERO, ..database };
    assert!(house.gateway.set_defaults(Limits { database: zero, ..limits() }).is_err());
    assert_eq!(house.gateway.limits_of(&other), database, "nothing has changed");
}

#[tokio::test]
async fn what_is_no_limit_or_no_database_is_refused_and_recorded() {
    let house = house(limits()).await;
    let patch = LimitsPatch { max_database_bytes: Patch::Set(Some(1)), ..LimitsPatch::default() };
    let refused = house.set(&Target::Default, patch).await.expect_err("too little");
    assert_eq!(refused.to_string(), "max_database_bytes must be 64KiB or more");
    assert!(matches!(
        house.set(&named("nobody"), LimitsPatch::sessions(n(1))).await,
        Err(AdminError::NotFound)
    ));
    let recorded = house.recorded(Action::DatabaseLimit).await;
    assert!(recorded.iter().all(|(_, _, result)| result.is_err()), "{recorded:?}");
    assert_eq!(recorded.len(), 2);
    assert_eq!(recorded[0].1.as_deref(), Some("max_database_bytes=1"));
}

#[tokio::test]
async fn fewer_places_close_the_idle_ones_used_longest_ago_and_never_those_in_use() {
    let house = house(limits()).await;
    let held = house.session(&named("held")).await;
    for name in ["a", "b", "c"] {
        drop(house.session(&named(name)).await);
    }
    house.gateway.set_max_connections(n(2));
    while 2 < house.gateway.counts().places {
        tokio::task::yield_now().await;
    }
    let open: Vec<_> =
        house.gateway.status().await.opened.open.iter().map(|open| open.spec.target.to_string()).collect();
    assert_eq!(open, ["c", "held"]);
    assert_eq!(house.gateway.counts().limit, 2);
    // Somebody who wants in gets the idle one's place, and nobody takes the one in use.
    drop(house.session(&named("d")).await);
    house.gateway.set_max_connections(n(1));
    while 1 < house.gateway.counts().places {
        tokio::task::yield_now().await;
    }
    assert_eq!(house.fake.tally().most_open, 4 + 2, "with the configured ones");
    drop(held);
    house.gateway.set_max_connections(n(3));
    join_all(["x", "y", "z"].map(|name| {
        let (house, target) = (&house, named(name));
        async move { drop(house.session(&target).await) }
    }))
    .await;
    assert_eq!(house.gateway.counts().places, 3);
}

#[tokio::test(start_paused = true)]
async fn a_database_full_of_sessions_and_waiters_does_not_hold_up_another() {
    let database = DatabaseLimits { sessions: n(2), queue: 50, ..DatabaseLimits::default() };
    let house = house(Limits { database, ..limits() }).await;
    let (noisy, quiet) = (named("noisy"), named("quiet"));
    let _held = join_all((0..2).map(|_| house.session(&noisy))).await;
    let mut waiting: Vec<_> = (0..50).map(|_| Box::pin(house.gateway.connect(&noisy, None))).collect();
    for waiter in &mut waiting {
        assert!(waiter.now_or_never().is_none());
    }
    assert_eq!(house.refused(&noisy).await.code(), ErrorCode::QueueFull);
    let started = Instant::now();
    for _ in 0..1_000 {
        let mut session = house.session(&quiet).await;
        run(&mut session, "SELECT").await;
    }
    assert_eq!(started.elapsed(), Duration::ZERO, "nothing was waited for");
}

#[tokio::test(start_paused = true)]
async fn a_shorter_idle_timeout_holds_soon_however_long_the_former_was() {
    let house = house(idle(Duration::from_secs(24 * 3600))).await;
    let target = Target::Default;
    drop(join_all((0..2).map(|_| house.session(&target))).await);
    tokio::task::yield_now().await;
    let short = idle(Duration::from_millis(1));
    house.gateway.set_defaults(short).expect("changes");
    // How long something was idle is a matter of the system's clock.
    let idle = std::time::Instant::now();
    while idle.elapsed() < Duration::from_millis(2) {}
    tokio::time::sleep(Duration::from_secs(60)).await;
    let _two = join_all((0..2).map(|_| house.session(&target))).await;
    assert_eq!(house.fake.tally().connected, 3, "one of the two was closed");
}

// --- pause and resume

#[tokio::test(start_paused = true)]
async fn a_pause_returns_when_what_runs_has_ended_and_holds_newcomers_until_resumed() {
    let house = house(limits()).await;
    let target = named("a");
    let mut held = house.session(&target).await;
    run(&mut held, "BEGIN").await;
    let by = cause();
    let mut pausing = Box::pin(house.gateway.pause(&target, Duration::from_secs(60), &by));
    assert!((&mut pausing).now_or_never().is_none(), "a transaction is open");
    house.gateway.once_more(&held, None).await.expect("what was begun goes on");
    let mut newcomer = Box::pin(house.gateway.connect(&target, None));
    assert!((&mut newcomer).now_or_never().is_none());
    drop(held);
    pausing.await.expect("paused");
    assert!((&mut newcomer).now_or_never().is_none());
    let report = house.gateway.inspect(&target).await.expect("there");
    assert_eq!((report.paused, report.waiting), (true, 1));
    // Who waits holds no place: others may have it.
    house.gateway.evict(&target, &by).await.expect("nobody uses it");
    assert!(house.gateway.resume(&target, &by));
    drop(newcomer.await.expect("resumed"));
    assert!(!house.gateway.resume(&target, &by));
    assert!(!house.gateway.inspect(&target).await.expect("there").paused);
}

#[tokio::test(start_paused = true)]
async fn who_waits_at_a_paused_database_is_told_so_in_time() {
    let database = DatabaseLimits { queue: 3, ..DatabaseLimits::default() };
    let house = house(Limits { database, ..limits() }).await;
    house.gateway.pause(&Target::Default, Duration::ZERO, &cause()).await.expect("idle");
    let outcomes = join_all((0..5).map(|_| house.refused(&Target::Default))).await;
    let codes: Vec<_> = outcomes.iter().map(Reportable::code).collect();
    use ErrorCode::{DatabasePaused, QueueFull};
    assert_eq!(codes, [DatabasePaused, DatabasePaused, DatabasePaused, QueueFull, QueueFull]);
    assert_eq!(outcomes[0].public_message(), "the database is paused, and was not resumed within 10000 ms");
    drop(house.session(&named("another")).await);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_cannot_be_had_in_time_changes_nothing() {
    let house = house(limits()).await;
    let target = named("a");
    let held = house.session(&target).await;
    let patience = Duration::from_secs(3);
    let refused = house.gateway.pause(&target, patience, &cause()).await.expect_err("in use");
    assert_eq!(refused.to_string(), "the database was in use by 1 sessions still, after 3 s");
    drop(house.session(&target).await);
    drop(held);
    let recorded = house.recorded(Action::Pause).await;
    assert!(recorded[0].2.as_ref().is_err_and(|why| why.starts_with("database_busy")), "{recorded:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_somebody_resumed_meanwhile_is_told_and_recorded_so() {
    let house = house(limits()).await;
    let (target, by) = (named("a"), cause());
    let held = house.session(&target).await;
    let mut pausing = Box::pin(house.gateway.pause(&target, Duration::from_secs(60), &by));
    assert!((&mut pausing).now_or_never().is_none());
    assert!(house.gateway.resume(&target, &by));
    drop(held);
    let refused = pausing.await.expect_err("it is not paused");
    assert_eq!(refused.to_string(), "the database was resumed meanwhile");
    drop(house.session(&target).await);
    assert_eq!(house.recorded(Action::Resume).await, [(None, None, Ok(()))]);
    let recorded = house.recorded(Action::Pause).await;
    assert!(recorded.iter().all(|(_, _, result)| result.is_err()), "{recorded:?}");
}

// --- create, drop, evict, checkpoint

#[tokio::test]
async fn a_database_is_created_once_and_opened_by_nobody_for_it() {
    let house = house(limits()).await;
    house.gateway.create(&name("a"), &cause()).await.expect("creates");
    assert!(matches!(house.gateway.create(&name("a"), &cause()).await, Err(AdminError::Exists)));
    let configured = house.gateway.create(&name("configured"), &cause()).await.expect_err("configured");
    assert_eq!(configured.code(), ErrorCode::DatabaseConfigured);
    assert_eq!(house.fake.tally().open, 2, "the configured ones");
    let report = house.gateway.inspect(&named("a")).await.expect("there");
    assert!(report.open.is_none());
    let results: Vec<_> =
        house.recorded(Action::CreateDatabase).await.into_iter().map(|(.., result)| result.is_ok()).collect();
    assert_eq!(results, [true, false, false]);
}

#[tokio::test]
async fn a_drop_takes_the_database_its_limits_and_its_counts_and_nothing_is_left_for_the_next() {
    let house = house(limits()).await;
    let target = named("a");
    let mut session = house.session(&target).await;
    run(&mut session, "SELECT").await;
    house.gateway.note(&session, Err(&EngineError::TimedOut));
    drop(session);
    house.set(&target, LimitsPatch::sessions(n(1))).await.expect("changes");
    house.gateway.pause(&target, Duration::ZERO, &cause()).await.expect("idle");
    house.gateway.drop_database(&name("a"), Removal::default(), &cause()).await.expect("drops");
    assert!(matches!(house.gateway.inspect(&target).await, Err(AdminError::NotFound)));
    house.gateway.create(&name("a"), &cause()).await.expect("creates");
    let report = house.gateway.inspect(&target).await.expect("there");
    assert!(report.own.is_empty() && !report.paused);
    assert_eq!(report.counts, rowhouse_gateway::Counts::default());
    assert!(house.journal.kept().await.expect("reads").is_empty());
    let twice = house.gateway.drop_database(&name("nobody"), Removal::default(), &cause()).await;
    assert!(matches!(twice, Err(AdminError::NotFound)));
    let configured = house.gateway.drop_database(&name("configured"), Removal::default(), &cause()).await;
    assert!(matches!(configured, Err(AdminError::Configured { verb: "dropped" })));
    // The place of the default database, by the name that it would have.
    let default = house.gateway.drop_database(&name("default"), Removal::default(), &cause()).await;
    assert!(matches!(default, Err(AdminError::Configured { verb: "dropped" })));
}

#[tokio::test]
async fn limits_set_while_it_is_dropped_are_gone_with_it() {
    let house = house(limits()).await;
    let (target, by, name) = (named("a"), cause(), name("a"));
    house.fake.put("a");
    let patch = LimitsPatch::sessions(n(1));
    let found = house.fake.delay_next_look();
    let mut setting = Box::pin(house.gateway.set_limits(&target, &patch, false, &by));
    assert!((&mut setting).now_or_never().is_none(), "it looks whether the database is there");
    let mut dropping = Box::pin(house.gateway.drop_database(&name, Removal::default(), &by));
    for _ in 0..50 {
        assert!((&mut dropping).now_or_never().is_none_or(|dropped| dropped.is_ok()));
        if matches!(house.gateway.inspect(&target).await, Err(AdminError::NotFound)) {
            break;
        }
        tokio::task::yield_now().await;
    }
    drop(found);
    setting.await.expect("it was there");
    while house.gateway.create(&name, &by).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert!(house.gateway.own_limits(&target).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_drop_waits_for_sessions_and_gives_up_or_ends_them_as_it_is_told() {
    let house = house(limits()).await;
    let target = named("a");
    let mut held = house.session(&target).await;
    run(&mut held, "BEGIN").await;
    let removal = Removal { patience: Duration::from_secs(1), force: false };
    let refused = house.gateway.drop_database(&name("a"), removal, &cause()).await.expect_err("in use");
    assert!(matches!(refused, AdminError::StillInUse { sessions: 1, .. }), "{refused:?}");
    assert!(!held.is_ended());
    drop(house.session(&target).await);
    let forced = Removal { force: true, ..removal };
    let by = cause();
    let name = name("a");
    let dropping = house.gateway.drop_database(&name, forced, &by);
    let ending = async {
        held.ended().await;
        assert_eq!(house.gateway.once_more(&held, None).await.unwrap_err().code(), ErrorCode::SessionEnded);
        drop(held);
    };
    let (dropped, ()) = tokio::join!(dropping, ending);
    dropped.expect("drops");
    assert_eq!(house.fake.tally().open, 2, "the configured ones");
}

#[tokio::test(start_paused = true)]
async fn a_database_that_could_not_be_dropped_serves_on() {
    let house = house(limits()).await;
    let target = named("a");
    let _held = house.session(&target).await;
    let forced = Removal { patience: Duration::from_secs(1), force: true };
    let refused = house.gateway.drop_database(&name("a"), forced, &cause()).await.expect_err("one holds on");
    assert!(matches!(refused, AdminError::StillInUse { sessions: 1, .. }), "{refused:?}");
    let session = house.session(&target).await;
    assert!(!session.is_ended());
    house.gateway.once_more(&session, None).await.expect("it is served");
}

#[tokio::test]
async fn what_is_dropped_is_told_so_even_if_its_limits_cannot_be_forgotten_on_disk() {
    let house = house(limits()).await;
    let target = named("a");
    drop(house.session(&target).await);
    house.set(&target, LimitsPatch::sessions(n(1))).await.expect("changes");
    // As one that cannot be written.
    house.journal.close().await;
    let dropped = house.gateway.drop_database(&name("a"), Removal::default(), &cause()).await;
    assert!(matches!(dropped, Err(AdminError::NotKept(_))), "{dropped:?}");
    assert!(matches!(house.gateway.inspect(&target).await, Err(AdminError::NotFound)));
    assert_eq!(house.heard.dropped.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn who_comes_while_it_is_dropped_waits_and_finds_a_new_one() {
    let house = house(limits()).await;
    let target = named("a");
    drop(house.session(&target).await);
    house.fake.pause();
    let (by, name) = (cause(), name("a"));
    let mut dropping = Box::pin(house.gateway.drop_database(&name, Removal::default(), &by));
    assert!((&mut dropping).now_or_never().is_none());
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    let again = house.gateway.drop_database(&name, Removal::default(), &by).await;
    assert!(matches!(again, Err(AdminError::BeingDropped)));
    assert!(matches!(house.gateway.create(&name, &by).await, Err(AdminError::BeingDropped)));
    let mut newcomers = Box::pin(join_all((0..20).map(|_| house.session(&target))));
    assert!((&mut newcomers).now_or_never().is_none());
    house.fake.resume();
    dropping.await.expect("drops");
    newcomers.await;
    assert_eq!(house.fake.tally().created, 2 + 2, "the configured ones, it, and it again");
}

#[tokio::test]
async fn who_found_it_just_before_it_was_dropped_finds_a_new_one() {
    let house = house(limits()).await;
    let (target, name) = (named("a"), name("a"));
    house.fake.put("a");
    let found = house.fake.delay_next_look();
    let mut connecting = Box::pin(house.gateway.connect(&target, None));
    assert!((&mut connecting).now_or_never().is_none());
    while !house.fake.is_looked_for() {
        tokio::task::yield_now().await;
    }
    house.gateway.drop_database(&name, Removal::default(), &cause()).await.expect("nobody uses it");
    drop(found);
    connecting.await.expect("one that is named is created");
}

#[tokio::test]
async fn drops_and_requests_at_once_never_meet() {
    let house = house(limits()).await;
    let target = named("a");
    let (by, name) = (cause(), name("a"));
    for _ in 0..200 {
        let requests = join_all((0..4).map(|_| async {
            let mut session = house.session(&target).await;
            run(&mut session, "SELECT").await;
        }));
        let dropping = house.gateway.drop_database(&name, Removal::default(), &by);
        let (dropped, _) = tokio::join!(dropping, requests);
        assert!(matches!(dropped, Ok(()) | Err(AdminError::NotFound)), "{dropped:?}");
    }
}

#[tokio::test]
async fn only_what_nobody_uses_is_evicted() {
    let house = house(limits()).await;
    let target = named("a");
    let held = house.session(&target).await;
    let refused = house.gateway.evict(&target, &cause()).await.expect_err("in use");
    assert_eq!(refused.to_string(), "the database is in use by 1 sessions");
    drop(held);
    house.gateway.evict(&target, &cause()).await.expect("idle");
    assert_eq!(house.fake.tally().open, 2, "closed when it returns");
    house.gateway.evict(&target, &cause()).await.expect("it is closed already");
    assert_eq!(house.gateway.inspect(&target).await.expect("there").evicted, 1);
    let configured = house.gateway.evict(&named("configured"), &cause()).await;
    assert!(matches!(configured, Err(AdminError::Configured { verb: "evicted" })));
    assert!(matches!(house.gateway.evict(&named("nobody"), &cause()).await, Err(AdminError::NotFound)));
}

#[tokio::test]
async fn a_checkpoint_is_made_of_what_is_open() {
    let house = house(limits()).await;
    let target = named("a");
    drop(house.session(&target).await);
    house.gateway.checkpoint(&target, &cause()).await.expect("checkpoints");
    assert_eq!(house.fake.tally().checkpoints, 1);
    house.gateway.evict(&target, &cause()).await.expect("idle");
    house.gateway.checkpoint(&target, &cause()).await.expect("nothing to do");
    assert_eq!(house.fake.tally().checkpoints, 1);
    assert_eq!(house.fake.tally().opened, 3, "nothing was opened for it");
}

#[tokio::test]
async fn all_names_are_known_and_counted() {
    let house = house(limits()).await;
    // The first count at the start is over then; else it might come between a creation and its count.
    while house.gateway.known_count().is_none() {
        tokio::task::yield_now().await;
    }
    (0..1_000).for_each(|n| house.fake.put(&format!("db{n:04}")));
    let known = house.gateway.known().await.expect("lists");
    assert_eq!(known.len(), 1_000 + 1, "with the configured one");
    assert!(known.is_sorted());
    assert_eq!(house.gateway.known_count(), Some(1_001));
    house.gateway.create(&name("new"), &cause()).await.expect("creates");
    assert_eq!(house.gateway.known_count(), Some(1_002));
    house.gateway.drop_database(&name("new"), Removal::default(), &cause()).await.expect("drops");
    assert_eq!(house.gateway.known_count(), Some(1_001));
}

#[tokio::test]
async fn whether_it_is_frozen_is_told() {
    let house = house(limits()).await;
    house.fake.set_frozen("default", true);
    let report = house.gateway.inspect(&Target::Default).await.expect("there");
    assert!(report.open.expect("open").frozen);
}
