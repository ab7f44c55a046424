//! The limiter against an explicit first-come-first-served model.
//!
//! After each step of any history the two agree on the status, on who was woken
//! in which order, and on what everyone who asks is told.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use proptest::prelude::*;

use super::{Acquire, Limiter, LimiterStatus, Permit, Refused, Resized};

const QUEUE_MAX: u32 = 4;

#[derive(Clone, Debug)]
enum Op {
    Arrive,
    TryAcquire,
    /// Gives back one of the permits.
    Release(usize),
    /// Polls one who waits or was granted, with the waker he used before.
    Ask(usize),
    /// The same with a new waker.
    AskAnew(usize),
    /// Drops one who waits or was granted.
    Cancel(usize),
    Resize(u32),
    /// Sets the limit unless more are out.
    Adjust(u32),
    /// Adds to the limit, or takes from it, whatever it is then; never below what is out.
    AdjustBy(i32),
    Close,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        24 => Just(Op::Arrive),
        8 => Just(Op::TryAcquire),
        16 => any::<usize>().prop_map(Op::Release),
        12 => any::<usize>().prop_map(Op::Ask),
        6 => any::<usize>().prop_map(Op::AskAnew),
        8 => any::<usize>().prop_map(Op::Cancel),
        8 => (1..7u32).prop_map(Op::Resize),
        8 => (1..7u32).prop_map(Op::Adjust),
        8 => (-4..5i32).prop_map(Op::AdjustBy),
        1 => Just(Op::Close),
    ]
}

/// What a caller is told by a poll.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Admitted,
    Refused(Refused),
    Wait,
}

/// Whose waker, and which of his.
type WakerId = (usize, u32);

// The model: a queue of names, and who holds.

struct Model {
    limit: u32,
    held: u32,
    closed: bool,
    queue: VecDeque<WakerId>,
    granted: Vec<usize>,
    woken: Vec<WakerId>,
}

impl Model {
    fn admit(&mut self) -> u32 {
        let before = self.held;
        while self.held < self.limit {
            let Some(first) = self.queue.pop_front() else { break };
            self.held += 1;
            self.granted.push(first.0);
            self.woken.push(first);
        }
        self.held - before
    }

    fn release(&mut self) {
        self.held -= 1;
        self.admit();
    }

    fn try_acquire(&mut self) -> bool {
        let free = !self.closed && self.queue.is_empty() && self.held < self.limit;
        self.held += u32::from(free);
        free
    }

    fn arrive(&mut self, id: WakerId) -> Told {
        if self.closed {
            Told::Refused(Refused::Closed)
        } else if self.try_acquire() {
            Told::Admitted
        } else if self.queue.len() == QUEUE_MAX as usize {
            Told::Refused(Refused::QueueFull)
        } else {
            self.queue.push_back(id);
            Told::Wait
        }
    }

    fn ask(&mut self, id: WakerId) -> Told {
        if let Some(place) = self.granted.iter().position(|&granted| granted == id.0) {
            self.granted.remove(place);
            Told::Admitted
        } else if let Some(waiting) = self.queue.iter_mut().find(|waiting| waiting.0 == id.0) {
            *waiting = id;
            Told::Wait
        } else {
            Told::Refused(Refused::Closed)
        }
    }

    fn cancel(&mut self, name: usize) {
        self.queue.retain(|waiting| waiting.0 != name);
        if let Some(place) = self.granted.iter().position(|&granted| granted == name) {
            self.granted.remove(place);
            self.release();
        }
    }

    fn resize(&mut self, limit: u32) -> Resized {
        let previous = NonZeroU32::new(std::mem::replace(&mut self.limit, limit)).unwrap();
        let admitted = self.admit();
        Resized { previous, excess: self.held.saturating_sub(limit), admitted }
    }

    fn adjust(&mut self, limit: u32) -> Result<Resized, u32> {
        if limit == 0 || limit < self.held { Err(self.held) } else { Ok(self.resize(limit)) }
    }

    fn close(&mut self) {
        self.closed = true;
        self.woken.extend(self.queue.drain(..));
    }

    fn status(&self) -> LimiterStatus {
        LimiterStatus {
            limit: NonZeroU32::new(self.limit).unwrap(),
            held: self.held,
            waiting: u32::try_from(self.queue.len()).unwrap(),
            queue_max: QUEUE_MAX,
            closed: self.closed,
        }
    }
}

// The subject: the limiter, and wakers that write down who was woken.

struct Recorder {
    id: WakerId,
    woken: Arc<Mutex<Vec<WakerId>>>,
}

impl Wake for Recorder {
    fn wake(self: Arc<Self>) {
        self.woken.lock().unwrap().push(self.id);
    }
}

