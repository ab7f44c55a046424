//! Whether a client takes what it is given of an answer: for so long and no longer.
//!
//! An answer under way holds a database and a thread. Over HTTP/2 a client can keep its connection alive and
//! take nothing of an answer; the socket shows nothing of it, and only that nobody asks for more does.
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// What of an answer was given and not taken. Odd while something waits to be taken; each bit has another
/// number.
#[derive(Debug, Default)]
pub(crate) struct Taking(AtomicU64);

// === impl Taking ===

impl Taking {
    /// A bit was given; it is taken when more is asked for.
    pub(crate) fn given(&self) {
        self.0.fetch_or(1, Ordering::Relaxed);
    }

    /// More is asked for, or nothing more will be: nobody waits for the client.
    pub(crate) fn asked(&self) {
        let seen = self.0.load(Ordering::Relaxed);
        // The task that takes is the only one that changes it.
        self.0.store(seen + seen % 2, Ordering::Relaxed);
    }

    /// The number of the bit that waits to be taken.
    fn waits(&self) -> Option<u64> {
        let seen = self.0.load(Ordering::Relaxed);
        (seen % 2 == 1).then_some(seen)
    }

    /// Does work that gives an answer away, unless a bit of it was not taken for so long; `None` then.
    pub(crate) async fn watch<W: Future>(&self, work: W, patience: Duration) -> Option<W::Output> {
        let mut work = pin!(work);
        let mut late = pin!(sleep(patience));
        let mut last = None;
        std::future::poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(done));
            }
            let waits = self.waits();
            if waits.is_none() {
                return Poll::Pending;
            }
            if waits != last {
                last = waits;
                late.as_mut().reset(Instant::now() + patience);
            }
            late.as_mut().poll(cx).map(|()| None)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Body;
    use bytes::Bytes;
    use futures::StreamExt as _;
    use http_body_util::BodyExt as _;
    use std::sync::Arc;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn an_answer_of_which_nothing_is_taken_ends_and_what_it_held_is_free() {
        let (taking, held) = (Arc::new(Taking::default()), Arc::new(()));
        let holds = held.clone();
        let bits = futures::stream::repeat_with(move || Ok(Bytes::from_static(b"bit"))).inspect(move |_| {
            let _held = &holds;
        });
        let mut body = Body::stream(bits).taken((taking.clone(), None));
        let work = async move {
            for _ in 0..3 {
                body.frame().await.expect("more").expect("whole");
                sleep(Duration::from_secs(20)).await;
            }
            std::future::pending::<()>().await;
            drop(body);
        };
        let begun = Instant::now();
        assert!(taking.watch(work, PATIENCE).await.is_none());
        // Each bit had its time.
        assert_eq!((begun.elapsed().as_secs(), Arc::strong_count(&held)), (70, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_long_in_coming_does_not_end_for_it() {
        let taking = Arc::new(Taking::default());
        let slow = futures::stream::once(async {
            sleep(4 * PATIENCE).await;
            Ok(Bytes::from_static(b"late"))
        });
        let body = Body::stream(slow).taken((taking.clone(), None));
        let work = async move {
            let whole = body.collect().await.expect("whole").to_bytes();
            // What comes after it, on the same connection, may take its time.
            sleep(4 * PATIENCE).await;
            whole
        };
        assert_eq!(taking.watch(work, PATIENCE).await.expect("it was taken"), "late");
    }
}
