//! Streams over HTTP between two requests, found by their batons.
//!
//! A baton is good for one request, the next one, of the one who got it, to the same database. It is a number
//! that tells which stream, and 128 random bits that are new in each answer.
//!
//! Invariants: a slot is counted for its database and for who has it from its first moment to its last, and
//! is removed on every way out: closed, expired, or with the request that had it. No slot outlives the drain.
use crate::error::Fault;
use crate::shared::Shared;
use crate::stream::{Asker, Fail, Stream, Texts};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rowhouse_access::Identity;
use rowhouse_gateway::Expired;
use rowhouse_types::{ErrorCode, Target};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use subtle::ConstantTimeEq;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::sleep_until;

/// The most streams that the server keeps open between requests.
pub(crate) const STREAMS_MAX: usize = 65_536;

/// The most of one database.
pub(crate) const STREAMS_PER_DATABASE_MAX: u32 = 4_096;

/// The most of one identity, on all databases.
pub(crate) const STREAMS_PER_IDENTITY_MAX: u32 = 16_384;

/// The most bytes of SQL that the streams between requests have stored, together.
pub(crate) const TEXTS_MAX: usize = 256 << 20;

/// The most of those of one database.
pub(crate) const TEXTS_PER_DATABASE_MAX: usize = 32 << 20;

/// The most of those of one identity.
pub(crate) const TEXTS_PER_IDENTITY_MAX: usize = 64 << 20;

const SECRET: usize = 16;

/// Bytes of a baton: which stream, and its secret.
const BATON: usize = 8 + SECRET;

type Secret = [u8; SECRET];

/// The streams that are open between requests.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    slots: HashMap<u64, Slot>,
    by_database: HashMap<Target, Count>,
    by_identity: HashMap<Arc<str>, Count>,
    /// Of SQL that they have stored.
    bytes: usize,
    next: u64,
}

/// How many streams, and bytes of the SQL that they have stored.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    streams: u32,
    bytes: usize,
}

#[derive(Debug)]
struct Slot {
    target: Target,
    identity: Arc<Identity>,
    secret: Secret,
    bytes: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// A request has it.
    Busy,
    /// It waits for its next request.
    Parked { kept: Box<Kept>, asker: Arc<Asker>, since: Instant, keeper: AbortHandle },
}

/// What a stream over HTTP keeps.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) stream: Stream,
    pub(crate) texts: Texts,
}

/// A place for a stream, while a request has it. Dropping it closes the stream.
#[derive(Debug)]
pub(crate) struct Lodging {
    shared: Arc<Shared>,
    key: u64,
    /// Of its next baton: there is one before anything is done that the client must hear of.
    secret: Secret,
    is_parked: bool,
}

// === impl Streams ===

impl Streams {
    /// A place for a new stream.
    ///
    /// # Errors
    ///
    /// When there are as many as there may be, or the system has no random bits.
    pub(super) fn reserve(shared: &Arc<Shared>, asker: &Asker) -> Result<Lodging, Fail> {
        let secret = draw()?;
        let key = shared.streams.table().add(&asker.target, &asker.identity, secret)?;
        Ok(Lodging { shared: shared.clone(), key, secret, is_parked: false })
    }

    /// The stream of a baton, which is good no more.
    ///
    /// # Errors
    ///
    /// When there is none, or it is not theirs to use: they are not told which. When the system has no random
    /// bits: the baton stays good.
    pub(super) fn take(shared: &Arc<Shared>, asker: &Asker, baton: &str) -> Result<(Lodging, Kept), Fail> {
        let (key, secret) = read(baton).ok_or_else(Fail::expired)?;
        let next = draw()?;
        let taken = shared.streams.table().take(key, (&secret, next), asker);
        let (kept, keeper) = taken.ok_or_else(Fail::expired)?;
        keeper.abort();
        Ok((Lodging { shared: shared.clone(), key, secret: next, is_parked: false }, *kept))
    }

    /// When a stream that is parked since `of` is to be given up, and why.
    fn until(&self, shared: &Shared, key: u64, of: Instant) -> Option<(Instant, Expired)> {
        let table = self.table();
        let State::Parked { kept, asker, since, .. } = &table.slots.get(&key)?.state else { return None };
        if *since != of {
            return None;
        }
        let timeout = shared.context.patience.get().stream;
        let idle = (*since + timeout, Expired::Idle(timeout));
        Some(kept.stream.until(asker).filter(|until| until.0 < idle.0).unwrap_or(idle))
    }

