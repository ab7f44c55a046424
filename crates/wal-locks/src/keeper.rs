//! When all give up what they keep.
use crate::lock::Lock;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// For how long a lock is kept at most, or twice that where it was taken just as such a time ended; uses included but for
/// the last.
pub const WINDOW: Duration = Duration::from_millis(200);

/// For how long after that none is kept.
pub const BREATH: Duration = Duration::from_millis(5);

/// Sees to it that nothing is kept for long, by a thread of its own, which sleeps while nothing is kept.
/// Cloning yields another handle; the thread ends with the last.
#[derive(Clone, Debug)]
pub struct Keeper {
    inner: Arc<Inner>,
    _thread: Arc<Running>,
}

#[derive(Debug, Default)]
struct Inner {
    /// How many windows have ended.
    windows: AtomicU64,
    /// Nothing is kept now.
    pauses: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What is kept since this window. Bounded by the number of connections.
    kept: Vec<Arc<Lock>>,
    ended: bool,
}

/// Ends the thread when this is dropped.
#[derive(Debug)]
struct Running(Arc<Inner>);

// === impl Keeper ===

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When there can be no thread more.
    pub fn start() -> std::io::Result<Self> {
        let inner: Arc<Inner> = Arc::default();
        let works = inner.clone();
        thread::Builder::new().name("wal-locks".to_owned()).spawn(move || works.run())?;
        Ok(Self { _thread: Arc::new(Running(inner.clone())), inner })
    }

    /// The number of the window that is now.
    pub(crate) fn window(&self) -> u64 {
        self.inner.windows.load(Ordering::Relaxed)
    }

    /// Whether something may be kept that is used since this window.
    pub(crate) fn allows(&self, window: u64) -> bool {
        !self.inner.pauses.load(Ordering::Relaxed) && window == self.window()
    }

    /// Gives up what `lock` keeps when the window ends. To be called once in a window, and without the keeper's lock.
    pub(crate) fn remember(&self, lock: Arc<Lock>) {
        let mut state = self.inner.lock();
        state.kept.push(lock);
        if state.kept.len() == 1 {
            self.inner.changed.notify_one();
        }
    }
}

// === impl Inner ===

impl Inner {
    fn run(&self) {
        while self.wait_for_first() {
            self.wait(WINDOW);
            self.end_window();
            self.wait(BREATH);
            self.pauses.store(false, Ordering::Relaxed);
        }
    }

    /// All give up what they keep; what is used is given up with its use.
    fn end_window(&self) {
        self.pauses.store(true, Ordering::Relaxed);
        self.windows.fetch_add(1, Ordering::Relaxed);
        let kept = mem::take(&mut self.lock().kept);
        for lock in kept {
            lock.release();
        }
    }

    /// Waits until something is kept; false once nobody keeps anything any more.
    fn wait_for_first(&self) -> bool {
        let state = self.lock();
        let state = self.changed.wait_while(state, |state| state.kept.is_empty() && !state.ended);
        !state.unwrap_or_else(PoisonError::into_inner).ended
    }

    /// Waits for so long, or until the end.
    fn wait(&self, time: Duration) {
        let waited = self.changed.wait_timeout_while(self.lock(), time, |state| !state.ended);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Running ===

impl Drop for Running {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.changed.notify_one();
    }
}
