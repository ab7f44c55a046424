//! Any history of steps: never more than the limit, nobody forgotten, nothing lost.
//!
//! The counts of the ledger are compared with what the callers have after each step; in the end everything
//! is given back and ended, and then everybody who waited has been served.

use super::*;
use futures::FutureExt;
use proptest::prelude::*;
use std::sync::Mutex as StdMutex;

const PARTIES: usize = 4;

#[derive(Clone, Copy, Debug)]
enum Op {
    Ask(usize),
    Take(usize),
    /// Gives back one of what is lent.
    GiveBack(usize),
    /// Ends one of what is lent instead.
    Break(usize),
    /// Asks on behalf of one who waits.
    Poll(usize),
    /// One who waits, or was granted, leaves.
    Cancel(usize),
    /// One of what is ending has ended.
    Ended(usize),
    Resize(u32),
    Tidy(usize),
    Close(usize),
    /// A party leaves, and another one comes.
    Replace(usize),
    Later(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let any_of = || 0..PARTIES;
    prop_oneof![
        24 => any_of().prop_map(Op::Ask),
        4 => any_of().prop_map(Op::Take),
        16 => any::<usize>().prop_map(Op::GiveBack),
        4 => any::<usize>().prop_map(Op::Break),
        12 => any::<usize>().prop_map(Op::Poll),
        6 => any::<usize>().prop_map(Op::Cancel),
        12 => any::<usize>().prop_map(Op::Ended),
        4 => (1..5u32).prop_map(Op::Resize),
        2 => any_of().prop_map(Op::Tidy),
        1 => any_of().prop_map(Op::Close),
        1 => any_of().prop_map(Op::Replace),
        8 => (1..80u64).prop_map(Op::Later),
    ]
}

type Ending = Arc<StdMutex<Vec<(u64, Unit<u64>)>>>;

struct Subject {
    allotment: Allotment<u64>,
    ending: Ending,
    parties: Vec<Party<u64>>,
    /// Of which party: by its place, which another may have taken since.
    lent: Vec<(usize, u64, Unit<u64>)>,
    waiting: Vec<(usize, Waiting<u64>)>,
    made: u64,
    now: Instant,
}

impl Subject {
    fn new(limit: u32) -> Self {
        let ending = Ending::default();
        let taken = ending.clone();
        let discard = move |thing, unit| taken.lock().unwrap().push((thing, unit));
        let allotment = Allotment::new(NonZeroU32::new(limit).unwrap(), Duration::from_millis(100), discard);
        let parties = (0..PARTIES).map(|_| allotment.join()).collect();
        let (lent, waiting, made) = (Vec::new(), Vec::new(), 0);
        Self { allotment, ending, parties, lent, waiting, made, now: Instant::now() }
    }

    fn got(&mut self, party: usize, granted: Granted<u64>) {
        match granted {
            Granted::Thing(lent) => self.lent.push((party, lent.thing, lent.unit)),
            Granted::Room(unit) => {
                self.made += 1;
                self.lent.push((party, self.made, unit));
            }
        }
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Ask(party) => match self.parties[party].ask(self.now) {
                Asked::Granted(granted) => self.got(party, granted),
                Asked::Wait(waiting) => self.waiting.push((party, waiting)),
            },
            Op::Take(party) => {
                if let Some(lent) = self.parties[party].take() {
                    self.got(party, Granted::Thing(lent));
                }
            }
            Op::GiveBack(at) if !self.lent.is_empty() => {
                let (party, thing, unit) = self.lent.swap_remove(at % self.lent.len());
                self.parties[party].give_back(thing, unit, self.now);
            }
            Op::Break(at) if !self.lent.is_empty() => {
                drop(self.lent.swap_remove(at % self.lent.len()));
            }
            Op::Poll(at) if !self.waiting.is_empty() => self.poll(at % self.waiting.len()),
            Op::Cancel(at) if !self.waiting.is_empty() => {
                drop(self.waiting.swap_remove(at % self.waiting.len()));
            }
            Op::Ended(at) => {
                let ended = {
                    let mut ending = self.ending.lock().unwrap();
                    let count = ending.len();
                    (count != 0).then(|| ending.swap_remove(at % count))
                };
                drop(ended);
            }
            Op::Resize(limit) => self.allotment.resize(NonZeroU32::new(limit).unwrap()),
            Op::Tidy(party) => {
                let (idle, lifetime) = (Duration::from_millis(50), Duration::from_millis(300));
                self.parties[party].tidy(&Tidy { now: self.now, keep: 1, idle, lifetime });
            }
            Op::Close(party) => drop(self.parties[party].close()),
            Op::Replace(party) => {
                // As a pool: nobody waits any more when it goes.
                self.waiting.retain(|(of, _)| *of != party);
                self.parties[party] = self.allotment.join();
            }
            Op::Later(ms) => self.now += Duration::from_millis(ms),
            Op::GiveBack(_) | Op::Break(_) | Op::Poll(_) | Op::Cancel(_) => {}
        }
    }

    fn poll(&mut self, at: usize) {
        let (party, granted) = {
            let (party, waiting) = &mut self.waiting[at];
            (*party, waiting.now_or_never())
        };
        if let Some(granted) = granted {
            drop(self.waiting.swap_remove(at));
            self.got(party, granted);
        }
    }

    /// The counts are what the callers have; what was granted and not picked up yet is held.
    fn check(&self) {
        let status = self.allotment.status();
        let ending = self.ending.lock().unwrap().len();
        assert_eq!(status.ending as usize, ending);
        let granted = self.waiting.len() - status.waiting as usize;
        assert_eq!(status.held as usize, self.lent.len() + granted + ending + status.idle as usize);
    }

    /// Everything is given back and ended until nobody waits.
    fn finish(&mut self) {
        for _ in 0..1_000 {
            for at in (0..self.waiting.len()).rev() {
                self.poll(at);
            }
            if self.waiting.is_empty() {
                break;
            }
            self.run(Op::GiveBack(0));
            self.run(Op::Ended(0));
            self.check();
        }
        assert!(self.waiting.is_empty(), "somebody waits in vain");
        while !self.lent.is_empty() {
            self.run(Op::GiveBack(0));
        }
        self.parties.clear();
        self.ending.lock().unwrap().clear();
        assert_eq!(self.allotment.status().held, 0);
        assert_eq!(self.allotment.step(|state, _effects| state.parties()), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_history_exceeds_the_limit_or_forgets_anybody(
        limit in 1..5u32,
        ops in proptest::collection::vec(op(), 1..120),
    ) {
        let mut subject = Subject::new(limit);
        for op in ops {
            subject.run(op);
            subject.check();
        }
        subject.finish();
    }
}
