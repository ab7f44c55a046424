//! What a caller may rely on, one behaviour each.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Wake, Waker};

use futures::FutureExt;
use tokio::sync::oneshot;
use tokio_test::{assert_pending, task};
use tokio_util::task::TaskTracker;

use super::Singleflight;

type Group<T> = Singleflight<&'static str, T>;

fn group<T: Clone + Send + Sync + 'static>() -> (Group<T>, TaskTracker) {
    let tasks = TaskTracker::new();
    tasks.close();
    (Singleflight::new(tasks.clone()), tasks)
}

/// What a test asks a flight to do, and when to land.
struct Gate {
    land: oneshot::Sender<()>,
    wait: oneshot::Receiver<()>,
}

fn gate() -> Gate {
    let (land, wait) = oneshot::channel();
    Gate { land, wait }
}

#[tokio::test]
async fn concurrent_callers_share_one_run_and_its_failure() {
    let (group, _tasks) = group::<Result<u32, &str>>();
    let runs = Arc::new(AtomicU32::new(0));
    let make = || {
        let runs = runs.clone();
        async move {
            runs.fetch_add(1, SeqCst);
            Err("no")
        }
    };
    let (a, b) = tokio::join!(group.join("k", make), group.join("k", make));
    assert_eq!((a, b), (Some(Err("no")), Some(Err("no"))));
    assert_eq!(runs.load(SeqCst), 1);
}

#[tokio::test]
async fn whoever_asks_after_the_outcome_starts_a_new_flight() {
    let (group, _tasks) = group();
    for run in 0..100 {
        assert_eq!(group.join("k", || async move { run }).await, Some(run));
    }
}

/// Wakes by writing down what the group looks like at the moment of the announcement.
struct Witness {
    group: Group<u32>,
    seen: Mutex<Vec<String>>,
}

impl Wake for Witness {
    fn wake(self: Arc<Self>) {
        let seen = format!("{:?}", self.group);
        self.seen.lock().expect("never panics while locked").push(seen);
    }
}

#[tokio::test]
async fn a_flight_is_forgotten_before_its_outcome_or_panic_is_announced() {
    let (group, tasks) = group::<u32>();
    for panics in [false, true] {
        let mut flight = group.join("k", || async move { if panics { panic!("on purpose") } else { 1 } });
        let witness = Arc::new(Witness { group: group.clone(), seen: Mutex::default() });
        let waker = Waker::from(witness.clone());
        assert!(flight.poll_unpin(&mut Context::from_waker(&waker)).is_pending());
        tasks.wait().await;
        let seen = witness.seen.lock().expect("never panics while locked").clone();
        assert_eq!(seen, ["Singleflight { flights: 0, .. }"]);
        assert_eq!(flight.await, (!panics).then_some(1));
    }
}

#[tokio::test]
async fn keys_fly_apart() {
    let (group, _tasks) = group();
    let (a, b) = tokio::join!(group.join("a", || async { 1 }), group.join("b", || async { 2 }));
    assert_eq!((a, b), (Some(1), Some(2)));
}

#[tokio::test]
async fn a_flight_starts_without_being_polled_and_lands_though_all_left() {
    let (group, tasks) = group();
    let landed = Arc::new(AtomicU32::new(0));
    let in_flight = landed.clone();
    drop(group.join("k", || async move { in_flight.fetch_add(1, SeqCst) }));
    tasks.wait().await;
    assert_eq!(landed.load(SeqCst), 1);
    assert_eq!(format!("{group:?}"), "Singleflight { flights: 0, .. }");
}

#[tokio::test]
async fn a_flight_lands_for_those_who_stay_though_its_first_caller_left() {
    let (group, _tasks) = group();
    let Gate { land, wait } = gate();
    let mut first = task::spawn(group.join("k", || async move { wait.await.map_or(0, |()| 7) }));
    assert_pending!(first.poll());
    let second = group.join("k", || async { unreachable!("joins the first") });
    drop(first);
    land.send(()).expect("in flight");
    assert_eq!(second.await, Some(7));
}

#[tokio::test]
async fn a_panic_is_told_to_all_and_forgotten() {
    let (group, _tasks) = group::<u32>();
    let a = group.join("k", || async { panic!("on purpose") });
    let b = group.join("k", || async { unreachable!("joins the first") });
    assert_eq!(tokio::join!(a, b), (None, None));
    assert_eq!(group.join("k", || async { 1 }).await, Some(1));
}

#[tokio::test]
async fn a_panic_of_the_maker_is_forgotten() {
    let (group, _tasks) = group::<u32>();
    let make = || -> std::future::Ready<u32> { panic!("on purpose") };
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| group.join("k", make)));
    assert!(panicked.is_err());
    assert_eq!(group.join("k", || async { 1 }).await, Some(1));
}

#[tokio::test]
async fn a_maker_may_join_another_flight() {
    let (group, _tasks) = group();
    let outer = group.join("outer", || {
        let inner = group.join("inner", || async { 1 });
        async move { inner.await.map_or(0, |inner| inner + 1) }
    });
    assert_eq!(outer.await, Some(2));
}

#[test]
fn a_runtime_that_ends_before_the_landing_is_told() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (group, _tasks) = group::<u32>();
    let entered = runtime.enter();
    let flight = group.join("k", std::future::pending);
    drop(entered);
    drop(runtime);
    assert_eq!(tokio_test::block_on(flight), None);
    assert_eq!(format!("{group:?}"), "Singleflight { flights: 0, .. }");
}

/// A flight whose outcome is a guard, and a view of whether the guard is still alive.
fn guard_flight(group: &Group<Arc<()>>) -> (super::Flight<Arc<()>>, Weak<()>, oneshot::Sender<()>) {
    let guard = Arc::new(());
    let alive = Arc::downgrade(&guard);
    let Gate { land, wait } = gate();
    let flight = group.join("k", || async move {
        drop(wait.await);
        guard
    });
    (flight, alive, land)
}

#[tokio::test]
async fn an_outcome_nobody_is_left_for_is_dropped_at_the_landing() {
    let (group, tasks) = group();
    let (flight, alive, land) = guard_flight(&group);
    drop(flight);
    land.send(()).expect("in flight");
    tasks.wait().await;
    assert_eq!(alive.strong_count(), 0);
}

#[tokio::test]
async fn the_only_handle_yields_the_outcome_itself() {
    let (group, _tasks) = group();
    let (flight, alive, land) = guard_flight(&group);
    land.send(()).expect("in flight");
    let guard = flight.await.expect("landed");
    assert_eq!(alive.strong_count(), 1, "nothing else keeps a clone");
    drop(guard);
    assert_eq!(alive.strong_count(), 0);
}

#[tokio::test]
async fn the_shared_outcome_is_dropped_with_the_last_open_handle() {
    let (group, tasks) = group();
    let (first, alive, land) = guard_flight(&group);
    let second = group.join("k", || async { unreachable!("joins the first") });
    land.send(()).expect("in flight");
    drop(first.await.expect("landed"));
    tasks.wait().await;
    assert_eq!(alive.strong_count(), 1, "kept for the open handle");
    drop(second);
    assert_eq!(alive.strong_count(), 0);
}
