//! The ledger of an allotment: who holds, who keeps, who waits, what is ending.
//!
//! Between any two steps these hold, asserted by [`State::check`]:
//!
//! 1. **Never more than the limit:** a step that raises `held` leaves `held <= limit`.
//! 2. **No room while someone waits:** a waiter exists only if `held >= limit`.
//! 3. **Nothing is kept unused while someone waits** or more is held than may be, unless as many are
//!    ending as that needs.
//! 4. **Who waits keeps nothing:** a party with a waiter has no thing that is unused.
//! 5. **What is kept or ending is held.**

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::mem;
use std::num::NonZeroU32;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::member::{Arrival, Grant, Id, Idle, Made, Member, Rank, Ticket};
use super::{AllotmentStatus, PartyStatus, Tidy};

/// What a step caused: to be done when the lock is released.
pub(super) struct Effects<T> {
    pub(super) wake: Vec<Waker>,
    /// Of no more use: only to be dropped.
    pub(super) spent: Option<Waker>,
    /// Counted as ending already.
    pub(super) taken: Vec<(T, Id, Made)>,
}

/// The one ledger of an allotment.
pub(super) struct State<T> {
    limit: NonZeroU32,
    turn: Duration,
    held: u32,
    idle: u32,
    ending: u32,
    waiting: u32,
    reclaimed: u64,
    /// Counts steps; also what serials, tickets and parties are called.
    clock: u64,
    /// The latest time that was told.
    now: Option<Instant>,
    members: HashMap<Id, Member<T>>,
    /// Those with a waiter.
    queue: BTreeSet<Rank>,
    /// Those that may keep something, by when they used one last or earlier: put right when it is read, so
    /// that a use costs nothing here.
    keepers: BTreeSet<(u64, Id)>,
}

// === impl Effects ===

impl<T> Default for Effects<T> {
    fn default() -> Self {
        Self { wake: Vec::new(), spent: None, taken: Vec::new() }
    }
}

// === impl State ===

impl<T> State<T> {
    pub(super) fn new(limit: NonZeroU32, turn: Duration) -> Self {
        Self {
            limit,
            turn,
            held: 0,
            idle: 0,
            ending: 0,
            waiting: 0,
            reclaimed: 0,
            clock: 0,
            now: None,
            members: HashMap::new(),
            queue: BTreeSet::new(),
            keepers: BTreeSet::new(),
        }
    }

    pub(super) fn held(&self) -> u32 {
        self.held
    }

    pub(super) fn status(&self) -> AllotmentStatus {
        let Self { limit, held, idle, ending, waiting, reclaimed, .. } = *self;
        AllotmentStatus { limit, held, idle, ending, waiting, reclaimed }
    }

    pub(super) fn party(&self, id: Id) -> PartyStatus {
        let Some(member) = self.members.get(&id) else { return PartyStatus::default() };
        let idle = u32::try_from(member.idle.len()).unwrap_or(u32::MAX);
        PartyStatus { held: member.held, idle, waiting: member.waiting(), reclaimed: member.reclaimed }
    }

    pub(super) fn join(&mut self) -> Id {
        let id = Id(self.tick());
        let member = Member::new(id);
        self.members.insert(id, member);
        id
    }

    pub(super) fn resize(&mut self, limit: NonZeroU32) {
        self.limit = limit;
    }

    pub(super) fn set_turn(&mut self, turn: Duration) {
        self.turn = turn;
    }

    /// What this party kept, the one used last.
    pub(super) fn take(&mut self, id: Id) -> Option<Idle<T>> {
        let used = self.tick();
        let member = self.members.get_mut(&id)?;
        let idle = member.idle.pop_back()?;
        member.used = used;
        self.idle -= 1;
        Some(idle)
    }

    /// What this party kept, or room, or a place in the queue. By invariant 2 it barges past nobody.
    pub(super) fn arrive(&mut self, id: Id, now: Instant) -> Arrival<T> {
        self.now = Some(now);
        if let Some(idle) = self.take(id) {
            return Arrival::Thing(idle);
        }
        let tick = self.tick();
        let is_free = self.held < self.limit.get();
        self.change(id, |member| {
            member.used = tick;
            if is_free {
                (member.held, member.served) = (member.held + 1, tick);
            } else {
                member.waiting.insert(Ticket(tick), None);
            }
        });
        match is_free {
            true => {
                self.held += 1;
                Arrival::Room(self.made(now))
            }
            false => {
                self.waiting += 1;
                Arrival::Queued(Ticket(tick))
            }
        }
    }

