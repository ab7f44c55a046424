//! A small elastic pool of threads for work that blocks.
//!
//! Invariants, under one lock: `idle <= threads <= max_threads`; a job waits only while every
//! thread is busy or about to take one; no job is accepted after shutdown, and those accepted
//! before it still run. Who gets the next thread is [`queue`]'s to say. `threads` does not count who
//! stepped [`aside`]; of those there are no more than `readers`, and who must stop may come back over
//! `max_threads`, for as long as it takes to tidy up.
mod aside;
mod queue;

use queue::{Job, Party, Queue};
use rowhouse_engine::EngineError;
use std::fmt;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How many threads, and how much may wait for them.
#[derive(Clone, Copy, Debug)]
pub struct ExecutorConfig {
    /// Threads that stay when there is nothing to do.
    pub min_threads: usize,
    /// The most threads.
    pub max_threads: NonZeroUsize,
    /// The most jobs that may wait for a thread.
    pub queue: usize,
    /// How long a thread above the minimum stays idle before it ends.
    pub keep_alive: Duration,
    /// The most jobs that may wait for somebody to read their rows, each with a thread that is not counted.
    pub readers: usize,
    /// How long such a job waits for rows to be read before it fails.
    pub patience: Duration,
}

/// Threads for work that blocks, shared by all databases. Cloning yields another handle.
///
/// Jobs of one handle and its clones take turns with those of other parties: see [`Executor::party`].
///
/// Dropping the last handle shuts it down.
#[derive(Clone, Debug)]
pub struct Executor {
    owner: Arc<Owner>,
    party: Arc<Party>,
}

/// Shuts down when the last handle goes; the threads hold only [`Shared`].
#[derive(Debug)]
struct Owner(Arc<Shared>);

struct Shared {
    config: ExecutorConfig,
    state: Mutex<State>,
    work: Condvar,
    /// For those aside who wait to come back.
    places: Condvar,
}

struct State {
    jobs: Queue,
    threads: usize,
    idle: usize,
    /// Those who gave up their places.
    aside: aside::Count,
    started: u64,
    handles: Vec<JoinHandle<()>>,
    shut_down: bool,
}

// === impl ExecutorConfig ===

impl Default for ExecutorConfig {
    fn default() -> Self {
        Self {
            min_threads: 1,
            max_threads: NonZeroUsize::new(64).expect("64 is not zero"),
            queue: 100_000,
            keep_alive: Duration::from_secs(10),
            readers: 512,
            patience: Duration::from_secs(10),
        }
    }
}

// === impl Executor ===

impl Executor {
    /// An executor without threads; they start when there is work.
    pub fn new(config: ExecutorConfig) -> Self {
        let state = State {
            jobs: Queue::default(),
            threads: 0,
            idle: 0,
            aside: aside::Count::default(),
            started: 0,
            handles: Vec::new(),
            shut_down: false,
        };
        let shared =
            Shared { config, state: Mutex::new(state), work: Condvar::new(), places: Condvar::new() };
        Self { owner: Arc::new(Owner(Arc::new(shared))), party: Arc::default() }
    }

    /// A handle to the same threads, whose jobs are a party of their own: where jobs wait for a thread,
    /// each party has one done in turn, however many it has waiting.
    #[must_use]
    pub fn party(&self) -> Self {
        Self { owner: self.owner.clone(), party: Arc::default() }
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        let state = self.owner.0.lock();
        state.threads + state.aside.threads()
    }

    /// Takes no more jobs, runs those it has, and waits for the threads to end.
    ///
    /// Called on one of its own threads it does not wait.
    pub fn shut_down(&self) {
        self.owner.0.shut_down();
    }

    /// Runs `job` with `argument` on some thread, soon; gives the argument back when too many
    /// jobs wait or it is shut down.
    pub(crate) fn submit<A: Send + 'static>(
        &self,
        argument: A,
        job: impl FnOnce(A) + Send + 'static,
    ) -> Result<(), A> {
        let shared = &self.owner.0;
        let mut state = shared.lock();
        if state.shut_down || shared.config.queue <= state.jobs.len() {
            return Err(argument);
        }
        if state.idle <= state.jobs.len()
            && state.threads < shared.config.max_threads.get()
            && !shared.start_thread(&mut state)
            && state.threads == 0
        {
            return Err(argument);
        }
        state.jobs.push(&self.party, Box::new(move || job(argument)));
        drop(state);
        shared.work.notify_one();
        Ok(())
    }

    /// Runs `job` on some thread and waits for what it returns.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not stop the job.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, EngineError> {
        let (give, take) = tokio::sync::oneshot::channel();
        let submitted = self.submit((), move |()| drop(give.send(job())));
        if submitted.is_err() {
            return Err(crate::errors::too_many_waiting());
        }
        take.await.map_err(|_| EngineError::Lost)
    }
}

