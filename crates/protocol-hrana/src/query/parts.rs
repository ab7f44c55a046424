//! An answer in parts, made only as they are asked for.
use crate::error::Fault;
use futures::Stream;
use futures::future::BoxFuture;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// How many parts wait to be taken: beside that one, another may be in the making.
const WAITING: usize = 1;

/// A part of an answer.
pub(super) enum Part {
    /// All of it.
    Whole(Vec<u8>),
    /// The next bytes, others follow.
    More(Vec<u8>),
    /// There will be no answer but this.
    Failed(Fault),
    /// Nothing follows, although something should.
    Broken,
}

/// The parts, and what makes them. It works only while somebody waits for a part, and ends with this.
pub(super) struct Parts {
    maker: Option<BoxFuture<'static, ()>>,
    parts: mpsc::Receiver<Part>,
}

/// Where parts go.
pub(super) struct Sink(mpsc::Sender<Part>);

// === impl Parts ===

impl Parts {
    /// What `make` gives to its sink.
    pub(super) fn of<F: Future<Output = ()> + Send + 'static>(make: impl FnOnce(Sink) -> F) -> Self {
        let (give, parts) = mpsc::channel(WAITING);
        Self { maker: Some(Box::pin(make(Sink(give)))), parts }
    }
}

impl Stream for Parts {
    type Item = Part;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Part>> {
        if let Some(maker) = &mut self.maker
            && maker.as_mut().poll(cx).is_ready()
        {
            self.maker = None;
        }
        self.parts.poll_recv(cx)
    }
}

// === impl Sink ===

impl Sink {
    /// Gives a part, once the one before was taken.
    pub(super) async fn give(&self, part: Part) {
        // Who takes them is also who runs this: it is there.
        self.0.send(part).await.unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn parts_are_made_only_as_they_are_taken() {
        let made = Arc::new(AtomicU32::new(0));
        let counter = made.clone();
        let mut parts = Parts::of(|sink| async move {
            for _ in 0..10 {
                counter.fetch_add(1, Ordering::SeqCst);
                sink.give(Part::More(vec![])).await;
            }
        });
        assert_eq!(made.load(Ordering::SeqCst), 0);
        for taken in 1..=10 {
            assert!(matches!(parts.next().await, Some(Part::More(_))));
            assert!(made.load(Ordering::SeqCst) <= taken + 2, "{taken} taken");
        }
        assert!(parts.next().await.is_none());
    }
}
