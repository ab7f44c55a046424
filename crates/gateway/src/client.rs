//! One client of the gateway's, as far as sharing goes.
use crate::connect::ConnectError;
use crate::gateway::Gateway;
use crate::pace::Pace;
use crate::pool::Session;
use crate::registry::{Asker, Owner};
use rowhouse_types::Target;
use std::time::Instant;

/// One client of the gateway's: a connection of a protocol's.
///
/// What it has opened counts as its own while clients compete for room, and it creates databases
/// no faster than it may. When it is dropped, what it has opened stays open and is nobody's.
#[derive(Debug)]
pub struct Client {
    gateway: Gateway,
    asker: Asker,
}

impl Client {
    pub(crate) fn new(gateway: Gateway, owner: Owner) -> Self {
        gateway.enter(owner);
        let pace = Some(Pace::new(tokio::time::Instant::now().into_std()));
        Self { gateway, asker: Asker { owner, pace } }
    }

    /// Lends a connection, opening or creating the database if need be and allowed.
    ///
    /// `deadline` bounds the wait for a connection, beside the pool's own timeout.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up every place in a queue and loses nothing.
    pub async fn connect(&self, target: &Target, deadline: Option<Instant>) -> Result<Session, ConnectError> {
        self.gateway.connect_for(&self.asker, target, deadline).await
    }

    /// Gives up a session whose database was replaced or whose process ended, and connects to what is there now.
    ///
    /// What the session held for its borrower, such as a transaction, is gone.
    ///
    /// # Cancel safety
    ///
    /// As [`Client::connect`]; the session is given up all the same.
    pub async fn reconnect(
        &self,
        session: Session,
        deadline: Option<Instant>,
    ) -> Result<Session, ConnectError> {
        let target = session.target().clone();
        self.part(session);
        self.connect(&target, deadline).await
    }

    /// Gives up a session whose database was replaced or whose process ended: who asks next gets what
    /// is there then.
    pub fn part(&self, session: Session) {
        self.gateway.retire(session);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.gateway.leave(self.asker.owner);
    }
}
