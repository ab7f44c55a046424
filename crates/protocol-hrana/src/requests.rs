//! The requests of one connection: over HTTP/2 each is a task of its listener's, counted while it lasts.
use crate::taking::Taking;
use http::Version;
use hyper::rt::Executor;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// The requests of one connection. Cloning yields another handle.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    tasks: TaskTracker,
    /// How long a client may take to take a bit of an answer.
    patience: Duration,
    /// What is answered one after the other, over HTTP/1.
    taking: Arc<Taking>,
    /// The request that came last over HTTP/2, until it is given to be run: which is the next thing that
    /// happens on its connection.
    next: Arc<Mutex<Option<Next>>>,
    /// How many are under way over HTTP/2; `None` before the first.
    many: watch::Sender<Option<usize>>,
}

/// A request over HTTP/2 that was not begun to be run.
type Next = (Arc<Taking>, UnderWay);

/// A request over HTTP/2. It has ended when this is dropped.
#[derive(Debug)]
struct UnderWay(watch::Sender<Option<usize>>);

// === impl Requests ===

impl Requests {
    /// None yet.
    pub(crate) fn new(tasks: TaskTracker, patience: Duration) -> Self {
        let many = watch::Sender::new(None);
        Self { tasks, patience, taking: Arc::default(), next: Arc::default(), many }
    }

    /// One has come. What is returned is for the body of its answer.
    pub(crate) fn begin(&self, version: Version) -> Arc<Taking> {
        if version != Version::HTTP_2 {
            return self.taking.clone();
        }
        let taking = Arc::new(Taking::default());
        let next = (taking.clone(), UnderWay::begin(&self.many));
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
        taking
    }

    /// Does the connection's work, unless its client took nothing of an answer for too long; `None` then.
    pub(crate) async fn watch<W: Future>(&self, work: W) -> Option<W::Output> {
        self.taking.watch(work, self.patience).await
    }

    /// Resolves when none has been under way over HTTP/2 for so long, after the first.
    pub(crate) async fn quiet(&self, patience: Duration) {
        let mut many = self.many.subscribe();
        loop {
            // The sender is there as long as this is.
            let _none = many.wait_for(|many| *many == Some(0)).await.map(|many| *many);
            if timeout(patience, many.changed()).await.is_err() {
                return;
            }
        }
    }
}

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Requests {
    fn execute(&self, future: F) {
        let patience = self.patience;
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner).take();
        match next {
            Some((taking, under_way)) => self.tasks.spawn(async move {
                if taking.watch(future, patience).await.is_none() {
                    tracing::debug!("request ended: nothing was taken of its answer");
                }
                drop(under_way);
            }),
            None => self.tasks.spawn(async move {
                future.await;
            }),
        };
    }
}

// === impl UnderWay ===

impl UnderWay {
    fn begin(many: &watch::Sender<Option<usize>>) -> Self {
        many.send_modify(|many| *many = Some(many.unwrap_or(0) + 1));
        Self(many.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|many| *many = many.map(|many| many - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use tokio::time::{Instant, sleep};

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_quiet_when_nothing_was_under_way_for_its_time() {
        let requests = Requests::new(TaskTracker::new(), Duration::from_secs(30));
        let idle = Duration::from_secs(60);
        requests.begin(Version::HTTP_11);
        let mut quiet = pin!(requests.quiet(idle));
        // Before the first over HTTP/2, and while one is under way, other times count.
        assert!(timeout(10 * idle, quiet.as_mut()).await.is_err());
        requests.begin(Version::HTTP_2);
        let (answer, answered) = tokio::sync::oneshot::channel::<()>();
        requests.execute(async { answered.await.expect("it is answered") });
        assert!(timeout(10 * idle, quiet.as_mut()).await.is_err());
        answer.send(()).expect("it waits");
        let begun = Instant::now();
        let asks_again = async {
            sleep(idle / 2).await;
            requests.begin(Version::HTTP_2);
            requests.execute(async {});
        };
        tokio::join!(quiet.as_mut(), asks_again);
        assert_eq!(begun.elapsed(), idle / 2 + idle);
    }
}