    /// What a waiter was granted, if anything; keeps his waker if not.
    pub(super) fn answer(
        &mut self,
        id: Id,
        ticket: Ticket,
        waker: &Waker,
        effects: &mut Effects<T>,
    ) -> Option<Grant<T>> {
        let member = self.members.get_mut(&id).expect("a party with a waiter is there");
        if let Some(grant) = member.granted.remove(&ticket) {
            return Some(grant);
        }
        let known = member.waiting.get_mut(&ticket).expect("he waits or was granted");
        match known {
            Some(known) if known.will_wake(waker) => {}
            known => effects.spent = known.replace(waker.clone()),
        }
        None
    }

    /// Takes a waiter out, passing on what was granted to him.
    pub(super) fn leave(&mut self, id: Id, ticket: Ticket, effects: &mut Effects<T>) {
        let mut own = None;
        let granted = self.change(id, |member| {
            own = member.waiting.remove(&ticket);
            member.granted.remove(&ticket)
        });
        if let Some(waker) = own {
            self.waiting -= 1;
            effects.spent = waker;
        }
        match granted {
            None => {}
            Some(Grant::Room(_)) => self.release(id, false),
            Some(Grant::Thing(thing, made)) => {
                let now = self.now.unwrap_or(made.began);
                self.give_back((thing, id, made), now, effects);
            }
        }
        self.forget(id);
    }

    /// A thing has ended, or was not made.
    pub(super) fn release(&mut self, id: Id, is_ending: bool) {
        self.held -= 1;
        self.change(id, |member| match is_ending {
            true => member.ending -= 1,
            false => member.held -= 1,
        });
        self.ending -= u32::from(is_ending);
        self.forget(id);
    }

    /// A thing is of use still: to whom?
    pub(super) fn give_back(
        &mut self,
        (thing, id, mut made): (T, Id, Made),
        now: Instant,
        effects: &mut Effects<T>,
    ) {
        self.now = Some(now);
        let tick = self.tick();
        let is_over = self.limit.get() < self.held - self.ending;
        let member = self.members.get_mut(&id).expect("a party that holds is there");
        member.used = tick;
        let (own, held, is_closed) = (member.waiting(), member.held - 1, member.is_closed);
        let others = self.waiting - own;
        if is_closed && own == 0 {
            return self.end((thing, id, made), effects);
        }
        // Whom nothing ends for yet.
        let is_due = self.ending < others;
        let keeps_turn = now.saturating_duration_since(made.began) < self.turn;
        let next = self.queue.iter().find(|rank| rank.id != id).copied();
        let goes_on = own != 0
            && next.is_none_or(|next| held < next.held || (held == next.held && keeps_turn) || !is_due);
        if is_over || (is_due && !goes_on) {
            self.count_reclaimed(id);
            return self.end((thing, id, made), effects);
        }
        if others == 0 {
            made.began = now;
        }
        if own == 0 {
            return self.keep((thing, id, made), now);
        }
        self.waiting -= 1;
        let waker = self.change(id, |member| {
            let (ticket, waker) = member.waiting.pop_first().expect("there is one");
            member.granted.insert(ticket, Grant::Thing(thing, made));
            member.served = tick;
            waker
        });
        effects.wake.extend(waker);
    }

    /// Ends what a party has kept for too long.
    pub(super) fn tidy(&mut self, id: Id, tidy: &Tidy, effects: &mut Effects<T>) {
        self.now = Some(tidy.now);
        let Some(member) = self.members.get_mut(&id) else { return };
        let mut kept = VecDeque::with_capacity(member.idle.len());
        let mut old = Vec::new();
        let mut surplus = member.idle.len().saturating_sub(tidy.keep as usize);
        for idle in mem::take(&mut member.idle) {
            let is_stale = 0 < surplus && tidy.idle <= tidy.now.saturating_duration_since(idle.since);
            if is_stale || idle.made.is_older_than(tidy.lifetime, tidy.now) {
                surplus = surplus.saturating_sub(1);
                old.push(idle);
            } else {
                kept.push_back(idle);
            }
        }
        member.idle = kept;
        for idle in old {
            self.idle -= 1;
            self.end((idle.thing, id, idle.made), effects);
        }
    }

    /// A party keeps nothing from now on. What it has kept is counted as ending.
    pub(super) fn close(&mut self, id: Id) -> VecDeque<Idle<T>> {
        let member = self.members.get_mut(&id).expect("a party is there until its handle is gone");
        member.is_closed = true;
        let idle = mem::take(&mut member.idle);
        let count = u32::try_from(idle.len()).unwrap_or(u32::MAX);
        member.held -= count;
        member.ending += count;
        self.idle -= count;
        self.ending += count;
        idle
    }

    /// A party shares no longer. It is remembered until it holds nothing.
    pub(super) fn part(&mut self, id: Id, effects: &mut Effects<T>) {
        let kept = self.close(id).into_iter();
        effects.taken.extend(kept.map(|idle| (idle.thing, id, idle.made)));
        if let Some(member) = self.members.get_mut(&id) {
            member.has_left = true;
        }
        self.forget(id);
    }