// === impl Owner ===

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.shut_down();
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Jobs run outside the lock and every step below it leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start_thread(self: &Arc<Self>, state: &mut State) -> bool {
        state.handles.retain(|handle| !handle.is_finished());
        let shared = self.clone();
        let name = format!("sqlite-{}", state.started);
        match thread::Builder::new().name(name).spawn(move || shared.work()) {
            Ok(handle) => {
                state.started += 1;
                state.threads += 1;
                state.handles.push(handle);
                true
            }
            Err(error) => {
                tracing::debug!(%error, "no further thread could be started");
                false
            }
        }
    }

    /// The life of a thread.
    fn work(&self) {
        while let Some(job) = self.next_job() {
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::debug!("a job panicked");
            }
        }
    }

    fn next_job(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if self.config.max_threads.get() < state.threads {
                state.threads -= 1;
                return None;
            }
            if state.passes_place_on() {
                self.places.notify_one();
                return None;
            }
            if let Some(job) = state.jobs.pop() {
                return Some(job);
            }
            if state.shut_down {
                state.threads -= 1;
                return None;
            }
            state.idle += 1;
            let waited = self.work.wait_timeout(state, self.config.keep_alive);
            let (back, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = back;
            state.idle -= 1;
            let spare = self.config.min_threads < state.threads;
            if timeout.timed_out() && spare && state.jobs.is_empty() {
                state.threads -= 1;
                return None;
            }
        }
    }

    fn shut_down(&self) {
        self.lock().shut_down = true;
        self.work.notify_all();
        let own = thread::current().id();
        loop {
            // One that steps aside may start another still.
            let handles = std::mem::take(&mut self.lock().handles);
            if handles.is_empty() || handles.iter().any(|handle| handle.thread().id() == own) {
                return;
            }
            for handle in handles {
                if handle.join().is_err() {
                    tracing::debug!("a thread of the executor panicked");
                }
            }
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Executor")
            .field("threads", &state.threads)
            .field("idle", &state.idle)
            .field("aside", &state.aside.threads())
            .field("waiting", &state.jobs.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    fn executor(max_threads: usize, queue: usize) -> Executor {
        Executor::new(ExecutorConfig {
            min_threads: 0,
            max_threads: NonZeroUsize::new(max_threads).unwrap(),
            queue,
            keep_alive: Duration::from_secs(60),
            ..ExecutorConfig::default()
        })
    }

    #[test]
    fn threads_start_when_all_are_busy() {
        let executor = executor(3, 9);
        let together = Arc::new(Barrier::new(4));
        for _ in 0..3 {
            let together = together.clone();
            assert!(
                executor
                    .submit((), move |()| {
                        together.wait();
                    })
                    .is_ok()
            );
        }
        together.wait();
        assert_eq!(executor.threads(), 3);
    }

    #[test]
    fn one_job_too_many_is_given_back() {
        let executor = executor(1, 1);
        let (running, release) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let job = {
            let (running, release) = (running.clone(), release.clone());
            move |()| {
                running.wait();
                release.wait();
            }
        };
        assert!(executor.submit((), job).is_ok());
        running.wait();
        assert!(executor.submit((), |()| ()).is_ok());
        assert!(executor.submit((), |()| ()).is_err());
        release.wait();
    }

    #[tokio::test]
    async fn a_panic_loses_the_call_and_nothing_else() {
        let executor = executor(1, 9);
        let lost = executor.call(|| panic!("on purpose")).await;
        assert!(matches!(lost, Err::<(), _>(EngineError::Lost)));
        assert_eq!(executor.call(|| 7).await.unwrap(), 7);
    }

    #[test]
    fn one_party_s_queue_is_not_another_s_wait() {
        let executor = executor(1, 9_999);
        let (running, release) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let held = {
            let (running, release) = (running.clone(), release.clone());
            move |()| {
                running.wait();
                release.wait();
            }
        };
        assert!(executor.submit((), held).is_ok());
        running.wait();
        let (bully, modest, done) = (executor.party(), executor.party(), Arc::new(Mutex::new(0)));
        for _ in 0..500 {
            let done = done.clone();
            assert!(bully.submit((), move |()| *done.lock().unwrap() += 1).is_ok());
        }
        let (give, take) = std::sync::mpsc::sync_channel(1);
        let before = done.clone();
        let look = move |()| give.send(*before.lock().unwrap()).expect("somebody waits");
        assert!(modest.submit((), look).is_ok());
        release.wait();
        assert_eq!(take.recv(), Ok(1), "jobs of the bully's that were done before");
        executor.shut_down();
        assert_eq!(*done.lock().unwrap(), 500);
    }

    #[test]
    fn shutdown_runs_what_was_accepted_and_ends_the_threads() {
        let executor = executor(1, 9);
        let ran = Arc::new(Mutex::new(0));
        for _ in 0..5 {
            let ran = ran.clone();
            assert!(executor.submit((), move |()| *ran.lock().unwrap() += 1).is_ok());
        }
        executor.shut_down();
        assert_eq!(*ran.lock().unwrap(), 5);
        assert_eq!(executor.threads(), 0);
        assert!(executor.submit((), |()| ()).is_err());
    }

    #[test]
    fn the_last_handle_may_be_dropped_on_one_of_its_threads() {
        let executor = executor(1, 9);
        let own = executor.clone();
        let (done, wait) = std::sync::mpsc::sync_channel(1);
        assert!(
            executor
                .submit((), move |()| {
                    drop(own);
                    done.send(()).expect("somebody waits");
                })
                .is_ok()
        );
        drop(executor);
        assert!(wait.recv().is_ok());
    }
}
