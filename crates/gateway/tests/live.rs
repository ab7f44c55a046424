//! Feeds of changes over a fake engine.
use futures::FutureExt;
use rowhouse_engine::{Change, ChangeKind, Location, News, Untold};
use rowhouse_gateway::{
    Catalog, Cause, Client, ConnectError, Dynamic, Gateway, Interface, Journal, Limits, LiveLimits, Parts,
    Position, Removal, Silent, Spec, Subscribe, SubscribeError, Subscription, Told,
};
use rowhouse_testing::Fake;
use rowhouse_types::{DatabaseName, ErrorCode, Reportable, Target, Value};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

struct House {
    fake: Fake,
    gateway: Gateway,
    client: Client,
}

impl House {
    async fn new(live: LiveLimits) -> Self {
        let fake = Fake::default();
        for name in ["a", "b", "c"] {
            fake.put(name);
        }
        let statics = [Spec { target: Target::Default, location: Location("default".into()) }];
        let parts = Parts {
            catalog: Catalog::new(statics, Dynamic::Create).expect("valid"),
            engine: Arc::new(fake.clone()),
            observer: Arc::new(Silent),
            limits: Limits {
                max_connections: NonZeroU32::new(2).expect("positive"),
                room_timeout: Duration::from_secs(2),
                live,
                ..Limits::default()
            },
            journal: Journal::in_memory(),
            metadata: None,
            migrator: None,
        };
        let gateway = Gateway::start(parts).await.expect("starts");
        let client = gateway.client();
        Self { fake, gateway, client }
    }

    async fn subscribe(&self, name: &str, from: Option<Position>) -> Result<Subscription, SubscribeError> {
        self.client.subscribe(&named(name), Subscribe { tables: Vec::new(), from }, None).await
    }

    fn tell(&self, name: &str, table: &str, n: i64) {
        let columns = ["n".to_owned()].into();
        let row = Box::new([Value::Integer(n)]);
        let change = Change { kind: ChangeKind::Insert, table: table.into(), columns, row };
        self.fake.tell(name, News::Committed(vec![change]));
    }
}

fn named(name: &str) -> Target {
    Target::Named(name.parse().expect("valid"))
}

fn cause() -> Cause {
    Cause::new(Interface::Library, "a test")
}

/// What is told at once.
fn told(subscription: &mut Subscription) -> Vec<String> {
    let told = subscription.next().now_or_never().unwrap_or(Ok(Vec::new())).expect("goes on");
    let word = |told: Told| match told {
        Told::Change { change, .. } => format!("{} {:?}", change.table, change.row[0]),
        Told::Gap { why, .. } => why.as_str().to_owned(),
    };
    told.into_iter().map(word).collect()
}

