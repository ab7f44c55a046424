use super::table::{SLOW, WINDOW};
use super::*;
use futures::FutureExt;
use tokio::time::{advance, timeout};

fn key() -> Key {
    Keys::new().key(None, b"INSERT")
}

fn outcome(session: u32) -> Outcome<u32> {
    Outcome { reply: Bytes::from_static(b"reply"), session, in_transaction: false }
}

#[tokio::test(start_paused = true)]
async fn a_resend_waits_for_the_first_peer_to_leave_and_joins() {
    let (resends, key) = (Resends::new(), key());
    let flight = resends.begin(key, false);
    advance(SLOW).await;
    let leaves = async {
        advance(PATIENCE / 2).await;
        flight.detach().expect("there is room")
    };
    let (claim, _interrupted) = tokio::join!(resends.claim(key), leaves);
    let Claim::Join(mut joined) = claim else { panic!("{claim:?}") };
    flight.finish(outcome(7));
    let (_flight, outcome) = joined.outcome().await.expect("it has finished");
    assert_eq!(outcome.session, 7);
}

#[tokio::test(start_paused = true)]
async fn a_request_like_one_whose_peer_stays_runs_after_a_moment() {
    let (resends, key) = (Resends::new(), key());
    let _flight = resends.begin(key, false);
    let Some(Claim::Run(_at_once)) = resends.claim(key).now_or_never() else { panic!("it is sent at once") };
    advance(SLOW).await;
    let before = Instant::now();
    assert!(matches!(resends.claim(key).await, Claim::Run::<u32>(_)));
    assert_eq!(before.elapsed(), PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn a_resend_that_leaves_while_it_waits_hands_back() {
    let (resends, key) = (Resends::new(), key());
    let flight = resends.begin(key, false);
    let interrupted = flight.detach().expect("there is room");
    let Claim::Join(first) = resends.claim(key).await else { panic!("it is in flight") };
    drop(first);
    let Claim::Join(second) = resends.claim(key).await else { panic!("it is in flight") };
    flight.finish(outcome(7));
    // The outcome is on its way when the second leaves.
    drop(second);
    let Claim::Answer(_flight, outcome) = resends.claim(key).await else { panic!("it has finished") };
    assert_eq!(outcome.session, 7);
    drop(interrupted);
}

#[tokio::test(start_paused = true)]
async fn a_resend_is_told_when_the_request_it_joined_ends_without_outcome() {
    let (resends, key) = (Resends::<u32>::new(), key());
    let flight = resends.begin(key, false);
    let _interrupted = flight.detach().expect("there is room");
    let Claim::Join(mut joined) = resends.claim(key).await else { panic!("it is in flight") };
    drop(flight);
    assert!(joined.outcome().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn one_clock_gives_up_all_that_waits() {
    let (resends, key) = (Resends::new(), key());
    let expiring = resends.expire();
    tokio::pin!(expiring);
    assert!((&mut expiring).now_or_never().is_none(), "nothing is due");
    let (running, done) = (resends.begin(key, false), resends.begin(key, false));
    let interrupted = running.detach().expect("there is room");
    let session = Arc::new(());
    let kept = Outcome { reply: Bytes::new(), session: session.clone(), in_transaction: false };
    let others = Resends::new();
    let other = others.begin(key, false);
    other.finish(kept);
    done.finish(outcome(7));
    let before = Instant::now();
    tokio::select! {
        () = expiring => unreachable!("it never ends"),
        () = interrupted.wait() => {}
    }
    assert_eq!(before.elapsed(), WINDOW);
    assert!(matches!(resends.claim(key).await, Claim::Run(_)));
    let _ended = timeout(Duration::ZERO, others.expire()).await;
    assert_eq!(Arc::strong_count(&session), 1, "sessions are dropped");
}

#[tokio::test(start_paused = true)]
async fn an_outcome_nobody_may_ask_for_is_dropped_at_the_close() {
    let (resends, key) = (Resends::new(), key());
    let session = Arc::new(());
    let flight = resends.begin(key, false);
    flight.finish(Outcome { reply: Bytes::new(), session: session.clone(), in_transaction: false });
    assert_eq!(Arc::strong_count(&session), 2);
    resends.close();
    assert_eq!(Arc::strong_count(&session), 1);
}
