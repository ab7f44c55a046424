//! Whose the places are, and who gives one up when all are taken.
//!
//! A place belongs to the client that had the database opened, until the client leaves; then, as
//! that of a client who is not known, it belongs to nobody: nobody counts as one more client. The
//! rule:
//!
//! 1. The database unused for longest goes if it has been unused for the fair window, or if no two
//!    clients that are there hold or want places: plain LRU, while no working set is at stake.
//! 2. Else, a client that would hold more than its share, which is the places divided by those who
//!    hold or want any, gives up the one of its own that is unused for longest.
//! 3. Else, whoever holds most places gives up the one that is unused for longest.
//!
//! Invariant: a database is in the common order exactly if it is in the order of one share.
use lru::LruCache;
use rowhouse_types::DatabaseName;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

/// Who had a database opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Owner(pub(crate) u64);

/// Who asks for a place, and what decides who gives one up for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) owner: Owner,
    pub(super) now: Instant,
}

/// The idle databases in their order, and whose the places are.
#[derive(Debug)]
pub(super) struct Shares {
    places: usize,
    window: Duration,
    /// The one whose last use ended first in front.
    idle: LruCache<DatabaseName, (Owner, Instant)>,
    /// Those who hold or want a place: no more than places and waiters.
    owners: HashMap<Owner, Share>,
    /// Of those with as many places, nobody is last, and so gives up first.
    by_places: BTreeSet<(usize, Reverse<Owner>)>,
    /// Who has come and not left.
    clients: HashSet<Owner>,
}

#[derive(Debug)]
struct Share {
    places: usize,
    wanted: usize,
    idle: LruCache<DatabaseName, ()>,
}

impl Owner {
    /// Clients who left, and those who do not say who they are.
    pub(crate) const NOBODY: Self = Self(0);
}

impl Shares {
    pub(super) fn new(places: usize, window: Duration) -> Self {
        let idle = LruCache::unbounded();
        let (owners, by_places, clients) = (HashMap::new(), BTreeSet::new(), HashSet::new());
        Self { places, window, idle, owners, by_places, clients }
    }

    /// There are so many places from now on, and this window.
    pub(super) fn resize(&mut self, places: usize, window: Duration) {
        (self.places, self.window) = (places, window);
    }

    /// A client has come.
    pub(super) fn enter(&mut self, owner: Owner) {
        self.clients.insert(owner);
    }

    /// How many databases are idle.
    pub(super) fn idle(&self) -> usize {
        self.idle.len()
    }

    /// One more is waited for.
    pub(super) fn want(&mut self, owner: Owner) {
        self.change(owner, |share| share.wanted += 1);
    }

    /// One less is waited for.
    pub(super) fn forgo(&mut self, owner: Owner) {
        self.change(owner, |share| share.wanted -= 1);
    }

    /// A place is taken.
    pub(super) fn take(&mut self, owner: Owner) {
        self.change(owner, |share| share.places += 1);
    }

    /// A place is given back.
    pub(super) fn free(&mut self, owner: Owner) {
        self.change(owner, |share| share.places -= 1);
    }

    /// A database of the owner's is not used any more.
    pub(super) fn rest(&mut self, name: &DatabaseName, claim: Claim) {
        let owner = self.present(claim.owner);
        self.idle.put(name.clone(), (owner, claim.now));
        let share = self.owners.get_mut(&owner).expect("who owns a place has a share");
        share.idle.put(name.clone(), ());
    }

    /// An idle database is used again, or given up.
    pub(super) fn rouse(&mut self, name: &DatabaseName) {
        if let Some((owner, _)) = self.idle.pop(name)
            && let Some(share) = self.owners.get_mut(&owner)
        {
            share.idle.pop(name);
        }
    }

    /// Takes the idle database out that has to go for what the claimant waits for, if any is idle.
    pub(super) fn give_up(&mut self, claim: Claim) -> Option<DatabaseName> {
        let name = self.choose(claim)?;
        self.rouse(&name);
        Some(name)
    }

    /// Takes out the idle database unused for longest.
    pub(super) fn give_up_oldest(&mut self) -> Option<DatabaseName> {
        let (name, _) = self.idle.peek_lru()?;
        let name = name.clone();
        self.rouse(&name);
        Some(name)
    }

    /// The client has left; what it had opened belongs to nobody in particular.
    pub(super) fn leave(&mut self, owner: Owner) {
        self.clients.remove(&owner);
        let Some(left) = self.owners.remove(&owner) else { return };
        self.by_places.remove(&(left.places, Reverse(owner)));
        self.change(Owner::NOBODY, |share| {
            share.places += left.places;
            share.wanted += left.wanted;
        });
        let mut idle = left.idle;
        while let Some((name, ())) = idle.pop_lru() {
            let (of, _) = self.idle.peek_mut(&name).expect("in both orders");
            *of = Owner::NOBODY;
            let nobody = self.owners.get_mut(&Owner::NOBODY).expect("it holds this place");
            nobody.idle.put(name, ());
        }
    }

    fn choose(&self, claim: Claim) -> Option<DatabaseName> {
        let (oldest, &(_, since)) = self.idle.peek_lru()?;
        let there = self.owners.len() - usize::from(self.owners.contains_key(&Owner::NOBODY));
        if there < 2 || self.window <= claim.now.saturating_duration_since(since) {
            return Some(oldest.clone());
        }
        let asker = self.owners.get(&self.present(claim.owner)).expect("who waits has a share");
        let fair = (self.places / self.owners.len()).max(1);
        if fair < asker.places + asker.wanted
            && let Some((own, ())) = asker.idle.peek_lru()
        {
            return Some(own.clone());
        }
        let largest_first = self.by_places.iter().rev();
        let most = largest_first.filter_map(|(_, Reverse(owner))| self.owners[owner].idle.peek_lru()).next();
        most.map(|(name, ())| name.clone())
    }

    /// The owner, if it has not left since.
    fn present(&self, owner: Owner) -> Owner {
        if self.clients.contains(&owner) { owner } else { Owner::NOBODY }
    }

    fn change(&mut self, owner: Owner, change: impl FnOnce(&mut Share)) {
        let owner = self.present(owner);
        let new = || Share { places: 0, wanted: 0, idle: LruCache::unbounded() };
        let share = self.owners.entry(owner).or_insert_with(new);
        let before = share.places;
        change(share);
        let (after, used) = (share.places, 0 < share.places + share.wanted);
        if before != after || !used {
            self.by_places.remove(&(before, Reverse(owner)));
        }
        if used {
            self.by_places.insert((after, Reverse(owner)));
        } else {
            self.owners.remove(&owner);
        }
    }
}
