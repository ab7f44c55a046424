//! What a connection holds from accept to close.
use super::handle::Clients;
use super::seat::Seat;
use rowhouse_types::Target;
use std::sync::Arc;
use tokio_util::sync::WaitForCancellationFutureOwned;

/// A connection whose client has not said who it is yet. Dropping it gives its permit back.
#[derive(Debug)]
#[must_use = "dropping a guest gives its permit back"]
pub struct Guest(Membership);

/// A connection whose client has said who it is. Dropping it gives its permit back.
#[derive(Debug)]
#[must_use = "dropping a place gives its permit back"]
pub struct Place(Membership);

#[derive(Debug)]
struct Membership {
    clients: Clients,
    seat: Arc<Seat>,
}

// === impl Guest ===

impl Guest {
    pub(super) fn new(clients: Clients, seat: Arc<Seat>) -> Self {
        Self(Membership { clients, seat })
    }

    /// The connection's number.
    pub fn id(&self) -> u64 {
        self.0.seat.id
    }

    /// Resolves when this one has to leave: for a newcomer, or because an operator closes it.
    pub fn sent_away(&self) -> WaitForCancellationFutureOwned {
        self.0.seat.end.clone().cancelled_owned()
    }

    /// The client has said who it is; `who` is what it has proved, such as its key.
    ///
    /// `None` if it has to leave: so this comes before the client is told that it is let in.
    pub fn identify(self, who: Option<String>) -> Option<Place> {
        let Self(Membership { clients, seat }) = &self;
        if !clients.identify(seat.id) {
            return None;
        }
        // Once: identifying takes the guest.
        seat.who.set(who).unwrap_or_default();
        Some(Place(self.0))
    }
}

// === impl Place ===

impl Place {
    /// The connection's number.
    pub fn id(&self) -> u64 {
        self.0.seat.id
    }

    /// Resolves when an operator closes the connection; the future may outlive the place.
    pub fn ended(&self) -> WaitForCancellationFutureOwned {
        self.0.seat.end.clone().cancelled_owned()
    }

    /// A request came that concerns no database, and was answered.
    pub fn asked(&self) {
        self.0.seat.asked();
    }

    /// A request for this database begins.
    pub fn busy(&self, database: &Target) {
        self.0.seat.busy(database);
    }

    /// A request has ended.
    pub fn idle(&self) {
        self.0.seat.idle();
    }
}

// === impl Membership ===

impl Drop for Membership {
    fn drop(&mut self) {
        self.clients.leave(self.seat.id);
    }
}
