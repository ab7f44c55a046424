//! The one ledger of a journal: what has been recorded and is not safe yet, in the order of the calls.
//!
//! Invariants, under one lock: at most [`QUEUE`] things wait, those in the writer's hands included; times
//! do not decrease; what was taken and could not be written is put back before what came later; nothing
//! is accepted once closed.
use super::counts::JournalCounts;
use super::entry::{Action, Cause, Entry, Interface};
use super::error::JournalError;
use super::memory::Memory;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tokio::sync::{Notify, oneshot};

/// The most that may wait to be written.
const QUEUE: usize = 16_384;

/// Told when it is safe, or that it is not.
pub(super) type Tell = oneshot::Sender<Result<u64, JournalError>>;

/// What becomes of something that is to be recorded.
#[derive(Debug)]
pub(super) enum Accepted {
    /// It is safe, or never will be.
    Ended(Result<u64, JournalError>),
    /// It waits to be written.
    Waits(oneshot::Receiver<Result<u64, JournalError>>),
}

/// Something to be written.
#[derive(Debug)]
pub(super) enum Work {
    /// An entry, and when it was recorded.
    Entry(SystemTime, Entry),
    /// A value to keep under a key, or to forget.
    Keep(String, Option<String>),
}

/// Something to be written, and who waits for it, until it was told how that went.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) work: Work,
    pub(super) tell: Option<Tell>,
}

/// What has been recorded.
#[derive(Debug)]
pub(super) struct Ledger {
    state: Mutex<State>,
    /// Something has come, or the journal was closed.
    arrived: Notify,
}

#[derive(Debug)]
struct State {
    place: Place,
    /// Of the last entry; time does not run backwards here, even if the clock does.
    last: SystemTime,
    counts: JournalCounts,
    /// How many things the writer has in its hands.
    in_hand: usize,
    is_failing: bool,
    is_closed: bool,
    /// Entries lost since the last one that was accepted.
    lost: u64,
}

/// Where entries go.
#[derive(Debug)]
enum Place {
    Memory(Memory),
    /// To the writer.
    Disk(VecDeque<Waiting>),
}

// === impl Ledger ===

impl Ledger {
    /// Of a journal in memory.
    pub(super) fn in_memory() -> Self {
        Self::new(Place::Memory(Memory::new()), SystemTime::UNIX_EPOCH, JournalCounts::default())
    }

    /// Of a journal whose last entry was recorded then, and which has counted so many.
    pub(super) fn on_disk(last: SystemTime, counts: JournalCounts) -> Self {
        Self::new(Place::Disk(VecDeque::new()), last, counts)
    }

    fn new(place: Place, last: SystemTime, counts: JournalCounts) -> Self {
        let state = State { place, last, counts, in_hand: 0, is_failing: false, is_closed: false, lost: 0 };
        Self { state: Mutex::new(state), arrived: Notify::new() }
    }

    /// Takes an entry on.
    pub(super) fn record(&self, entry: Entry) -> Accepted {
        let entry = entry.bounded();
        let told = self.state().record(entry);
        self.arrived.notify_one();
        told
    }

    /// Takes a value to keep on.
    pub(super) fn keep(&self, key: &str, value: Option<&str>) -> Accepted {
        let told = self.state().push(Work::Keep(key.to_owned(), value.map(str::to_owned)));
        self.arrived.notify_one();
        told
    }

    /// Looks at a journal in memory; `None` of one on the disk.
    pub(super) fn memory<T>(&self, look: impl FnOnce(&Memory) -> T) -> Option<T> {
        match &self.state().place {
            Place::Memory(memory) => Some(look(memory)),
            Place::Disk(_) => None,
        }
    }

    pub(super) fn counts(&self) -> JournalCounts {
        let state = self.state();
        let owed = match &state.place {
            Place::Disk(waiting) if state.is_failing => (waiting.len() + state.in_hand) as u64,
            _ => 0,
        };
        JournalCounts { owed, ..state.counts.clone() }
    }