    fn expire(&self, key: u64, of: Instant) {
        let mut table = self.table();
        let is_it = |slot: &Slot| matches!(&slot.state, State::Parked { since, .. } if *since == of);
        let expired = if table.slots.get(&key).is_some_and(is_it) { table.remove(key) } else { None };
        drop(table);
        // Outside the lock: it may roll a transaction back.
        drop(expired);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Table ===

impl Table {
    fn add(&mut self, target: &Target, identity: &Arc<Identity>, secret: Secret) -> Result<u64, Fail> {
        let who = identity.who.as_ref();
        let by_database = self.by_database.get(target).map_or(0, |count| count.streams);
        let by_identity = who.and_then(|who| self.by_identity.get(who)).map_or(0, |count| count.streams);
        if STREAMS_MAX <= self.slots.len() {
            return Err(too_many(STREAMS_MAX, "on this server"));
        }
        if STREAMS_PER_DATABASE_MAX <= by_database {
            return Err(too_many(STREAMS_PER_DATABASE_MAX, "of this database"));
        }
        if STREAMS_PER_IDENTITY_MAX <= by_identity {
            return Err(too_many(STREAMS_PER_IDENTITY_MAX, "with these credentials"));
        }
        self.by_database.entry(target.clone()).or_default().streams += 1;
        if let Some(who) = who {
            self.by_identity.entry(who.clone()).or_default().streams += 1;
        }
        self.next += 1;
        let slot =
            Slot { target: target.clone(), identity: identity.clone(), secret, bytes: 0, state: State::Busy };
        self.slots.insert(self.next, slot);
        Ok(self.next)
    }

    /// Says how many bytes of SQL a stream has stored from now on.
    fn store(&mut self, key: u64, bytes: usize) -> Result<(), Fail> {
        let Some(slot) = self.slots.get_mut(&key) else { return Ok(()) };
        let more = |count: usize| count - slot.bytes + bytes;
        let all = more(self.bytes);
        let by_database = self.by_database.entry(slot.target.clone()).or_default();
        let of_database = more(by_database.bytes);
        let by_identity = slot.identity.who.as_ref().and_then(|who| self.by_identity.get_mut(who));
        let of_identity = by_identity.as_ref().map_or(0, |count| more(count.bytes));
        if slot.bytes < bytes {
            let bounds = [
                (all, TEXTS_MAX, "on this server"),
                (of_database, TEXTS_PER_DATABASE_MAX, "of this database"),
                (of_identity, TEXTS_PER_IDENTITY_MAX, "with these credentials"),
            ];
            if let Some((_, most, of)) = bounds.into_iter().find(|&(bytes, most, _)| most < bytes) {
                return Err(too_much(most, of));
            }
        }
        (self.bytes, by_database.bytes, slot.bytes) = (all, of_database, bytes);
        if let Some(by_identity) = by_identity {
            by_identity.bytes = of_identity;
        }
        Ok(())
    }

    /// Takes a stream by its secret, which is the other one from now on.
    fn take(
        &mut self,
        key: u64,
        (secret, next): (&Secret, Secret),
        asker: &Asker,
    ) -> Option<(Box<Kept>, AbortHandle)> {
        let slot = self.slots.get_mut(&key)?;
        let is_theirs = bool::from(slot.secret.ct_eq(secret))
            && slot.target == asker.target
            && slot.identity.is_same(&asker.identity);
        if !is_theirs {
            return None;
        }
        match std::mem::replace(&mut slot.state, State::Busy) {
            State::Busy => None,
            State::Parked { kept, keeper, .. } => {
                slot.secret = next;
                Some((kept, keeper))
            }
        }
    }

    fn remove(&mut self, key: u64) -> Option<Slot> {
        let slot = self.slots.remove(&key)?;
        self.bytes -= slot.bytes;
        less(&mut self.by_database, &slot.target, slot.bytes);
        if let Some(who) = &slot.identity.who {
            less(&mut self.by_identity, who, slot.bytes);
        }
        Some(slot)
    }
}

/// One less of them; none are not kept.
fn less<K: Hash + Eq>(counts: &mut HashMap<K, Count>, key: &K, bytes: usize) {
    let Some(count) = counts.get_mut(key) else { return };
    count.streams -= 1;
    count.bytes -= bytes;
    if count.streams == 0 {
        counts.remove(key);
    }
}

fn draw() -> Result<Secret, Fail> {
    let mut secret = [0; SECRET];
    let internal = |_none| Fail::from(Fault::new(ErrorCode::Internal, "internal error"));
    getrandom::fill(&mut secret).map_err(internal)?;
    Ok(secret)
}

fn too_much(most: usize, of: &str) -> Fail {
    let message = format!("the open streams {of} store as many as {most} bytes of SQL");
    let fault = Fault::new(ErrorCode::QueueFull, message);
    Fail::named("SQL_STORE_TOO_MANY", fault.hint("send the text itself, or close texts that are not needed"))
}

fn too_many(most: impl std::fmt::Display, of: &str) -> Fail {
    let fault = Fault::new(ErrorCode::QueueFull, format!("as many as {most} streams are open {of}"));
    Fail::named("TOO_MANY_STREAMS", fault.hint("close streams that are not needed, or try again later"))
}

// === impl Lodging ===

impl Lodging {
    /// The baton for the next request of the stream.
    pub(super) fn baton(&self) -> String {
        let mut bytes = [0; BATON];
        bytes[..8].copy_from_slice(&self.key.to_be_bytes());
        bytes[8..].copy_from_slice(&self.secret);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Counts the bytes of SQL that the stream has stored.
    ///
    /// # Errors
    ///
    /// When those of all streams are too many.
    pub(super) fn store(&self, bytes: usize) -> Result<(), Fail> {
        self.shared.streams.table().store(self.key, bytes)
    }

    /// Keeps the stream until the request that has its baton, or until it expires.
    pub(super) fn park(mut self, kept: Kept, asker: Arc<Asker>) {
        if kept.stream.is_over() || self.shared.context.drain.is_draining() {
            return;
        }
        let since = tokio::time::Instant::now().into_std();
        let keeping = keep(self.shared.clone(), self.key, since, kept.stream.notices());
        let mut table = self.shared.streams.table();
        if let Some(slot) = table.slots.get_mut(&self.key) {
            let keeper = self.shared.spawn(keeping);
            slot.state = State::Parked { kept: Box::new(kept), asker, since, keeper };
            self.is_parked = true;
        }
        drop(table);
    }
}

impl Drop for Lodging {
    fn drop(&mut self) {
        if !self.is_parked {
            let removed = self.shared.streams.table().remove(self.key);
            drop(removed);
        }
    }
}

/// Waits until a parked stream is to be given up, and does so.
async fn keep(shared: Arc<Shared>, key: u64, since: Instant, mut notices: Option<watch::Receiver<bool>>) {
    while let Some((until, why)) = shared.streams.until(&shared, key, since) {
        let now = tokio::time::Instant::now().into_std();
        if until <= now || why == Expired::Ended {
            break;
        }
        let noticed = async {
            match &mut notices {
                Some(notices) => notices.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = shared.context.drain.draining() => break,
            noticed = noticed => if noticed.is_err() {
                // A database that was closed says nothing any more.
                notices = None;
            },
            () = sleep_until(until.into()) => {}
        }
    }
    shared.streams.expire(key, since);
}

fn read(baton: &str) -> Option<(u64, Secret)> {
    let mut bytes = [0; BATON];
    if URL_SAFE_NO_PAD.decode_slice(baton, &mut bytes) != Ok(BATON) {
        return None;
    }
    let (key, secret) = bytes.split_at(8);
    Some((u64::from_be_bytes(key.try_into().ok()?), secret.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(table: &mut Table, target: &Target, identity: &Arc<Identity>) -> Result<u64, Fail> {
        table.add(target, identity, [0; SECRET])
    }

    #[test]
    fn sql_stored_by_streams_is_bounded_together_and_room_comes_back_with_each() {
        const ONE: usize = 1 << 20;
        let mut table = Table::default();
        let named = |name: &str| Target::Named(name.parse().expect("a name"));
        let who = |name: &str| Arc::new(Identity::new(Some(name.into()), Vec::new(), None));
        let me = who("me");
        let mut keys = Vec::new();
        for database in ["a", "b"] {
            for _ in 0..TEXTS_PER_DATABASE_MAX / ONE {
                keys.push(add(&mut table, &named(database), &me).expect("room"));
                table.store(keys[keys.len() - 1], ONE).expect("room");
            }
            let other = add(&mut table, &named(database), &who("you")).expect("room");
            let refused = table.store(other, 1).expect_err("the database has no more");
            assert_eq!(refused.error().code, "SQL_STORE_TOO_MANY");
            assert!(refused.error().message.contains("of this database store as many as 33554432 bytes"));
        }
        let mine = add(&mut table, &named("c"), &me).expect("room");
        let refused = table.store(mine, 1).expect_err("I have no more");
        assert!(refused.error().message.contains("with these credentials"));
        table.store(keys[0], ONE / 2).expect("less is always possible");
        table.store(mine, ONE / 2).expect("room");
        keys.into_iter().for_each(|key| drop(table.remove(key)));
        assert_eq!(table.bytes, ONE / 2);
        drop(table.remove(mine));
        assert_eq!((table.bytes, table.by_identity.len()), (0, 1));
    }

    #[test]
    fn what_is_no_baton_is_read_as_none() {
        let baton = URL_SAFE_NO_PAD.encode([7; BATON]);
        assert_eq!(read(&baton), Some((0x0707_0707_0707_0707, [7; SECRET])));
        for other in ["", "x", &baton[1..], &format!("{baton}AAAA"), &baton.replace('B', "+")] {
            assert_eq!(read(other), None, "{other:?}");
        }
    }

    #[test]
    fn streams_are_counted_for_their_database_and_their_owner_until_they_are_gone() {
        let mut table = Table::default();
        let target = Target::Default;
        let me = Arc::new(Identity::new(Some("me".into()), Vec::new(), None));
        let keys: Vec<u64> =
            (0..STREAMS_PER_DATABASE_MAX).map(|_| add(&mut table, &target, &me).expect("room")).collect();
        let refused = add(&mut table, &target, &me).expect_err("as many as may be");
        assert!(refused.error().message.contains("4096 streams are open of this database"));
        assert!(add(&mut table, &Target::Named("other".parse().expect("a name")), &me).is_ok());
        keys.into_iter().for_each(|key| drop(table.remove(key)));
        assert!(add(&mut table, &target, &Arc::new(Identity::anybody())).is_ok());
        assert_eq!((table.by_database.len(), table.by_identity.len()), (2, 1));
    }
}
