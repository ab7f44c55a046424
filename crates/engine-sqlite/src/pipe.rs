//! From a job to its reader: a few chunks, then how it ended. The writer blocks, the reader awaits.
//!
//! Invariants: at most [`CAPACITY`] chunks wait. The end is never refused: what it carries comes
//! back to the reader, or is dropped on the writer's thread when there is no reader any more. A writer
//! keeps no thread from others while it waits for its reader, but for [`KEEPS_UP`].
use crate::executor::Executor;
use rowhouse_engine::Chunk;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Chunks that may wait for the reader.
const CAPACITY: usize = 2;

/// How often a writer that waits for room looks whether it must stop.
const LOOK: Duration = Duration::from_millis(20);

/// How soon a reader that keeps up takes a chunk: so long its writer waits where it is.
const KEEPS_UP: Duration = Duration::from_millis(2);

/// The job's end.
#[derive(Debug)]
pub(crate) struct Writer<E> {
    shared: Arc<Shared<E>>,
    /// Whose thread it is on when it sends.
    executor: Executor,
}

/// The connection's end.
#[derive(Debug)]
pub(crate) struct Reader<E>(Arc<Shared<E>>);

/// What a reader receives.
#[derive(Debug)]
pub(crate) enum Item<E> {
    Chunk(Chunk),
    End(E),
}

/// Why a chunk was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// The writer must stop, or nobody reads.
    Stopped,
    /// Too many others wait for their readers.
    Crowded,
    /// The reader has taken nothing for as long as it may.
    Stalled { patience: Duration },
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

/// A new pipe, for a job that `executor` runs.
pub(crate) fn pipe<E>(executor: &Executor) -> (Writer<E>, Reader<E>) {
    let state = State {
        chunks: VecDeque::new(),
        end: None,
        waker: None,
        discarding: false,
        reader_gone: false,
        writer_gone: false,
    };
    let shared = Arc::new(Shared { state: Mutex::new(state), room: Condvar::new() });
    (Writer { shared: shared.clone(), executor: executor.clone() }, Reader(shared))
}

// === impl Shared ===

impl<E> Shared<E> {
    fn lock(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Writer ===

impl<E> Writer<E> {
    /// Waits for room and hands `chunk` over; gives up when `must_stop` says so or nobody reads. Called on
    /// a thread of its executor's.
    pub(crate) fn send(&self, chunk: Chunk, must_stop: impl Fn() -> bool) -> Result<(), Unsent> {
        if !self.has_room(KEEPS_UP) {
            self.wait_aside(&must_stop)?;
        }
        // Nobody else fills it.
        let mut state = self.shared.lock();
        if state.discarding {
            return Err(Unsent::Stopped);
        }
        state.chunks.push_back(chunk);
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Waits for room without a place among the threads that work, and for such a place.
    fn wait_aside(&self, must_stop: &impl Fn() -> bool) -> Result<(), Unsent> {
        if must_stop() {
            return Err(Unsent::Stopped);
        }
        let aside = self.executor.step_aside().ok_or(Unsent::Crowded)?;
        let (began, patience) = (Instant::now(), self.executor.patience());
        while !self.has_room(LOOK.min(patience)) {
            if must_stop() {
                return Err(Unsent::Stopped);
            }
            if patience <= began.elapsed() {
                return Err(Unsent::Stalled { patience });
            }
        }
        aside.come_back(must_stop);
        Ok(())
    }

    /// Whether there is room, or nobody wants any, within `time`.
    fn has_room(&self, time: Duration) -> bool {
        let is_full = |state: &mut State<E>| !state.discarding && CAPACITY <= state.chunks.len();
        let waited = self.shared.room.wait_timeout_while(self.shared.lock(), time, is_full);
        let (_state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        !timeout.timed_out()
    }

    /// Hands over how it ended; nothing follows.
    pub(crate) fn end(self, end: E) {
        let mut state = self.shared.lock();
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
        let mut state = self.shared.lock();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ExecutorConfig;
    use futures::executor::block_on;
    use std::num::NonZeroUsize;
    use std::sync::mpsc::{Receiver, sync_channel};

    fn executor(readers: usize, patience: Duration) -> Executor {
        let max_threads = NonZeroUsize::MIN;
        Executor::new(ExecutorConfig { max_threads, readers, patience, ..ExecutorConfig::default() })
    }

    /// Sends one chunk more than fit, on the executor.
    fn overfill(executor: &Executor) -> (Reader<()>, Receiver<Result<(), Unsent>>) {
        let (writer, reader) = pipe(executor);
        let (give, take) = sync_channel(1);
        let job = move |()| {
            let sent = (0..=CAPACITY).try_for_each(|_| writer.send(Chunk::default(), || false));
            give.send(sent).expect("somebody waits");
        };
        assert!(executor.submit((), job).is_ok());
        (reader, take)
    }

    #[test]
    fn who_waits_for_its_reader_keeps_no_thread_from_others() {
        let executor = executor(9, Duration::from_secs(600));
        let (mut reader, sent) = overfill(&executor);
        let (mut other, other_sent) = overfill(&executor);
        assert_eq!(block_on(executor.call(|| 7)).unwrap(), 7, "its one thread does other work");
        assert!(sent.try_recv().is_err() && other_sent.try_recv().is_err());
        for (reader, sent) in [(&mut reader, sent), (&mut other, other_sent)] {
            assert!(matches!(block_on(reader.next()), Some(Item::Chunk(_))));
            assert_eq!(sent.recv(), Ok(Ok(())));
        }
        executor.shut_down();
        assert_eq!(executor.threads(), 0);
    }

    #[test]
    fn who_may_not_wait_for_its_reader_as_too_many_do_fails() {
        let executor = executor(1, Duration::from_secs(600));
        let (reader, sent) = overfill(&executor);
        let (_other, other_sent) = overfill(&executor);
        assert_eq!(other_sent.recv(), Ok(Err(Unsent::Crowded)));
        drop(reader);
        assert_eq!(sent.recv(), Ok(Err(Unsent::Stopped)));
        let (mut reader, sent) = overfill(&executor);
        assert!(matches!(block_on(reader.next()), Some(Item::Chunk(_))));
        assert_eq!(sent.recv(), Ok(Ok(())), "there is room again");
    }

    #[test]
    fn a_reader_that_takes_nothing_is_given_up() {
        let patience = Duration::from_millis(1);
        let (_reader, sent) = overfill(&executor(9, patience));
        assert_eq!(sent.recv(), Ok(Err(Unsent::Stalled { patience })));
    }
}
