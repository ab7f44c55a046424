//! The worker's end of a feed of changes: what its server has not asked for yet waits, within bounds.
//!
//! Invariant: news go out in the order they were heard; when more wait than may, they are a gap.
use super::say;
use crate::channel::WINDOW;
use crate::frame::Wire;
use crate::message::Report;
use rowhouse_engine::{Database, EngineError, Listener, News, Untold};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_util::task::TaskTracker;

/// The most rows that wait.
const ROWS_MAX: usize = 20_000;

/// The most bytes that wait.
const BYTES_MAX: usize = 16 << 20;

/// Who listens, if anybody does.
pub(super) struct Hearing {
    wire: Arc<Wire>,
    tasks: TaskTracker,
    now: Option<(u32, Arc<Queue>, AbortHandle)>,
}

/// News on their way.
#[derive(Debug)]
struct Queue {
    state: Mutex<State>,
    /// Something is to be done.
    stirred: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<News>,
    rows: usize,
    bytes: usize,
    /// So many may go out.
    wanted: u32,
    /// It is to be looked whether others have written.
    look: bool,
}

// === impl Hearing ===

impl Hearing {
    pub(super) fn new(wire: Arc<Wire>, tasks: TaskTracker) -> Self {
        Self { wire, tasks, now: None }
    }

    /// Listens on behalf of a channel, and for nobody else.
    pub(super) fn listen(&mut self, at: (u32, u32), database: Option<Arc<dyn Database>>) {
        let state = State { wanted: WINDOW, ..State::default() };
        let queue = Arc::new(Queue { state: Mutex::new(state), stirred: Notify::new() });
        let (wire, own) = (self.wire.clone(), queue.clone());
        let task = self.tasks.spawn(async move {
            let listening = match database {
                Some(database) => database.listen(own.clone()).await,
                None => Err(EngineError::Closed),
            };
            let listening = match listening {
                Ok(listening) => listening,
                Err(error) => return say(&wire, at, &Report::Answer(Err(error))),
            };
            say(&wire, at, &Report::Answer(Ok(None)));
            loop {
                own.stirred.notified().await;
                if std::mem::take(&mut own.state().look) {
                    listening.look().await;
                }
                while let Some(news) = own.next() {
                    say(&wire, at, &Report::News(news));
                }
            }
        });
        self.forget_now();
        self.now = Some((at.0, queue, task.abort_handle()));
    }

    /// Sends so many more. False if nobody listens on behalf of this channel.
    pub(super) fn more(&self, channel: u32, count: u32) -> bool {
        let Some(queue) = self.of(channel) else { return false };
        {
            let mut state = queue.state();
            state.wanted = state.wanted.saturating_add(count).min(WINDOW);
        }
        queue.stirred.notify_one();
        true
    }

    /// Looks whether others have written.
    pub(super) fn look(&self, channel: u32) {
        if let Some(queue) = self.of(channel) {
            queue.state().look = true;
            queue.stirred.notify_one();
        }
    }

    /// Listens no more. False if nobody does on behalf of this channel.
    pub(super) fn forget(&mut self, channel: u32) -> bool {
        let is_it = self.of(channel).is_some();
        if is_it {
            self.forget_now();
        }
        is_it
    }

    fn of(&self, channel: u32) -> Option<&Arc<Queue>> {
        self.now.as_ref().filter(|(of, ..)| *of == channel).map(|(_, queue, _)| queue)
    }

    fn forget_now(&mut self) {
        if let Some((_, _, task)) = self.now.take() {
            task.abort();
        }
    }
}

// === impl Queue ===

impl Queue {
    /// What may go out next.
    fn next(&self) -> Option<News> {
        let mut state = self.state();
        if state.wanted == 0 {
            return None;
        }
        let news = state.waiting.pop_front()?;
        state.wanted -= 1;
        let (rows, bytes) = size(&news);
        state.rows -= rows;
        state.bytes -= bytes;
        Some(news)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Queue {
    fn hear(&self, news: News) {
        {
            let mut state = self.state();
            let (rows, bytes) = size(&news);
            state.rows += rows;
            state.bytes += bytes;
            state.waiting.push_back(news);
            if ROWS_MAX < state.rows || BYTES_MAX < state.bytes {
                state.waiting = [News::Gap(Untold::Overrun)].into();
                (state.rows, state.bytes) = size(&state.waiting[0]);
            }
        }
        self.stirred.notify_one();
    }
}

fn size(news: &News) -> (usize, usize) {
    match news {
        // A gap takes a place too, so that there are not any number of them.
        News::Gap(_) => (1, 1),
        News::Committed(changes) => (changes.len(), changes.iter().map(rowhouse_engine::Change::size).sum()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rowhouse_engine::{Change, ChangeKind};
    use rowhouse_types::Value;

    fn insert(bytes: usize) -> News {
        News::Committed(vec![Change {
            kind: ChangeKind::Insert,
            table: "t".into(),
            columns: ["a".to_owned()].into(),
            row: Box::new([Value::Text("x".repeat(bytes))]),
        }])
    }

    #[test]
    fn no_more_goes_out_than_was_asked_for_and_no_more_waits_than_may() {
        let state = State { wanted: 1, ..State::default() };
        let queue = Queue { state: Mutex::new(state), stirred: Notify::new() };
        queue.hear(insert(1));
        queue.hear(insert(2));
        assert_eq!(queue.next(), Some(insert(1)));
        assert_eq!(queue.next(), None);
        for _ in 0..3 {
            queue.hear(insert(BYTES_MAX / 2));
        }
        queue.hear(insert(3));
        queue.state().wanted = 9;
        let left: Vec<_> = std::iter::from_fn(|| queue.next()).collect();
        assert_eq!(left, [News::Gap(Untold::Overrun), insert(BYTES_MAX / 2), insert(3)]);
        let state = queue.state();
        assert_eq!((state.rows, state.bytes), (0, 0));
    }
}
