//! One connection, as far as its requests know it: who is at the other end, and its permit.
//!
//! The permit is given back when the last who holds the line lets go of it: the connection, and what it was
//! upgraded to.
use crate::error::Fault;
use crate::listener::PROTOCOL;
use rowhouse_access::Identity;
use rowhouse_gateway::{Client, Clients, Gateway, Guest, Place, Principal, Word};
use rowhouse_types::{ErrorCode, Target};
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::SetOnce;

/// One connection.
#[derive(Debug)]
pub(crate) struct Line {
    /// The caller's address.
    pub(crate) from: SocketAddr,
    /// The address that was called.
    pub(crate) to: IpAddr,
    standing: Mutex<Standing>,
    /// Set once it has a permit.
    entered: SetOnce<()>,
    place: OnceLock<Place>,
    /// The gateway's client of who said first who it is.
    first: OnceLock<(Option<Arc<str>>, Arc<Client>)>,
}

/// What a connection has, until its client has said who it is.
#[derive(Debug)]
enum Standing {
    /// The right to be told that it is one too many.
    Word(Word),
    /// A permit.
    Guest(Guest),
    /// Neither any more: it has a place, or has to leave.
    Other,
}

/// A connection that asks to be let in after all. Unless it was, it has its word back when this is dropped.
struct Asking<'l> {
    line: &'l Line,
    word: Option<Word>,
}

/// A request that is being answered, as told to operators. It has ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Line>);

// === impl Line ===

impl Line {
    /// One that was admitted, or that is one too many and may be told so.
    pub(crate) fn new(from: SocketAddr, to: IpAddr, admitted: Result<Guest, Word>) -> Self {
        let entered = if admitted.is_ok() { SetOnce::new_with(Some(())) } else { SetOnce::new() };
        let standing = Mutex::new(admitted.map_or_else(Standing::Word, Standing::Guest));
        Self { from, to, standing, entered, place: OnceLock::new(), first: OnceLock::new() }
    }

    /// Makes sure that it has a permit: one that was refused gets one that has come free since.
    ///
    /// # Errors
    ///
    /// When none has.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves all as it was: the next request asks anew.
    pub(crate) async fn enter(&self, clients: &Clients) -> Result<(), Fault> {
        if self.entered.initialized() {
            return Ok(());
        }
        // Taken out while it is waited: of two requests beside each other one is told what the other was not.
        let standing = mem::replace(&mut *self.standing(), Standing::Other);
        let word = match standing {
            Standing::Word(word) => word,
            // One beside it is asking, or it has entered just now.
            other => {
                let has_entered = matches!(other, Standing::Guest(_)) || self.is_identified();
                *self.standing() = other;
                return match has_entered {
                    true => Ok(()),
                    false => Err(Fault::new(ErrorCode::ClientLimitReached, "the client limit is reached")),
                };
            }
        };
        let mut asking = Asking { line: self, word: Some(word) };
        let word = asking.word.as_ref().expect("it was not let in yet");
        match clients.admit_after_all(PROTOCOL, self.from, word).await {
            Ok(guest) => {
                asking.word = None;
                *self.standing() = Standing::Guest(guest);
                // Once: there was one word.
                self.entered.set(()).unwrap_or_default();
                Ok(())
            }
            Err(full) => Err(Fault::from(&full)),
        }
    }

    /// Resolves when it has to leave: for a newcomer, or because an operator closes it.
    pub(crate) fn sent_away(self: &Arc<Self>) -> impl Future<Output = ()> + Send + use<> {
        let line = self.clone();
        async move {
            line.entered.wait().await;
            let sent_away = match (&*line.standing(), line.place.get()) {
                (Standing::Guest(guest), _) => guest.sent_away(),
                (_, Some(place)) => place.ended(),
                // It is leaving already.
                (_, None) => return,
            };
            sent_away.await;
        }
    }

    /// Whether it is one too many, and was not let in after all.
    pub(crate) fn is_too_many(&self) -> bool {
        !self.entered.initialized()
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has said who it is.
    pub(crate) fn is_identified(&self) -> bool {
        self.place.get().is_some()
    }

    /// The client has said who it is, as far as it is asked; only the first time counts.
    ///
    /// # Errors
    ///
    /// When it has to leave: it was one of too many that had not said so.
    pub(crate) fn identify(&self, identity: &Identity) -> Result<(), Fault> {
        if self.is_identified() {
            return Ok(());
        }
        let mut standing = self.standing();
        // Beside it, another request may have been the first.
        let Standing::Guest(guest) = mem::replace(&mut *standing, Standing::Other) else { return Ok(()) };
        let who = identity.who.as_deref().map(ToOwned::to_owned);
        let place = guest.identify(who).ok_or_else(|| {
            let message = "the connection was closed for another: too many had not said who they are";
            Fault::new(ErrorCode::ClientLimitReached, message).hint("connect again")
        })?;
        // Once: there was one guest.
        self.place.set(place).unwrap_or_default();
        drop(standing);
        Ok(())
    }

    /// The gateway's client that asks in the name of this identity from here.
    pub(crate) fn client(&self, gateway: &Gateway, identity: &Identity) -> Arc<Client> {
        let new = || {
            let who = identity.who.as_deref().map(ToOwned::to_owned);
            Arc::new(gateway.client_of(Principal::of(who, self.from)))
        };
        let (who, first) = self.first.get_or_init(|| (identity.who.clone(), new()));
        if *who == identity.who { first.clone() } else { new() }
    }

    /// A request for this database begins.
    pub(crate) fn busy(self: &Arc<Self>, target: &Target) -> Busy {
        if let Some(place) = self.place.get() {
            place.busy(target);
        }
        Busy(self.clone())
    }

    /// A request came that concerns no database.
    pub(crate) fn asked(&self) {
        if let Some(place) = self.place.get() {
            place.asked();
        }
    }
}

// === impl Asking ===

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if let Some(word) = self.word.take() {
            *self.line.standing() = Standing::Word(word);
        }
    }
}

// === impl Busy ===

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(place) = self.0.place.get() {
            place.idle();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::poll;
    use rowhouse_gateway::{ClientsParts, Journal, Silent};
    use std::num::NonZeroU32;
    use std::pin::pin;

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_given_up_while_it_asks_to_be_let_in_takes_nothing_from_the_next() {
        let one = NonZeroU32::MIN;
        let (observer, journal) = (Arc::new(Silent), Journal::in_memory());
        let clients = Clients::new(ClientsParts { limit: one, handshake_limit: one, observer, journal });
        let from = SocketAddr::from(([10, 0, 0, 1], 1));
        let first = clients.admit(PROTOCOL, from).await.expect("there is room");
        let place = first.identify(None).expect("nobody is cut");
        let full = clients.admit(PROTOCOL, from).await.expect_err("it is one too many");
        let line = Line::new(from, from.ip(), Err(full.word.expect("it may be told")));
        assert!(line.enter(&clients).await.is_err());
        // The next to come in has just come, and is left alone for a moment.
        drop(place);
        let stranger = clients.admit(PROTOCOL, from).await.expect("there is room");
        assert!(poll!(pin!(line.enter(&clients))).is_pending());
        drop(stranger);
        line.enter(&clients).await.expect("there is room");
    }
}