#[tokio::test(start_paused = true)]
async fn who_subscribes_is_told_what_is_committed_to_its_tables() {
    let house = House::new(LiveLimits::default()).await;
    let mut all = house.subscribe("a", None).await.expect("subscribes");
    let what = Subscribe { tables: vec!["T".to_owned()], from: None };
    let mut some = house.client.subscribe(&named("a"), what, None).await.expect("subscribes");
    house.tell("a", "t", 1);
    house.tell("a", "u", 2);
    assert_eq!(told(&mut all), ["t Integer(1)", "u Integer(2)"]);
    assert_eq!(told(&mut some), ["t Integer(1)"]);
    assert!(told(&mut some).is_empty());
    house.fake.tell("a", News::Gap(Untold::Schema));
    assert_eq!((told(&mut all), told(&mut some)), (vec!["schema".to_owned()], vec!["schema".to_owned()]));
    let status = house.gateway.live();
    assert_eq!((status.subscribers, status.changes, status.gaps), (2, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_database_that_somebody_subscribes_to_is_not_evicted() {
    let house = House::new(LiveLimits::default()).await;
    let kept = house.subscribe("a", None).await.expect("subscribes");
    for name in ["b", "c", "b"] {
        drop(house.gateway.connect(&named(name), None).await.expect("connects"));
    }
    assert!(house.fake.is_heard("a"));
    drop(kept);
    for name in ["b", "c", "b"] {
        drop(house.gateway.connect(&named(name), None).await.expect("connects"));
    }
    assert!(!house.fake.is_heard("a"), "and then it is");
}

#[tokio::test(start_paused = true)]
async fn who_comes_again_soon_goes_on_and_who_comes_late_is_told_of_a_gap() {
    let house = House::new(LiveLimits::default()).await;
    let mut first = house.subscribe("a", None).await.expect("subscribes");
    house.tell("a", "t", 1);
    told(&mut first);
    let position = first.position();
    drop(first);
    house.tell("a", "t", 2);
    let mut again = house.subscribe("a", Some(position)).await.expect("subscribes");
    assert_eq!(told(&mut again), ["t Integer(2)"]);
    let other: Position = "0123456789abcdef-1".parse().expect("a position");
    let mut late = house.subscribe("a", Some(other)).await.expect("subscribes");
    assert_eq!(told(&mut late), ["overrun"]);
    house.tell("a", "t", 3);
    assert_eq!(told(&mut late), ["t Integer(3)"]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_and_a_drop_wait_for_no_subscriber() {
    let house = House::new(LiveLimits::default()).await;
    let mut subscription = house.subscribe("a", None).await.expect("subscribes");
    let position = subscription.position();
    house.gateway.pause(&named("a"), Duration::ZERO, &cause()).await.expect("pauses");
    assert!(subscription.next().await.is_err());
    let error = house.subscribe("a", None).await.expect_err("it is paused");
    assert_eq!(error.code(), ErrorCode::DatabasePaused);
    house.gateway.resume(&named("a"), &cause());
    let mut again = house.subscribe("a", Some(position)).await.expect("subscribes");
    house.tell("a", "t", 1);
    assert_eq!(told(&mut again), ["t Integer(1)"], "nothing was missed");
    let name: DatabaseName = "a".parse().expect("valid");
    let how = Removal { patience: Duration::ZERO, force: false };
    house.gateway.drop_database(&name, how, &cause()).await.expect("drops");
    assert!(again.next().await.is_err());
    let error = house.subscribe("a", None).await.expect_err("it is not there");
    assert!(matches!(&error, SubscribeError::Connect(ConnectError::Open(_))), "{error:?}");
    assert_eq!(house.fake.tally().created, 1, "subscribing creates nothing: that one is configured");
}

#[tokio::test(start_paused = true)]
async fn another_database_of_the_same_name_is_another_feed() {
    let house = House::new(LiveLimits::default()).await;
    let mut before = house.subscribe("a", None).await.expect("subscribes");
    house.tell("a", "t", 1);
    told(&mut before);
    house.fake.replace("a");
    // Whoever finds out has it opened anew.
    let mut session = house.gateway.connect(&named("a"), None).await.expect("connects");
    let request = rowhouse_types::Request::execute("SELECT");
    let options = rowhouse_engine::Options {
        deadline: None,
        policy: rowhouse_engine::SqlPolicy::Standard,
        foreign_keys: false,
        max_rows: None,
        max_bytes: None,
    };
    let first = futures::StreamExt::next(&mut session.run(request, options)).await;
    assert!(first.expect("one").is_err());
    house.client.part(session);
    assert!(before.next().await.is_err());
    let mut after = house.subscribe("a", Some(before.position())).await.expect("subscribes");
    assert_eq!(told(&mut after), ["overrun"]);
}

#[tokio::test(start_paused = true)]
async fn no_more_subscribe_than_may() {
    let house = House::new(LiveLimits { subscribers: 1, ..LiveLimits::default() }).await;
    let first = house.subscribe("a", None).await.expect("subscribes");
    let error = house.subscribe("a", None).await.expect_err("one too many");
    assert_eq!(error.code(), ErrorCode::QueueFull);
    assert!(error.hint().expect("a hint").contains("live_subscribers (now 1)"));
    house.subscribe("b", None).await.expect("another database");
    drop(first);
    house.subscribe("a", None).await.expect("there is room again");
}

#[tokio::test(start_paused = true)]
async fn a_database_is_listened_to_a_while_longer_than_anybody_subscribes() {
    let house = House::new(LiveLimits::default()).await;
    let subscription = house.subscribe("a", None).await.expect("subscribes");
    while house.fake.tally().looked == 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    drop(subscription);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(house.fake.is_heard("a"), "it may come again");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!house.fake.is_heard("a"));
    house.gateway.shut_down().await;
}
