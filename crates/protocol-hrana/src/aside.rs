//! Work that takes long, done beside the threads that serve everybody.
use std::future::pending;
use std::panic::resume_unwind;
use tokio_util::task::TaskTracker;

/// Does work on a thread that nobody else waits for. What panics there panics here.
///
/// # Cancel safety
///
/// What was begun goes on to its end, with all it holds.
pub(crate) fn aside<T: Send + 'static>(
    tasks: &TaskTracker,
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = T> + Send + 'static {
    let working = tasks.spawn_blocking(work);
    async move {
        match working.await.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(done) => done,
            Err(Ok(panic)) => resume_unwind(panic),
            // The runtime ends before it was begun, and so does whoever waits.
            Err(Err(_ended)) => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[tokio::test]
    async fn work_is_done_on_another_thread() {
        let elsewhere = aside(&TaskTracker::new(), || thread::current().id()).await;
        assert_ne!(elsewhere, thread::current().id());
    }

    #[tokio::test]
    #[should_panic(expected = "a fault of ours")]
    async fn what_panics_there_panics_here() {
        aside(&TaskTracker::new(), || panic!("a fault of ours")).await;
    }
}
