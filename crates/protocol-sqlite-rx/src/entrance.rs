//! Who is let in: the codec asks after the greeting (NULL) or once a peer has proved its key (CURVE).
//!
//! Invariant: a client's place is taken here and nowhere earlier, so that who is not let in has none.
use crate::curve::{AllowedClients, ClientKey, Clients, Security};
use omq_proto::{
    AuthenticationResult, AuthenticationStatus, Authenticator, CurvePublicKey, CurveServerOptions,
    MechanismPeerInfo, MechanismSetup,
};
use rowhouse_gateway::{Event, Observer};
use rowhouse_sync::{Limiter, Permit};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Who is let in.
#[derive(Debug)]
pub(crate) struct Entrance {
    security: Security,
    clients: Limiter,
    observer: Arc<dyn Observer>,
    refused: AtomicU64,
}

/// A peer was let in.
#[derive(Debug)]
pub(crate) struct Admission {
    /// Its place, which is free again when this is dropped.
    pub(crate) place: Permit,
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
    pub(crate) fn new(security: Security, clients: Limiter, observer: Arc<dyn Observer>) -> Self {
        Self { security, clients, observer, refused: AtomicU64::new(0) }
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

    /// Whether nobody more can be let in. Who is turned away now has lost nothing: its client keeps the
    /// request and connects again.
    pub(crate) fn is_full(&self) -> bool {
        let status = self.clients.status();
        let full = status.limit.get() <= status.held;
        if full {
            self.observer.observe(&Event::ClientRefused { limit: status.limit });
        }
        full
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
    pub(crate) async fn decide(
        &self,
        peer: &MechanismPeerInfo,
        from: SocketAddr,
    ) -> Result<Admission, AuthenticationResult> {
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
        match self.clients.try_acquire() {
            Some(place) => Ok(Admission { place, identity: Identity { key, listed } }),
            None => {
                let limit = self.clients.status().limit;
                self.observer.observe(&Event::ClientRefused { limit });
                let mut later = AuthenticationResult::deny();
                later.status = AuthenticationStatus::TemporaryFailure;
                Err(later)
            }
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

// === impl Identity ===

impl Identity {
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
