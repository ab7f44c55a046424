//! The handle to the ledger: it waits, wakes, tells and records; the ledger decides.
use super::change::{Change, ChangeError, Changed};
use super::guest::Guest;
use super::ledger::{Arrival, Ledger};
use super::room::Room;
use super::seat::ClientInfo;
use crate::event::{Event, Observer};
use crate::journal::{Action, Cause, Entry, Journal};
use rowhouse_sync::{Limiter, Permit};
use rowhouse_types::{ErrorCode, ErrorKind, Reportable};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// The most clients at a time that are told at length that they are one too many.
const WORDS_MAX: NonZeroU32 = NonZeroU32::new(64).expect("not zero");

/// For how long a stranger is left alone: clients that come together shake hands one after the other, also
/// where a quarter of the limit is one.
const GRACE: Duration = Duration::from_millis(20);

/// The client connections of every listener. Cloning yields another handle.
#[derive(Clone, Debug)]
pub struct Clients {
    shared: Arc<Shared>,
}

/// What the client connections are kept with.
#[derive(Debug)]
pub struct ClientsParts {
    /// The most clients connected at once.
    pub limit: NonZeroU32,
    /// The most of them that have not said who they are; a quarter of the limit bounds them as well.
    pub handshake_limit: NonZeroU32,
    /// Who hears of what happens.
    pub observer: Arc<dyn Observer>,
    /// Where changes are recorded.
    pub journal: Journal,
}

/// The client connections at one moment, as enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientsStatus {
    /// The limit in force.
    pub limit: NonZeroU32,
    /// Clients connected.
    pub active: u32,
    /// How many of them have not said who they are.
    pub unidentified: u32,
    /// The most that may be let in without having said who they are.
    pub unidentified_limit: NonZeroU32,
    /// Connections refused since the start because the limit was reached.
    pub refused: u64,
    /// How many are connected beyond a limit that was lowered; nobody is let in until they have gone.
    pub over: u32,
}

/// As many clients are connected as may be.
#[derive(Debug, thiserror::Error)]
#[error("the client limit of {limit} connections is reached")]
pub struct ClientsFull {
    /// The limit in force.
    pub limit: NonZeroU32,
    /// Clients connected.
    pub active: u32,
    /// The right to tell the client so, as far as its protocol can. Without it the connection is
    /// closed at once: as many as may be are being told.
    pub word: Option<Word>,
}

/// The right of a client that is one too many to be told so, within a bounded time.
#[derive(Debug)]
#[must_use = "dropping it gives the right back"]
pub struct Word {
    _permit: Permit,
}

#[derive(Debug)]
struct Shared {
    ledger: Mutex<Ledger>,
    /// Told when there may be room for a newcomer who waits.
    room: Notify,
    words: Limiter,
    observer: Arc<dyn Observer>,
    journal: Journal,
}

// === impl Clients ===

impl Clients {
    /// No client is connected.
    pub fn new(parts: ClientsParts) -> Self {
        Self::with_grace(parts, GRACE)
    }

    /// The same, with another time for which a stranger is left alone.
    pub(super) fn with_grace(parts: ClientsParts, grace: Duration) -> Self {
        let ClientsParts { limit, handshake_limit, observer, journal } = parts;
        let ledger = Mutex::new(Ledger::new(limit, handshake_limit, grace));
        let (room, words) = (Notify::new(), Limiter::new(WORDS_MAX, 0));
        Self { shared: Arc::new(Shared { ledger, room, words, observer, journal }) }
    }

    /// Takes a permit for a connection that was accepted.
    ///
    /// Where too many have not said who they are, or the limit is reached and one of them is there, the
    /// oldest of the address with the most is sent away, and his leaving waited for. Who has only just come
    /// is left alone for a moment.
    ///
    /// # Errors
    ///
    /// When the limit is reached and all have said who they are, or a lowered limit drains.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes no permit; somebody may have been sent away in vain.
    pub async fn admit(&self, protocol: &'static str, from: SocketAddr) -> Result<Guest, ClientsFull> {
        let admitted = self.try_admit(protocol, from).await;
        admitted.map_err(|(limit, active)| {
            self.step(Ledger::count_refusal);
            self.shared.observer.observe(&Event::ClientRefused { limit });
            let word = self.shared.words.try_acquire().map(|permit| Word { _permit: permit });
            ClientsFull { limit, active, word }
        })
    }

    /// The same for somebody who was refused before and has the word still: neither counted nor told
    /// to operators again.
    ///
    /// # Errors
    ///
    /// As [`Clients::admit`]; the word stays his.
    ///
    /// # Cancel safety
    ///
    /// As [`Clients::admit`].
    pub async fn admit_after_all(
        &self,
        protocol: &'static str,
        from: SocketAddr,
        _word: &Word,
    ) -> Result<Guest, ClientsFull> {
        let admitted = self.try_admit(protocol, from).await;
        admitted.map_err(|(limit, active)| ClientsFull { limit, active, word: None })
    }

