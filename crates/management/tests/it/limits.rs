//! An answer means that it is in force, however many ask at once.
use super::support::Managed;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_raises_by_one_at_once_raise_by_sixty_four() {
    let managed = Arc::new(Managed::start().await);
    let mut raises = JoinSet::new();
    for _ in 0..64 {
        let managed = managed.clone();
        raises.spawn(async move { managed.write("POST", "/limit/increase", "{\"amount\":1}").await.status });
    }
    assert!(raises.join_all().await.iter().all(|status| *status == 200));
    assert_eq!(managed.json("/limit").await["current_limit"], 1064);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_question_sees_the_limit_that_was_set() {
    let managed = Managed::start().await;
    for limit in 1..=1000 {
        managed.write("PUT", "/limit", &format!("{{\"limit\":{limit}}}")).await;
        assert_eq!(managed.json("/limit").await["current_limit"], limit);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_changes_at_once_are_all_answered_and_the_last_is_in_force() {
    let managed = Arc::new(Managed::start().await);
    let mut callers = JoinSet::new();
    // More callers than connections are let in, so that they make room for each other.
    for caller in 0..400_u32 {
        let managed = managed.clone();
        callers.spawn(async move {
            for change in 0..25 {
                let limit = 1 + caller * 25 + change;
                let answer = managed.write("PUT", "/limit", &format!("{{\"limit\":{limit}}}")).await;
                assert_eq!(answer.status, 200, "{answer:?}");
            }
        });
    }
    tokio::time::timeout(Duration::from_secs(120), callers.join_all()).await.expect("none hangs");
    let last = managed.json("/limit/history?limit=1").await["changes"][0]["to"].clone();
    assert_eq!(managed.json("/limit").await["current_limit"], last);
}
