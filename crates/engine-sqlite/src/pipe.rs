//! From a job to its reader: a few chunks, then how it ended. The writer blocks, the reader awaits.
//!
//! Invariants: at most [`CAPACITY`] chunks wait. The end is never refused: what it carries comes
//! back to the reader, or is dropped on the writer's thread when there is no reader any more.
use rowhouse_engine::Chunk;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Chunks that may wait for the reader.
const CAPACITY: usize = 2;

/// How often a writer that waits for room looks whether it must stop.
const LOOK: Duration = Duration::from_millis(20);

/// The job's end.
#[derive(Debug)]
pub(crate) struct Writer<E>(Arc<Shared<E>>);

/// The connection's end.
#[derive(Debug)]
pub(crate) struct Reader<E>(Arc<Shared<E>>);

/// What a reader receives.
#[derive(Debug)]
pub(crate) enum Item<E> {
    Chunk(Chunk),
    End(E),
}

#[derive(Debug)]
struct Shared<E> {
    state: Mutex<State<E>>,
    room: Condvar,
}

#[derive(Debug)]
struct State<E> {
    chunks: VecDeque<Chunk>,
    end: Option<E>,
    waker: Option<Waker>,
    /// The reader wants no more chunks.
    discarding: bool,
    reader_gone: bool,
    writer_gone: bool,
}

/// A new pipe.
pub(crate) fn pipe<E>() -> (Writer<E>, Reader<E>) {
    let state = State {
        chunks: VecDeque::new(),
        end: None,
        waker: None,
        discarding: false,
        reader_gone: false,
        writer_gone: false,
    };
    let shared = Arc::new(Shared { state: Mutex::new(state), room: Condvar::new() });
    (Writer(shared.clone()), Reader(shared))
}

// === impl Shared ===

impl<E> Shared<E> {
    fn lock(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Writer ===

impl<E> Writer<E> {
    /// Waits for room and hands `chunk` over; gives up when `must_stop` says so or nobody reads.
    pub(crate) fn send(&self, chunk: Chunk, must_stop: impl Fn() -> bool) -> bool {
        let mut state = self.0.lock();
        while !state.discarding && CAPACITY <= state.chunks.len() {
            if must_stop() {
                return false;
            }
            let waited = self.0.room.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.discarding {
            return false;
        }
        state.chunks.push_back(chunk);
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        true
    }

    /// Hands over how it ended; nothing follows.
    pub(crate) fn end(self, end: E) {
        let mut state = self.0.lock();
        if state.reader_gone {
            drop(state);
            drop(end);
            return;
        }
        state.end = Some(end);
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl<E> Drop for Writer<E> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.writer_gone = true;
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }
}

// === impl Reader ===

impl<E> Reader<E> {
    /// The next item, or `None` when the writer left without an end.
    pub(crate) async fn next(&mut self) -> Option<Item<E>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item<E>>> {
        let mut state = self.0.lock();
        if let Some(chunk) = state.chunks.pop_front() {
            drop(state);
            self.0.room.notify_one();
            return Poll::Ready(Some(Item::Chunk(chunk)));
        }
        if let Some(end) = state.end.take() {
            return Poll::Ready(Some(Item::End(end)));
        }
        if state.writer_gone {
            return Poll::Ready(None);
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Wants no more chunks, only the end.
    pub(crate) fn discard(&self) {
        let chunks = {
            let mut state = self.0.lock();
            state.discarding = true;
            std::mem::take(&mut state.chunks)
        };
        drop(chunks);
        self.0.room.notify_one();
    }
}

impl<E> Drop for Reader<E> {
    fn drop(&mut self) {
        self.discard();
        let end = {
            let mut state = self.0.lock();
            state.reader_gone = true;
            state.end.take()
        };
        drop(end);
    }
}