    /// Accepts nothing more.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.arrived.notify_one();
    }

    /// The oldest things that wait, at most so many; waits until there are any. `None` when nothing
    /// waits and nothing more will come.
    pub(super) async fn take(&self, most: usize) -> Option<Vec<Waiting>> {
        loop {
            let batch = self.state().take(most);
            if !batch.is_empty() {
                return Some(batch);
            }
            if self.is_closed() {
                return None;
            }
            self.arrived().await;
        }
    }

    /// Returns when something has come since the last look, or the journal was closed.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Puts back what could not be written, before all that came later, and tells everybody who waits
    /// so. Whether it went well before.
    pub(super) fn put_back(&self, batch: Vec<Waiting>, error: &JournalError) -> bool {
        let (first, tells) = self.state().put_back(batch);
        for tell in tells {
            // Nobody may wait any more.
            let _unread = tell.send(Err(error.clone()));
        }
        first
    }

    /// What was taken is safe but for the rest, which is put back. Whether writing had failed before.
    pub(super) fn written(&self, rest: Vec<Waiting>) -> bool {
        let mut state = self.state();
        state.in_hand = 0;
        if let Place::Disk(waiting) = &mut state.place {
            rest.into_iter().rev().for_each(|one| waiting.push_front(one));
        }
        state.counts.commits += 1;
        std::mem::take(&mut state.is_failing)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn record(&mut self, entry: Entry) -> Accepted {
        if self.is_closed {
            return Accepted::Ended(Err(JournalError::Closed));
        }
        self.last = self.last.max(SystemTime::now());
        self.counts.add(&entry);
        let (at, is_full) = (self.last, self.room() == 0);
        if let Place::Memory(memory) = &mut self.place {
            return Accepted::Ended(Ok(memory.record(at, entry)));
        }
        if is_full {
            self.lost += 1;
            self.counts.lost += 1;
            return Accepted::Ended(Err(JournalError::QueueFull { limit: QUEUE }));
        }
        self.push(Work::Entry(at, entry))
    }

    fn push(&mut self, work: Work) -> Accepted {
        if self.is_closed {
            return Accepted::Ended(Err(JournalError::Closed));
        }
        self.own_up();
        let is_full = self.room() == 0;
        match (&mut self.place, work) {
            (Place::Memory(memory), Work::Keep(key, value)) => {
                memory.keep(&key, value.as_deref());
                Accepted::Ended(Ok(0))
            }
            (Place::Memory(memory), Work::Entry(at, entry)) => Accepted::Ended(Ok(memory.record(at, entry))),
            (Place::Disk(_), _) if is_full => Accepted::Ended(Err(JournalError::QueueFull { limit: QUEUE })),
            (Place::Disk(waiting), work) => {
                let (tell, told) = oneshot::channel();
                waiting.push_back(Waiting { work, tell: Some(tell) });
                Accepted::Waits(told)
            }
        }
    }

    fn take(&mut self, most: usize) -> Vec<Waiting> {
        self.own_up();
        let Place::Disk(waiting) = &mut self.place else { return Vec::new() };
        let count = most.min(waiting.len());
        self.in_hand = count;
        waiting.drain(..count).collect()
    }

    fn put_back(&mut self, batch: Vec<Waiting>) -> (bool, Vec<Tell>) {
        self.in_hand = 0;
        let mut tells = Vec::new();
        if let Place::Disk(waiting) = &mut self.place {
            batch.into_iter().rev().for_each(|one| waiting.push_front(one));
            tells.extend(waiting.iter_mut().filter_map(|one| one.tell.take()));
        }
        (!std::mem::replace(&mut self.is_failing, true), tells)
    }

    /// Says in the journal itself how many entries it has lost, as soon as there is room to say it.
    fn own_up(&mut self) {
        let (lost, room, at) = (self.lost, self.room(), self.last);
        if let Place::Disk(waiting) = &mut self.place
            && 0 < lost
            && 0 < room
        {
            let cause = Cause::new(Interface::Library, "rowhouse").because("could not be written");
            let entry = Entry { to: Some(lost.to_string()), ..Entry::of(Action::Lost, cause) };
            waiting.push_back(Waiting { work: Work::Entry(at, entry), tell: None });
            self.lost = 0;
        }
    }

    /// How many more may wait.
    fn room(&self) -> usize {
        match &self.place {
            Place::Memory(_) => usize::MAX,
            Place::Disk(waiting) => QUEUE.saturating_sub(waiting.len() + self.in_hand),
        }
    }
}
