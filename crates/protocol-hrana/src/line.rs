//! One connection, as far as its requests know it: who is at the other end, and its permit.
//!
//! The permit is given back when the last who holds the line lets go of it: the connection, and what it was
//! upgraded to.
use crate::error::Fault;
use rowhouse_access::Identity;
use rowhouse_gateway::{Client, Gateway, Guest, Place, Principal};
use rowhouse_types::{ErrorCode, Target};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// One connection.
#[derive(Debug)]
pub(crate) struct Line {
    /// The caller's address.
    pub(crate) from: SocketAddr,
    /// The address that was called.
    pub(crate) to: IpAddr,
    /// Until the client has said who it is.
    guest: Mutex<Option<Guest>>,
    place: OnceLock<Place>,
    /// The gateway's client of who said first who it is.
    first: OnceLock<(Option<Arc<str>>, Arc<Client>)>,
}

/// A request that is being answered, as told to operators. It has ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Line>);

// === impl Line ===

impl Line {
    pub(crate) fn new(from: SocketAddr, to: IpAddr, guest: Guest) -> Self {
        Self { from, to, guest: Mutex::new(Some(guest)), place: OnceLock::new(), first: OnceLock::new() }
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
        let guest = self.guest.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Beside it, another request may have been the first.
        let Some(guest) = guest else { return Ok(()) };
        let who = identity.who.as_deref().map(ToOwned::to_owned);
        let place = guest.identify(who).ok_or_else(|| {
            let message = "the connection was closed for another: too many had not said who they are";
            Fault::new(ErrorCode::ClientLimitReached, message).hint("connect again")
        })?;
        // Once: there was one guest.
        self.place.set(place).unwrap_or_default();
        Ok(())
    }

    /// Resolves when it has to leave, whether it has said who it is or not.
    pub(crate) fn sent_away(&self) -> impl Future<Output = ()> + Send + use<> {
        let guest = self.guest.lock().unwrap_or_else(PoisonError::into_inner);
        let away = match (&*guest, self.place.get()) {
            (Some(guest), _) => Some(guest.sent_away()),
            (None, place) => place.map(Place::ended),
        };
        drop(guest);
        async move {
            // Neither is there only while it is being let in, or turned away.
            if let Some(away) = away {
                away.await;
            } else {
                std::future::pending::<()>().await;
            }
        }
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

// === impl Busy ===

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(place) = self.0.place.get() {
            place.idle();
        }
    }
}