/// The limit, unless more are out, which the error tells.
fn above(status: &LimiterStatus, limit: u32) -> Result<NonZeroU32, u32> {
    NonZeroU32::new(limit).filter(|limit| status.held <= limit.get()).ok_or(status.held)
}

struct Caller {
    id: WakerId,
    waker: Waker,
    acquire: Acquire,
}

struct Subject {
    limiter: Limiter,
    model: Model,
    woken: Arc<Mutex<Vec<WakerId>>>,
    callers: Vec<Caller>,
    permits: Vec<Permit>,
    names: usize,
}

impl Subject {
    fn new(limit: u32) -> Self {
        let (held, closed) = (0, false);
        let (queue, granted, woken) = (VecDeque::new(), Vec::new(), Vec::new());
        Self {
            limiter: Limiter::new(NonZeroU32::new(limit).unwrap(), QUEUE_MAX),
            model: Model { limit, held, closed, queue, granted, woken },
            woken: Arc::default(),
            callers: Vec::new(),
            permits: Vec::new(),
            names: 0,
        }
    }

    fn waker(&self, id: WakerId) -> Waker {
        Waker::from(Arc::new(Recorder { id, woken: self.woken.clone() }))
    }

    /// Polls a caller, who then holds, has gone, or waits on.
    fn poll(&mut self, mut caller: Caller) -> Told {
        match Pin::new(&mut caller.acquire).poll(&mut Context::from_waker(&caller.waker)) {
            Poll::Ready(Ok(permit)) => {
                self.permits.push(permit);
                Told::Admitted
            }
            Poll::Ready(Err(refused)) => Told::Refused(refused),
            Poll::Pending => {
                self.callers.push(caller);
                Told::Wait
            }
        }
    }

    fn caller(&mut self, at: usize) -> Option<Caller> {
        let count = self.callers.len();
        (count > 0).then(|| self.callers.swap_remove(at % count))
    }

    fn step(&mut self, op: &Op) -> Result<(), TestCaseError> {
        match *op {
            Op::Arrive => {
                self.names += 1;
                let id = (self.names, 0);
                let caller = Caller { id, waker: self.waker(id), acquire: self.limiter.acquire() };
                prop_assert_eq!(self.poll(caller), self.model.arrive(id));
            }
            Op::TryAcquire => {
                let permit = self.limiter.try_acquire();
                prop_assert_eq!(permit.is_some(), self.model.try_acquire());
                self.permits.extend(permit);
            }
            Op::Release(at) => {
                let count = self.permits.len();
                if count > 0 {
                    drop(self.permits.swap_remove(at % count));
                    self.model.release();
                }
            }
            Op::Ask(at) => {
                if let Some(caller) = self.caller(at) {
                    let id = caller.id;
                    prop_assert_eq!(self.poll(caller), self.model.ask(id));
                }
            }
            Op::AskAnew(at) => {
                if let Some(mut caller) = self.caller(at) {
                    caller.id.1 += 1;
                    caller.waker = self.waker(caller.id);
                    let id = caller.id;
                    prop_assert_eq!(self.poll(caller), self.model.ask(id));
                }
            }
            Op::Cancel(at) => {
                if let Some(caller) = self.caller(at) {
                    self.model.cancel(caller.id.0);
                    drop(caller);
                }
            }
            Op::Resize(limit) => {
                let resized = self.limiter.resize(NonZeroU32::new(limit).unwrap());
                prop_assert_eq!(resized, self.model.resize(limit));
            }
            Op::Adjust(limit) => {
                let adjusted = self.limiter.adjust(|status| above(status, limit));
                prop_assert_eq!(adjusted, self.model.adjust(limit));
            }
            Op::AdjustBy(by) => {
                let wanted = |status: &LimiterStatus| status.limit.get().saturating_add_signed(by);
                let adjusted = self.limiter.adjust(|status| above(status, wanted(status)));
                let wanted = self.model.limit.saturating_add_signed(by);
                prop_assert_eq!(adjusted, self.model.adjust(wanted));
            }
            Op::Close => {
                self.limiter.close();
                self.model.close();
            }
        }
        prop_assert_eq!(self.limiter.status(), self.model.status());
        prop_assert_eq!(&*self.woken.lock().unwrap(), &self.model.woken);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn any_history_agrees_with_a_queue_of_names(
        limit in 1..5u32,
        ops in proptest::collection::vec(op(), 1..120),
    ) {
        let mut subject = Subject::new(limit);
        for op in &ops {
            subject.step(op)?;
        }
        let Subject { limiter, callers, permits, .. } = subject;
        drop((callers, permits));
        let end = limiter.status();
        prop_assert_eq!((end.held, end.waiting), (0, 0), "all that was granted came back");
    }
}
