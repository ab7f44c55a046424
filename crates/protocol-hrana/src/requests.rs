//! The requests of one connection: over HTTP/2 each is a task of its listener's, counted while it lasts.
use crate::taking::Taking;
use http::Version;
use hyper::rt::Executor;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::TaskTracker;

/// The requests of one connection. Cloning yields another handle.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    tasks: TaskTracker,
    /// How long a client may take to take a bit of an answer.
    patience: Duration,
    /// What is answered one after the other, over HTTP/1.
    taking: Arc<Taking>,
    /// Whether one is under way over HTTP/1, and since when none is.
    rest: Arc<Rest>,
    /// The request that came last over HTTP/2, until it is given to be run: which is the next thing that
    /// happens on its connection.
    next: Arc<Mutex<Option<Next>>>,
    /// How many are under way over HTTP/2; `None` before the first.
    many: watch::Sender<Option<usize>>,
}

/// A request over HTTP/2 that was not begun to be run.
type Next = (Arc<Taking>, UnderWay);

/// Since when no request is under way over HTTP/1.
#[derive(Debug)]
struct Rest {
    epoch: Instant,
    /// In nanoseconds after the epoch; [`Rest::NEVER`] while one is.
    since: AtomicU64,
}

/// A request over HTTP/1. It has ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Answering(Arc<Rest>);

/// A request over HTTP/2. It has ended when this is dropped.
#[derive(Debug)]
struct UnderWay(watch::Sender<Option<usize>>);

// === impl Requests ===

impl Requests {
    /// None yet.
    pub(crate) fn new(tasks: TaskTracker, patience: Duration) -> Self {
        let many = watch::Sender::new(None);
        let rest = Arc::new(Rest { epoch: Instant::now(), since: AtomicU64::new(0) });
        Self { tasks, patience, taking: Arc::default(), rest, next: Arc::default(), many }
    }

    /// One has come. What is returned is for the body of its answer.
    pub(crate) fn begin(&self, version: Version) -> (Arc<Taking>, Option<Answering>) {
        if version != Version::HTTP_2 {
            return (self.taking.clone(), Some(Rest::interrupt(&self.rest)));
        }
        let taking = Arc::new(Taking::default());
        let next = (taking.clone(), UnderWay::begin(&self.many));
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
        (taking, None)
    }

    /// Whether none is under way over HTTP/1.
    pub(crate) fn rest(&self) -> bool {
        self.rest.since().is_some()
    }

    /// Does the connection's work, unless its client took nothing of an answer for too long; `None` then.
    pub(crate) async fn watch<W: Future>(&self, work: W) -> Option<W::Output> {
        self.taking.watch(work, self.patience).await
    }

    /// Resolves when none has been under way for so long; over HTTP/2 after the first.
    pub(crate) async fn quiet(&self, patience: Duration) {
        tokio::select! {
            () = self.quiet_1(patience) => {}
            () = self.quiet_2(patience) => {}
        }
    }

    /// The same over HTTP/1, as long as there was none over HTTP/2.
    async fn quiet_1(&self, patience: Duration) {
        loop {
            let until = self.rest.since().unwrap_or_else(Instant::now) + patience;
            if until <= Instant::now() {
                break;
            }
            sleep_until(until).await;
        }
        if self.many.borrow().is_some() {
            std::future::pending::<()>().await;
        }
    }

    async fn quiet_2(&self, patience: Duration) {
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

// === impl Rest ===

impl Rest {
    const NEVER: u64 = u64::MAX;

    /// Since when; `None` while a request is under way.
    fn since(&self) -> Option<Instant> {
        let since = self.since.load(Ordering::Relaxed);
        (since != Self::NEVER).then(|| self.epoch + Duration::from_nanos(since))
    }

    /// A request is under way from now on.
    fn interrupt(this: &Arc<Self>) -> Answering {
        this.since.store(Self::NEVER, Ordering::Relaxed);
        Answering(this.clone())
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let since = u64::try_from(self.0.epoch.elapsed().as_nanos());
        self.0.since.store(since.unwrap_or(Rest::NEVER), Ordering::Relaxed);
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
    use tokio::time::sleep;

    const IDLE: Duration = Duration::from_secs(60);

    fn requests() -> Requests {
        Requests::new(TaskTracker::new(), Duration::from_secs(30))
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_quiet_when_nothing_was_under_way_for_its_time() {
        let requests = requests();
        let mut quiet = pin!(requests.quiet(IDLE));
        for _ in 0..3 {
            let (_taking, answering) = requests.begin(Version::HTTP_11);
            assert!(timeout(10 * IDLE + IDLE / 3, quiet.as_mut()).await.is_err(), "one is under way");
            drop(answering);
            assert!(timeout(IDLE / 2, quiet.as_mut()).await.is_err(), "it has just ended");
        }
        let begun = Instant::now();
        quiet.await;
        assert_eq!(begun.elapsed(), IDLE / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_on_which_no_head_ever_comes_is_quiet() {
        let begun = Instant::now();
        requests().quiet(IDLE).await;
        assert_eq!(begun.elapsed(), IDLE);
    }

    #[tokio::test(start_paused = true)]
    async fn over_http_2_all_that_are_under_way_count() {
        let requests = requests();
        requests.begin(Version::HTTP_2);
        let mut quiet = pin!(requests.quiet(IDLE));
        let (answer, answered) = tokio::sync::oneshot::channel::<()>();
        requests.execute(async { answered.await.expect("it is answered") });
        assert!(timeout(10 * IDLE, quiet.as_mut()).await.is_err());
        answer.send(()).expect("it waits");
        let begun = Instant::now();
        let asks_again = async {
            sleep(IDLE / 2).await;
            requests.begin(Version::HTTP_2);
            requests.execute(async {});
        };
        tokio::join!(quiet.as_mut(), asks_again);
        assert_eq!(begun.elapsed(), IDLE / 2 + IDLE);
    }
}