    async fn try_admit(&self, protocol: &'static str, from: SocketAddr) -> Result<Guest, (NonZeroU32, u32)> {
        let mut cut = None;
        loop {
            let mut room = std::pin::pin!(self.shared.room.notified());
            // From here on: who leaves before it is awaited counts.
            room.as_mut().enable();
            match self.step(|ledger| ledger.arrive(protocol, from, cut)) {
                Arrival::In(seat) => return Ok(Guest::new(self.clone(), seat)),
                Arrival::Full { limit, active } => return Err((limit, active)),
                Arrival::Wait => {}
                Arrival::Soon(left) => {
                    // Either way it is looked again.
                    let _either = timeout(left, room).await;
                    continue;
                }
                Arrival::Cut(seat, limit) => {
                    cut = Some(seat.id);
                    seat.end.cancel();
                    self.shared.observer.observe(&Event::HandshakesCrowded { from, limit });
                }
            }
            room.await;
        }
    }

    /// The open files that clients of one listener may take, where this process may have so many.
    pub fn room(&self, open_files: Option<u64>) -> Room {
        Room::of(open_files, self.shared.observer.clone())
    }

    /// The client connections now, as enforced.
    pub fn status(&self) -> ClientsStatus {
        self.step(|ledger| {
            let permits = ledger.permits();
            ClientsStatus {
                limit: permits.limit,
                active: permits.held,
                unidentified: ledger.unidentified(),
                unidentified_limit: ledger.strangers_max(),
                refused: ledger.refused(),
                over: permits.held.saturating_sub(permits.limit.get()),
            }
        })
    }

    /// Who is connected, in the order of arrival.
    pub fn list(&self) -> Vec<ClientInfo> {
        let members: Vec<_> = self.step(|ledger| ledger.members().collect());
        members.into_iter().map(|(seat, identified)| seat.info(identified)).collect()
    }

    /// Closes a connection; `false` if there is none of this number.
    ///
    /// What it was doing is interrupted, and its transaction rolled back.
    pub fn end(&self, id: u64, cause: Cause) -> bool {
        let Some(seat) = self.step(|ledger| ledger.end(id)) else { return false };
        self.shared.observer.observe(&Event::ClientEnded { id, from: seat.from, cause: &cause });
        let from = Some(format!("{} {} {}", seat.protocol, seat.from, seat.id));
        let entry = Entry {
            action: Action::CloseConnection,
            cause,
            database: None,
            from,
            to: None,
            active: None,
            result: Ok(()),
        };
        // Whether it is safe on disk concerns the journal: the connection is closed all the same.
        drop(self.shared.journal.record(entry));
        seat.end.cancel();
        true
    }

    /// Changes the limit. When this returns, the change is in force, and the journal has it in the
    /// order of the changes; refused ones as well.
    ///
    /// The cost depends neither on the limit nor on how many are connected.
    ///
    /// # Errors
    ///
    /// When the new limit is none, or below what is active without `drain`; nothing was changed.
    pub fn change(&self, change: Change, cause: Cause) -> Result<Changed, ChangeError> {
        let told = cause.clone();
        let changed = self.step(|ledger| {
            let applied = ledger.change(change);
            let (from, to, active) = match &applied {
                Ok(applied) => (applied.from, i64::from(applied.to.get()), applied.active),
                Err(error) => (error.limit(), error.requested(), error.active()),
            };
            let entry = Entry {
                action: Action::ClientLimit,
                cause,
                database: None,
                from: Some(from.to_string()),
                to: Some(to.to_string()),
                active: Some(active),
                result: applied.as_ref().map(drop).map_err(ToString::to_string),
            };
            let recording = self.shared.journal.record(entry);
            applied.map(|applied| Changed {
                from: applied.from,
                to: applied.to,
                active: applied.active,
                recording,
            })
        });
        match &changed {
            Ok(Changed { from, to, active, .. }) => {
                self.shared.room.notify_waiters();
                let (from, to, active) = (*from, *to, *active);
                let event = Event::ClientLimitChanged { from, to, active, cause: &told };
                self.shared.observer.observe(&event);
            }
            Err(error) => {
                self.shared.observer.observe(&Event::ClientLimitKept { error, cause: &told });
            }
        }
        changed
    }

    /// Changes how many may be that have not said who they are, beside a quarter of the limit.
    ///
    /// Those who are beyond a lower one stay; who comes after them is let in for the oldest.
    pub fn set_handshake_limit(&self, limit: NonZeroU32) {
        self.step(|ledger| ledger.set_handshake_limit(limit));
        self.shared.room.notify_waiters();
    }

    /// A stranger has said who he is; `false` if he has to leave.
    pub(super) fn identify(&self, id: u64) -> bool {
        let identified = self.step(|ledger| ledger.identify(id));
        self.shared.room.notify_waiters();
        identified
    }

    /// A connection has ended.
    pub(super) fn leave(&self, id: u64) {
        let seat = self.step(|ledger| ledger.leave(id));
        self.shared.room.notify_waiters();
        drop(seat);
    }

    /// Takes one step, and asserts what must hold after each.
    fn step<T>(&self, step: impl FnOnce(&mut Ledger) -> T) -> T {
        let mut ledger = self.shared.ledger.lock().expect("no step of the ledger panics");
        let before = (ledger.permits().held, ledger.unidentified());
        let result = step(&mut ledger);
        ledger.check(before);
        result
    }
}

// === impl ClientsFull ===

impl Reportable for ClientsFull {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Overloaded
    }

    fn code(&self) -> ErrorCode {
        ErrorCode::ClientLimitReached
    }

    fn hint(&self) -> Option<String> {
        let hint = "try again later, or ask the operator to raise the limit (rowhouse manager PORT increase)";
        Some(hint.to_owned())
    }
}