    /// Grants room to those who are next, and ends what is kept for those who wait still.
    pub(super) fn settle(&mut self, effects: &mut Effects<T>) {
        while self.held < self.limit.get() {
            let Some(id) = self.queue.first().map(|rank| rank.id) else { break };
            self.held += 1;
            self.waiting -= 1;
            let served = self.tick();
            let made = self.made(self.now.expect("who waits has told the time"));
            let waker = self.change(id, |member| {
                let (ticket, waker) = member.waiting.pop_first().expect("it is in the queue");
                member.held += 1;
                member.served = served;
                member.granted.insert(ticket, Grant::Room(made));
                waker
            });
            effects.wake.extend(waker);
        }
        while self.idle != 0 && self.ending < self.needed() {
            let (used, id) = self.keepers.pop_first().expect("who keeps something is among them");
            let member = self.members.get_mut(&id).expect("a party that holds is there");
            member.keeper = None;
            let is_latest = member.used == used;
            let oldest = if is_latest { member.idle.pop_front() } else { None };
            self.note_keeper(id);
            if let Some(idle) = oldest {
                self.idle -= 1;
                self.count_reclaimed(id);
                self.end((idle.thing, id, idle.made), effects);
            }
        }
    }

    /// Asserts the invariants after a step that began with so many held.
    ///
    /// In debug builds, and under loom, whose models run optimised.
    pub(super) fn check(&self, held_before: u32) {
        if cfg!(any(debug_assertions, loom)) {
            let limit = self.limit.get();
            assert!(self.held <= held_before || self.held <= limit, "more than the limit");
            assert!(self.waiting == 0 || limit <= self.held, "room while someone waits");
            assert!(self.idle == 0 || self.needed() <= self.ending, "kept unused while someone waits");
            assert!(self.idle + self.ending <= self.held, "what is kept or ending is not held");
            assert_eq!(self.waiting == 0, self.queue.is_empty(), "who waits is in the queue");
        }
    }

    /// How many are to be ending: one for each who waits, and what is held beyond the limit.
    fn needed(&self) -> u32 {
        self.waiting.saturating_add(self.held.saturating_sub(self.limit.get()))
    }

    fn keep(&mut self, (thing, id, made): (T, Id, Made), now: Instant) {
        self.idle += 1;
        let member = self.members.get_mut(&id).expect("a party that holds is there");
        member.idle.push_back(Idle { thing, made, since: now });
        self.note_keeper(id);
    }

    /// Has a party among the keepers that keeps something.
    fn note_keeper(&mut self, id: Id) {
        let member = self.members.get_mut(&id).expect("a party that keeps is there");
        if member.keeper.is_none() && !member.idle.is_empty() {
            member.keeper = Some(member.used);
            self.keepers.insert((member.used, id));
        }
    }

    fn count_reclaimed(&mut self, id: Id) {
        self.reclaimed += 1;
        self.members.get_mut(&id).expect("a party that holds is there").reclaimed += 1;
    }

    /// A thing is to end. It is not kept any more, if it was.
    fn end(&mut self, (thing, id, made): (T, Id, Made), effects: &mut Effects<T>) {
        self.ending += 1;
        self.change(id, |member| {
            member.held -= 1;
            member.ending += 1;
        });
        effects.taken.push((thing, id, made));
    }

    /// Changes a party, which may change where it stands in the queue.
    fn change<R>(&mut self, id: Id, change: impl FnOnce(&mut Member<T>) -> R) -> R {
        let member = self.members.get_mut(&id).expect("a party that holds or waits is there");
        if !member.waiting.is_empty() {
            self.queue.remove(&member.rank(id));
        }
        let result = change(member);
        if !member.waiting.is_empty() {
            self.queue.insert(member.rank(id));
        }
        result
    }

    /// Forgets a party that has left and holds nothing.
    fn forget(&mut self, id: Id) {
        let Some(member) = self.members.get(&id) else { return };
        let holds = member.held + member.ending != 0 || !member.waiting.is_empty();
        if member.has_left && !holds {
            debug_assert!(member.granted.is_empty() && member.idle.is_empty(), "what it has is held");
            if let Some(used) = member.keeper {
                self.keepers.remove(&(used, id));
            }
            self.members.remove(&id);
        }
    }

    fn made(&mut self, now: Instant) -> Made {
        Made { born: now, began: now, serial: self.tick() }
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

#[cfg(all(test, not(loom)))]
impl<T> State<T> {
    pub(super) fn was_granted(&self, id: Id, ticket: Ticket) -> bool {
        self.members[&id].granted.contains_key(&ticket)
    }

    pub(super) fn parties(&self) -> usize {
        self.members.len()
    }
}
