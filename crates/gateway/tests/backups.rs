//! Backups over a fake engine.
use futures::future::join_all;
use rowhouse_engine::{Course, EngineError, Location, Pace};
use rowhouse_gateway::{
    BackupError, BackupParts, Backups, Catalog, Dynamic, Event, Gateway, Journal, Limits, Observer, Parts,
    Plan, Schedule, Spec,
};
use rowhouse_testing::Fake;
use rowhouse_types::Target;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

const INTERVAL: Duration = Duration::from_secs(600);

/// Remembers what happened to backups.
#[derive(Clone, Debug, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Observer for Heard {
    fn observe(&self, event: &Event<'_>) {
        let line = match event {
            Event::BackedUp { database, .. } => format!("backed up {database}"),
            Event::BackupFailed { database, code, .. } => format!("failed {database}: {code}"),
            Event::BackupsNotListed { .. } => "not listed".to_owned(),
            _ => return,
        };
        self.0.lock().expect("never panics while locked").push(line);
    }
}

impl Heard {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("never panics while locked"))
    }
}

struct House {
    fake: Fake,
    gateway: Gateway,
    backups: Backups,
    heard: Heard,
    _directory: TempDir,
}

async fn house(names: &[&str]) -> House {
    let (fake, heard) = (Fake::default(), Heard::default());
    names.iter().for_each(|name| fake.put(name));
    let default = Spec { target: Target::Default, location: Location("default".into()) };
    let catalog = Catalog::new([default], Dynamic::Create).expect("valid");
    let parts = Parts {
        catalog: catalog.clone(),
        engine: Arc::new(fake.clone()),
        observer: Arc::new(heard.clone()),
        limits: Limits { max_connections: NonZeroU32::MIN, ..Limits::default() },
        journal: Journal::in_memory(),
        metadata: None,
        migrator: None,
    };
    let gateway = Gateway::start(parts).await.expect("starts");
    let directory = tempfile::tempdir().expect("a directory");
    let plan = Plan {
        directory: directory.path().join("backups"),
        interval: INTERVAL,
        keep: NonZeroU32::new(2).expect("not zero"),
    };
    let parts = BackupParts {
        plan,
        catalog,
        engine: Arc::new(fake.clone()),
        observer: Arc::new(heard.clone()),
        gateway: Some(gateway.clone()),
    };
    House { fake, gateway, backups: Backups::new(parts), heard, _directory: directory }
}

impl House {
    fn kept(&self, target: &Target) -> usize {
        self.backups.shelves().list(target).expect("lists").len()
    }
}

fn named(name: &str) -> Target {
    Target::Named(name.parse().expect("valid"))
}

fn course() -> Course {
    Course::new(Pace::Full)
}

/// Waits for what a task does on other threads, whose time does not stand still.
async fn until(mut done: impl FnMut() -> bool) {
    while !done() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_backup_takes_no_place_and_evicts_nobody() {
    let house = house(&["a", "b", "c"]).await;
    drop(house.gateway.connect(&named("a"), None).await.expect("room for one"));
    let before = house.gateway.counts();
    for name in ["a", "b", "c"] {
        house.backups.back_up(&named(name), &course()).await.expect("backs up");
    }
    assert_eq!(house.gateway.counts(), before);
    assert_eq!(house.fake.tally().opened, 2, "the default one and a");
    // Nor does it keep one from being evicted.
    house.fake.pause();
    let (held, watched) = (house.backups.clone(), course());
    let copying = {
        let watched = watched.clone();
        async move { held.back_up(&named("a"), &watched).await }
    };
    let evicting = async {
        until(|| watched.progress().total == 1).await;
        house.fake.resume();
        house.gateway.connect(&named("b"), None).await.expect("evicts a");
    };
    let (copied, ()) = tokio::join!(copying, evicting);
    copied.expect("backs up");
    assert_eq!(house.gateway.counts().evicted, 1);
}

#[tokio::test]
async fn backups_are_made_one_at_a_time_and_so_many_are_kept() {
    let house = house(&["a", "b"]).await;
    let (a, b) = (named("a"), named("b"));
    let copies = (0..10).map(|n| {
        let target = if n % 2 == 0 { &a } else { &b };
        let backups = &house.backups;
        async move { backups.back_up(target, &course()).await.expect("backs up") }
    });
    join_all(copies).await;
    assert_eq!(house.fake.tally().most_copying, 1);
    assert_eq!((house.kept(&a), house.kept(&b)), (2, 2));
}

#[tokio::test]
async fn only_what_has_changed_is_backed_up_again() {
    let house = house(&["a"]).await;
    let a = named("a");
    let mut made = Vec::new();
    for touch in [false, false, true, false] {
        if touch {
            house.fake.touch("a");
        }
        made.push(house.backups.back_up_if_changed(&a, &course()).await.expect("backs up").is_some());
    }
    assert_eq!(made, [true, false, true, false]);
    assert!(house.backups.back_up_if_changed(&named("gone"), &course()).await.is_err());
}

#[tokio::test]
async fn a_failure_leaves_the_former_backups_and_the_other_databases_get_theirs() {
    let house = house(&["a", "b", "c"]).await;
    house.backups.back_up(&named("b"), &course()).await.expect("backs up");
    house.fake.set_broken("b", true);
    house.fake.touch("b");
    house.heard.take();
    let schedule = Schedule::start(house.backups.clone());
    // Its first round passes over what has a young backup: b is tried by hand.
    until(|| house.kept(&named("c")) == 1).await;
    schedule.stop().await;
    let error = house.backups.back_up(&named("b"), &course()).await.expect_err("broken");
    assert!(matches!(error, BackupError::Engine(EngineError::NotADatabase)), "{error:?}");
    assert_eq!(house.kept(&named("b")), 1);
    let heard = house.heard.take();
    assert_eq!(heard, ["backed up ", "backed up a", "backed up c", "failed b: database_corrupt"]);
}

#[tokio::test(start_paused = true)]
async fn each_interval_has_its_round() {
    let house = house(&["a", "b"]).await;
    let schedule = Schedule::start(house.backups.clone());
    let all = ["backed up ", "backed up a", "backed up b"];
    until(|| house.heard.0.lock().expect("unlocked").len() == 3).await;
    assert_eq!(house.heard.take(), all);
    for changed in ["b", "a"] {
        house.fake.touch(changed);
        tokio::time::sleep(INTERVAL + Duration::from_secs(1)).await;
        until(|| !house.heard.0.lock().expect("unlocked").is_empty()).await;
        assert_eq!(house.heard.take(), [format!("backed up {changed}")]);
    }
    schedule.stop().await;
    // A server that was just started again does not begin anew.
    house.fake.touch("a");
    house.fake.put("c");
    let schedule = Schedule::start(house.backups.clone());
    until(|| !house.heard.0.lock().expect("unlocked").is_empty()).await;
    assert_eq!(house.heard.take(), ["backed up c"]);
    schedule.stop().await;
}

#[tokio::test]
async fn stopping_ends_the_backup_under_way_and_leaves_nothing_of_it() {
    let house = house(&["a"]).await;
    house.fake.pause();
    let schedule = Schedule::start(house.backups.clone());
    until(|| house.fake.tally().most_copying == 1).await;
    schedule.stop().await;
    house.fake.resume();
    assert_eq!(house.fake.tally().backed_up, 0);
    assert_eq!(house.heard.take(), Vec::<String>::new(), "being stopped is no failure");
    let folder = house.backups.shelves().folder(&Target::Default);
    assert_eq!(std::fs::read_dir(folder).expect("was made").count(), 0);
}
