//! One client of the gateway's, as far as sharing goes.
use crate::clients::Host;
use crate::connect::ConnectError;
use crate::gateway::Gateway;
use crate::pace::Pace;
use crate::pool::Session;
use crate::registry::{Asker, Lease};
use rowhouse_types::Target;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Instant;

/// Who stands behind connections: all of one principal's have one share of the room.
///
/// Otherwise who wants more would only have to connect more often.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal(Proof);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Proof {
    /// What it has proved, such as its key.
    Known(String),
    /// From where it came.
    Host(Host),
}

/// One client of the gateway's: a connection of a protocol's.
///
/// What its principal has had opened counts as that one's own while clients compete for room, and it
/// creates databases no faster than it may. When the last client of a principal's is dropped, what it
/// has had opened stays open and is nobody's.
#[derive(Debug)]
pub struct Client {
    known: Arc<Known>,
}

/// What somebody may do beyond using what is there; all of it unless said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Whether a database that is missing is created, on a server that creates any.
    pub create: bool,
}

/// Those who are there, by principal.
///
/// Invariant: each principal that has a client is in it once; who has none is not, or leaves just now.
#[derive(Debug, Default)]
pub(crate) struct Principals {
    known: Mutex<HashMap<Principal, Weak<Known>>>,
}

/// One who is there.
#[derive(Debug)]
struct Known {
    gateway: Gateway,
    asker: Asker,
    /// The same one, when it may create nothing.
    guest: Asker,
    principal: Option<Principal>,
}

// === impl Principal ===

impl Principal {
    /// Who `who` is, which it has proved; or else who comes from there.
    ///
    /// Addresses of this machine tell nobody from another: there, each connection is by itself.
    pub fn of(who: Option<String>, from: SocketAddr) -> Option<Self> {
        let address = from.ip().to_canonical();
        match who {
            Some(who) => Some(Self(Proof::Known(who))),
            None if address.is_loopback() => None,
            None => Some(Self(Proof::Host(Host::of(address)))),
        }
    }
}

// === impl Rights ===

impl Default for Rights {
    fn default() -> Self {
        Self { create: true }
    }
}

// === impl Principals ===

impl Principals {
    /// A client of this principal's; of its own without one.
    pub(crate) fn client(&self, gateway: &Gateway, principal: Option<Principal>) -> Client {
        let Some(principal) = principal else {
            return Client { known: Arc::new(Known::new(gateway, None)) };
        };
        let mut those = self.those();
        if let Some(known) = those.get(&principal).and_then(Weak::upgrade) {
            // Dropped outside the lock if it is the last: not here.
            return Client { known };
        }
        let known = Arc::new(Known::new(gateway, Some(principal.clone())));
        those.insert(principal, Arc::downgrade(&known));
        Client { known }
    }

    fn forget(&self, principal: &Principal) {
        let mut those = self.those();
        // It may have come back meanwhile.
        if those.get(principal).is_some_and(|known| known.strong_count() == 0) {
            those.remove(principal);
        }
    }

    fn those(&self) -> MutexGuard<'_, HashMap<Principal, Weak<Known>>> {
        self.known.lock().expect("never panics while locked")
    }
}

// === impl Client ===

impl Client {
    /// Lends a connection, opening or creating the database if need be and allowed.
    ///
    /// `deadline` bounds the wait for a connection, beside the pool's own timeout.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up every place in a queue and loses nothing.
    pub async fn connect(&self, target: &Target, deadline: Option<Instant>) -> Result<Session, ConnectError> {
        self.connect_as(target, Rights::default(), deadline).await
    }

    /// As [`Client::connect`], for somebody with these rights. What is missing and may not be created is
    /// refused before any place is taken.
    ///
    /// # Cancel safety
    ///
    /// As [`Client::connect`].
    pub async fn connect_as(
        &self,
        target: &Target,
        rights: Rights,
        deadline: Option<Instant>,
    ) -> Result<Session, ConnectError> {
        let Known { gateway, asker, guest, .. } = &*self.known;
        let asker = if rights.create { asker } else { guest };
        gateway.connect_for(asker, target, deadline).await
    }

    /// The database, open, made if need be and allowed; no connection to it is taken.
    pub(crate) async fn open(&self, target: &Target, rights: Rights) -> Result<Lease, ConnectError> {
        let Known { gateway, asker, guest, .. } = &*self.known;
        gateway.open_for(if rights.create { asker } else { guest }, target, None).await
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
        self.reconnect_as(session, Rights::default(), deadline).await
    }

    /// As [`Client::reconnect`], for somebody with these rights.
    ///
    /// # Cancel safety
    ///
    /// As [`Client::reconnect`].
    pub async fn reconnect_as(
        &self,
        session: Session,
        rights: Rights,
        deadline: Option<Instant>,
    ) -> Result<Session, ConnectError> {
        let target = session.target().clone();
        self.part(session);
        self.connect_as(&target, rights, deadline).await
    }

    /// Gives up a session whose database was replaced or whose process ended: who asks next gets what
    /// is there then.
    pub fn part(&self, session: Session) {
        self.known.gateway.retire(session);
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        &self.known.gateway
    }

    /// Who asks the gateway for what there is, and has nothing created.
    pub(crate) fn reader(&self) -> &Asker {
        &self.known.guest
    }
}

// === impl Known ===

impl Known {
    fn new(gateway: &Gateway, principal: Option<Principal>) -> Self {
        let owner = gateway.newcomer();
        gateway.enter(owner);
        let pace = Some(Pace::new(tokio::time::Instant::now().into_std()));
        let asker = Asker { owner, may_create: true, pace };
        let guest = Asker { may_create: false, ..asker.clone() };
        Self { gateway: gateway.clone(), asker, guest, principal }
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        if let Some(principal) = &self.principal {
            self.gateway.principals().forget(principal);
        }
        self.gateway.leave(self.asker.owner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_wherever_it_comes_from_and_an_address_is_one_but_for_this_machine_s() {
        let of = |who: Option<&str>, from: &str| {
            Principal::of(who.map(ToOwned::to_owned), from.parse().expect("an address"))
        };
        assert_eq!(of(Some("key"), "10.0.0.1:1"), of(Some("key"), "127.0.0.1:2"));
        assert_ne!(of(Some("key"), "10.0.0.1:1"), of(Some("other"), "10.0.0.1:1"));
        assert_eq!(of(None, "10.0.0.1:1"), of(None, "[::ffff:10.0.0.1]:2"));
        assert_eq!(of(None, "[2001:db8::1]:1"), of(None, "[2001:db8::2]:1"));
        assert_ne!(of(None, "10.0.0.1:1"), of(None, "10.0.0.2:1"));
        assert_eq!((of(None, "127.0.0.1:1"), of(None, "[::1]:1")), (None, None));
    }
}
