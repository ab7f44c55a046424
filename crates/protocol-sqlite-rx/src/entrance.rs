//! Who is let in: the codec asks after the greeting (NULL) or once a peer has proved its key (CURVE).
//!
//! Invariant: a guest becomes a client once it has proved a key or, without one, has shaken hands to the
//! end: a greeting is no client.
use crate::curve::{AllowedClients, ClientKey, Clients, Security};
use omq_proto::{
    AuthenticationResult, AuthenticationStatus, Authenticator, CurvePublicKey, CurveServerOptions,
    MechanismPeerInfo, MechanismSetup,
};
use rowhouse_gateway::{Event, Guest, Observer, Place, Word};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Who is let in.
#[derive(Debug)]
pub(crate) struct Entrance {
    security: Security,
    observer: Arc<dyn Observer>,
    refused: AtomicU64,
}

/// Somebody at the door, and what he came in with.
#[derive(Debug)]
pub(crate) struct Visitor<T> {
    pub(crate) from: SocketAddr,
    pub(crate) ticket: T,
}

/// What somebody holds who may be let in.
pub(crate) trait Ticket {
    /// What he holds then.
    type Place;

    /// He has said who he is; `None` if he has to leave.
    fn admit(self, who: Option<String>) -> Option<Self::Place>;
}

/// A peer may come in.
pub(crate) enum Welcome<T: Ticket> {
    /// It is in.
    In(Admission<T::Place>),
    /// It is when the handshake ends.
    Then(T, Identity),
}

/// A peer was let in.
#[derive(Debug)]
pub(crate) struct Admission<P = Place> {
    /// What it holds until it leaves.
    pub(crate) place: P,
    pub(crate) identity: Identity,
}

/// Who a peer is, as far as it has proved.
#[derive(Debug)]
pub(crate) struct Identity {
    key: Option<ClientKey>,
    /// Where its key may be revoked.
    listed: Option<Arc<AllowedClients>>,
}

// === impl Entrance ===

impl Entrance {
    pub(crate) fn new(security: Security, observer: Arc<dyn Observer>) -> Self {
        Self { security, observer, refused: AtomicU64::new(0) }
    }

    pub(crate) fn security(&self) -> &Security {
        &self.security
    }

    /// How many were refused for their key.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// What the codec negotiates. It asks through [`Entrance::decide`].
    pub(crate) fn mechanism(&self) -> MechanismSetup {
        // Never run, for the codec defers the question to us; if ever, it refuses.
        match &self.security {
            Security::Plain => MechanismSetup::NullServer { authenticator: Authenticator::new(|_| false) },
            Security::Curve(keys, _) => MechanismSetup::CurveServer {
                our_keypair: keys.0.clone(),
                options: CurveServerOptions::new().authenticator(|_| false),
            },
        }
    }

    /// Keeps the list of allowed clients as fresh as promised, for as long as it is polled.
    pub(crate) async fn keep_fresh(&self) {
        let Some(allowed) = self.security.allowed() else { return std::future::pending().await };
        loop {
            tokio::time::sleep(crate::curve::RECHECK).await;
            refresh(allowed).await;
        }
    }

    /// Whether a peer is let in, and what it is told if not.
    pub(crate) async fn decide<T: Ticket>(
        &self,
        peer: &MechanismPeerInfo,
        visitor: Visitor<T>,
    ) -> Result<Welcome<T>, AuthenticationResult> {
        let Visitor { from, ticket } = visitor;
        let key = self.security.encrypts().then_some(peer.public_key);
        let listed = match &self.security {
            Security::Plain | Security::Curve(_, Clients::Any) => None,
            // Whoever has the server's secret is the server's operator, who asks for its health.
            Security::Curve(keys, _) if *keys.0.public.as_bytes() == peer.public_key => None,
            Security::Curve(_, Clients::Listed(allowed)) => {
                refresh(allowed).await;
                if !allowed.has(&peer.public_key) {
                    self.tell_stranger(&peer.public_key, from);
                    // Told so by the protocol: libzmq then stops connecting again and again.
                    return Err(AuthenticationResult::deny());
                }
                Some(allowed.clone())
            }
        };
        let identity = Identity { key, listed };
        let Some(who) = identity.who() else { return Ok(Welcome::Then(ticket, identity)) };
        match ticket.admit(Some(who)) {
            Some(place) => Ok(Welcome::In(Admission { place, identity })),
            // Told in time: its client keeps the request and connects again.
            None => Err(AuthenticationResult {
                status: AuthenticationStatus::TemporaryFailure,
                ..AuthenticationResult::deny()
            }),
        }
    }

    fn tell_stranger(&self, key: &ClientKey, from: SocketAddr) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let key = CurvePublicKey::from_bytes(*key).to_z85();
        self.observer.observe(&Event::ClientUnauthorized { from, key: &key });
    }
}

/// Files are read on a thread of their own.
async fn refresh(allowed: &Arc<AllowedClients>) {
    let allowed = allowed.clone();
    // When the runtime ends it is not run, and neither is what asks.
    let _ended = tokio::task::spawn_blocking(move || allowed.refresh()).await;
}

// === impl Welcome ===

impl<T: Ticket> Welcome<T> {
    /// The handshake has ended; `None` if the peer has to leave.
    pub(crate) fn ready(self) -> Option<Admission<T::Place>> {
        match self {
            Self::In(admission) => Some(admission),
            Self::Then(ticket, identity) => {
                ticket.admit(identity.who()).map(|place| Admission { place, identity })
            }
        }
    }
}

// === impl Ticket ===

impl Ticket for Guest {
    type Place = Place;

    fn admit(self, who: Option<String>) -> Option<Place> {
        self.identify(who)
    }
}

/// Who is one too many is let in as far as to be told so.
impl Ticket for Word {
    type Place = Self;

    fn admit(self, _who: Option<String>) -> Option<Self> {
        Some(self)
    }
}

// === impl Identity ===

impl Identity {
    /// What the peer has proved of who it is, in words.
    pub(crate) fn who(&self) -> Option<String> {
        self.key.map(|key| CurvePublicKey::from_bytes(key).to_z85())
    }

    /// The key that the peer has proved, if it encrypts.
    pub(crate) fn key(&self) -> Option<ClientKey> {
        self.key
    }

    /// Waits until the peer's key is taken off the list.
    pub(crate) async fn revoked(&self) {
        match (&self.listed, &self.key) {
            (Some(allowed), Some(key)) => allowed.revoked(key).await,
            _ => std::future::pending().await,
        }
    }
}
