//! The feed of an open database: its window, and who subscribes.
//!
//! Invariants: each subscriber has a lease in here, so that its database is not evicted, and has it
//! until it leaves or is sent away; nobody waits for subscribers: whoever pauses, drops or replaces the
//! database lets their leases go, and each finds out when it next looks.
use super::LiveStatus;
use super::position::Position;
use super::window::{Told, Window};
use crate::book::Book;
use crate::registry::Lease;
use rowhouse_engine::{Change, Database, EngineError, Listener, Listening, News};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long a database without subscribers is listened to, for those who come again.
const LINGER: Duration = Duration::from_secs(60);

/// What one look at the window takes out at most.
const AT_ONCE: usize = 64;

/// The feed of an open database. Cloning yields another handle.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Says that there is something to look at.
    stirred: watch::Sender<()>,
    /// One begins to listen at a time.
    beginning: tokio::sync::Mutex<()>,
    book: Book,
    counts: Arc<Counts>,
}

#[derive(Debug)]
struct State {
    window: Window,
    listening: Option<Arc<dyn Listening>>,
    subscribers: HashMap<u64, Lease>,
    /// The number of who came last.
    last: u64,
    /// Since when nobody subscribes.
    alone: Option<Instant>,
    /// Whether nobody may any more.
    over: bool,
}

/// What is counted of all feeds.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) subscribers: AtomicU64,
    pub(crate) changes: AtomicU64,
    pub(crate) gaps: AtomicU64,
}

/// Why nobody more may subscribe.
#[derive(Debug)]
pub(crate) enum Refused {
    /// As many do as may.
    Full(u32),
    /// The database closes.
    Over,
    /// It was not possible in time.
    Late,
    Engine(EngineError),
}

/// Hears for a feed, which may be gone.
#[derive(Debug)]
struct Ear(Weak<Shared>);

// === impl Live ===

impl Live {
    pub(crate) fn new(book: Book, counts: Arc<Counts>) -> Self {
        let state = State {
            window: Window::new(epoch()),
            listening: None,
            subscribers: HashMap::new(),
            last: 0,
            alone: None,
            over: false,
        };
        let (state, beginning) = (Mutex::new(state), tokio::sync::Mutex::default());
        let shared = Shared { state, stirred: watch::Sender::new(()), beginning, book, counts };
        Self { shared: Arc::new(shared) }
    }

    /// One subscriber more, with its lease; its number, and where the feed is.
    pub(super) async fn enter(
        &self,
        lease: Lease,
        database: &Arc<dyn Database>,
        until: Instant,
    ) -> Result<(u64, Position), Refused> {
        let entering = async {
            let _one = self.shared.beginning.lock().await;
            if self.state().listening.is_none() {
                let listening = database.listen(Arc::new(Ear(Arc::downgrade(&self.shared)))).await;
                let listening = listening.map_err(Refused::Engine)?;
                let mut state = self.state();
                state.window = Window::new(epoch());
                state.listening = Some(listening.into());
            }
            self.add(lease)
        };
        tokio::time::timeout_at(until.into(), entering).await.unwrap_or(Err(Refused::Late))
    }

    fn add(&self, lease: Lease) -> Result<(u64, Position), Refused> {
        let most = self.shared.book.all().live.subscribers;
        let mut state = self.state();
        if state.over {
            return Err(Refused::Over);
        }
        if most as usize <= state.subscribers.len() {
            return Err(Refused::Full(most));
        }
        state.last += 1;
        let number = state.last;
        state.subscribers.insert(number, lease);
        state.alone = None;
        self.shared.counts.subscribers.fetch_add(1, Ordering::Relaxed);
        Ok((number, state.window.now()))
    }

    /// A subscriber has left, if it was not sent away before.
    pub(super) fn leave(&self, number: u64) {
        let left = {
            let mut state = self.state();
            let left = state.subscribers.remove(&number);
            state.note_alone();
            left
        };
        if left.is_some() {
            self.shared.counts.subscribers.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Sends all subscribers away; they may come again.
    pub(crate) fn let_go(&self) {
        let gone = {
            let mut state = self.state();
            let gone = std::mem::take(&mut state.subscribers);
            state.note_alone();
            gone
        };
        if gone.is_empty() {
            return;
        }
        self.shared.counts.subscribers.fetch_sub(gone.len() as u64, Ordering::Relaxed);
        self.shared.stirred.send_replace(());
        // Outside the lock: a lease that ends may close the database.
        drop(gone);
    }

    /// Sends all subscribers away, and lets nobody come any more.
    pub(crate) fn end(&self) {
        let listening = {
            let mut state = self.state();
            state.over = true;
            state.listening.take()
        };
        drop(listening);
        self.let_go();
    }

    /// Stops listening when nobody has subscribed for long. Where somebody does, what is to be looked at, if
    /// nobody does so already.
    pub(crate) fn tend(&self, now: Instant) -> Option<Arc<dyn Listening>> {
        let done = {
            let mut state = self.state();
            match state.alone {
                None => return state.listening.as_ref().filter(|one| Arc::strong_count(one) == 1).cloned(),
                Some(since) if LINGER <= now.saturating_duration_since(since) => state.listening.take(),
                Some(_) => None,
            }
        };
        drop(done);
        None
    }

    /// What was told after `heard`, for the subscriber of this number; none if it was sent away.
    pub(super) fn look(
        &self,
        number: u64,
        heard: &mut u64,
        wanted: impl Fn(&Change) -> bool,
    ) -> Option<Vec<Told>> {
        let state = self.state();
        state.subscribers.contains_key(&number).then(|| state.window.after(heard, AT_ONCE, wanted))
    }

    /// The number that somebody who was here before has heard last, if it can go on.
    pub(super) fn heard_by(&self, from: Position) -> Option<u64> {
        self.state().window.heard_by(from)
    }

    /// Says when there is something to look at.
    pub(super) fn stirred(&self) -> watch::Receiver<()> {
        self.shared.stirred.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("never panics while locked")
    }
}

// === impl Counts ===

impl Counts {
    pub(crate) fn status(&self) -> LiveStatus {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LiveStatus {
            subscribers: load(&self.subscribers),
            changes: load(&self.changes),
            gaps: load(&self.gaps),
        }
    }
}

// === impl State ===

impl State {
    fn note_alone(&mut self) {
        if self.subscribers.is_empty() && self.alone.is_none() {
            self.alone = Some(tokio::time::Instant::now().into_std());
        }
    }
}

// === impl Ear ===

impl Listener for Ear {
    fn hear(&self, news: News) {
        let Some(shared) = self.0.upgrade() else { return };
        let counts = &shared.counts;
        match &news {
            News::Committed(changes) => counts.changes.fetch_add(changes.len() as u64, Ordering::Relaxed),
            News::Gap(_) => counts.gaps.fetch_add(1, Ordering::Relaxed),
        };
        let limits = shared.book.all().live;
        shared.state.lock().expect("never panics while locked").window.keep(news, &limits);
        shared.stirred.send_replace(());
    }
}

/// What tells one telling from all others.
fn epoch() -> u64 {
    RandomState::new().hash_one("feed")
}
