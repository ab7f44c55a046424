//! A result as a stream: one future that hands out chunks as it goes on.
use futures::Stream;
use futures::future::BoxFuture;
use futures::task::noop_waker_ref;
use rowhouse_engine::{Chunk, EngineError};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

/// Where a future puts the chunk that it hands out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outlet(Arc<Mutex<Option<Chunk>>>);

/// What a future hands out, and the chunk or the error that it ends with.
pub(crate) struct Flow<'a> {
    /// Until it has ended.
    work: Option<BoxFuture<'a, Result<Chunk, EngineError>>>,
    outlet: Outlet,
    /// What came when it was begun.
    ready: Option<Result<Chunk, EngineError>>,
}

// === impl Outlet ===

impl Outlet {
    /// Hands out a chunk; goes on when the next one is asked for.
    pub(crate) async fn send(&self, chunk: Chunk) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(chunk);
        let mut is_out = false;
        // Nobody needs waking: who polls finds the chunk, and polls again for the next.
        poll_fn(|_| if std::mem::replace(&mut is_out, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    fn take(&self) -> Option<Chunk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

// === impl Flow ===

impl<'a> Flow<'a> {
    /// Begins the work: what can be done at once is done before anybody asks for anything.
    pub(crate) fn begin(work: BoxFuture<'a, Result<Chunk, EngineError>>, outlet: Outlet) -> Self {
        let mut flow = Self { work: Some(work), outlet, ready: None };
        // Whoever polls next is the one that is woken.
        if let Poll::Ready(Some(item)) = flow.advance(&mut Context::from_waker(noop_waker_ref())) {
            flow.ready = Some(item);
        }
        flow
    }

    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, EngineError>>> {
        let Some(work) = &mut self.work else { return Poll::Ready(None) };
        match work.as_mut().poll(cx) {
            Poll::Ready(end) => {
                self.work = None;
                Poll::Ready(Some(end))
            }
            Poll::Pending => match self.outlet.take() {
                Some(chunk) => Poll::Ready(Some(Ok(chunk))),
                None => Poll::Pending,
            },
        }
    }
}

impl Stream for Flow<'_> {
    type Item = Result<Chunk, EngineError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let flow = self.get_mut();
        match flow.ready.take() {
            Some(item) => Poll::Ready(Some(item)),
            None => flow.advance(cx),
        }
    }
}
