//! Work that is done as far as somebody takes what it yields.
use futures::Stream;
use futures::future::BoxFuture;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// How many results of driven work wait to be taken.
const AHEAD: usize = 1;

/// What a piece of work yields, one by one, and in the end. The work goes on only while this is polled, and
/// is dropped with it.
pub(crate) struct Driven<T, R> {
    work: Work<R>,
    out: mpsc::Receiver<T>,
}

enum Work<R> {
    Going(BoxFuture<'static, R>),
    Ended(R),
}

/// Where driven work puts what it yields.
pub(crate) type Outlet<T> = mpsc::Sender<T>;

// === impl Driven ===

impl<T: Send + 'static, R: Unpin> Driven<T, R> {
    /// What this work yields. It should end soon when its outlet is closed.
    pub(crate) fn new<F: Future<Output = R> + Send + 'static>(work: impl FnOnce(Outlet<T>) -> F) -> Self {
        let (outlet, out) = mpsc::channel(AHEAD);
        Self { work: Work::Going(Box::pin(work(outlet))), out }
    }

    /// Has it end, and returns what it yields then.
    pub(crate) async fn end(mut self) -> R {
        self.out.close();
        while self.out.try_recv().is_ok() {}
        match self.work {
            Work::Going(work) => work.await,
            Work::Ended(result) => result,
        }
    }
}

impl<T, R: Unpin> Stream for Driven<T, R> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        loop {
            // Not polled: whoever may go on only later in this task would be told that there is nothing, and
            // the work, which is polled here and nowhere else, wakes the task itself.
            if let Ok(yielded) = self.out.try_recv() {
                return Poll::Ready(Some(yielded));
            }
            let Work::Going(work) = &mut self.work else { return Poll::Ready(None) };
            match work.as_mut().poll(cx) {
                Poll::Ready(result) => self.work = Work::Ended(result),
                Poll::Pending => {
                    return self.out.try_recv().map_or(Poll::Pending, |it| Poll::Ready(Some(it)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn counting(done: &Arc<AtomicU32>) -> Driven<u32, &'static str> {
        let done = done.clone();
        Driven::new(|outlet| async move {
            for n in 0..1000_u32 {
                if outlet.send(n).await.is_err() {
                    return "stopped";
                }
                done.store(n + 1, Ordering::Relaxed);
            }
            "done"
        })
    }

    #[tokio::test]
    async fn work_goes_no_further_than_it_is_taken() {
        let done = Arc::new(AtomicU32::new(0));
        let mut driven = counting(&done);
        assert_eq!(done.load(Ordering::Relaxed), 0);
        assert_eq!((driven.next().await, driven.next().await), (Some(0), Some(1)));
        assert!(done.load(Ordering::Relaxed) <= 3);
        let rest: Vec<u32> = driven.by_ref().collect().await;
        assert_eq!(rest, (2..1000).collect::<Vec<_>>());
        assert_eq!(driven.end().await, "done");
    }

    #[tokio::test]
    async fn work_that_never_waits_is_taken_to_its_end_however_long_it_is() {
        // More than one task may do before it has to let others.
        let driven = Driven::new(|outlet| async move {
            for n in 0..10_000_u32 {
                outlet.send(n).await.expect("it is taken");
            }
        });
        assert_eq!(driven.count().await, 10_000);
    }

    #[tokio::test]
    async fn work_that_is_stopped_ends_in_order_and_what_is_dropped_is_gone() {
        let done = Arc::new(AtomicU32::new(0));
        let mut driven = counting(&done);
        assert_eq!(driven.next().await, Some(0));
        assert_eq!(driven.end().await, "stopped");
        assert!(done.load(Ordering::Relaxed) < 1000);
        let mut dropped = counting(&done);
        assert_eq!(dropped.next().await, Some(0));
        drop(dropped);
        assert_eq!(Arc::strong_count(&done), 1);
    }
}
