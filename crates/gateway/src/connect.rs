//! The way to a session: past the gate, to the database, in turn, to a connection.
use crate::admin::Shut;
use crate::catalog::Resolution;
use crate::event::{Event, Refusal};
use crate::gateway::{Gateway, Shared};
use crate::pool::{AcquireError, Session};
use crate::registry::{Asker, Lease, OpenError};
use crate::tenant::Tenant;
use rowhouse_engine::EngineError;
use rowhouse_types::{ErrorCode, ErrorKind, Reportable, Target};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Why a session was refused.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConnectError {
    /// The database could not be opened.
    #[error("cannot open the database")]
    Open(#[from] OpenError),
    /// No connection to it could be had.
    #[error("cannot get a connection to the database")]
    Acquire(#[from] AcquireError),
}

/// A turn at the pace of a database that has not come yet; while it is waited for, it is counted.
#[derive(Debug)]
struct Turn {
    tenant: Arc<Tenant>,
    wait: Duration,
}

// === impl Gateway ===

impl Gateway {
    pub(crate) async fn connect_for(
        &self,
        asker: &Asker,
        target: &Target,
        deadline: Option<Instant>,
    ) -> Result<Session, ConnectError> {
        let (mut again, mut paced) = (true, false);
        loop {
            let lease = self.open_for(asker, target, deadline).await?;
            let tenant = lease.tenant().clone();
            if !std::mem::replace(&mut paced, true)
                && let Some(wait) = self.turn(&tenant, deadline)?
            {
                // Others may have the database meanwhile.
                drop(lease);
                wait.over().await;
                continue;
            }
            tenant.used();
            match tenant.pool.acquire(lease, deadline).await {
                Err(AcquireError::Connect(EngineError::Replaced | EngineError::ProcessEnded)) if again => {
                    again = false;
                    self.retire_tenant(&tenant);
                }
                Ok(session) => return Ok(session),
                Err(error) => {
                    tenant.counters.refused(false);
                    self.tell_refusal(target, &error);
                    return Err(error.into());
                }
            }
        }
    }

    /// The database, open, past its gate.
    pub(crate) async fn open_for(
        &self,
        asker: &Asker,
        target: &Target,
        deadline: Option<Instant>,
    ) -> Result<Lease, ConnectError> {
        loop {
            self.pass_gate(target, deadline).await?;
            let lease = self.lease(asker, target).await;
            // Whoever shut it has seen this lease, or is seen here.
            if !self.shared.gates.is_shut(target) {
                return Ok(lease?);
            }
        }
    }

    /// Waits while the database is paused or being dropped.
    pub(crate) async fn pass_gate(
        &self,
        target: &Target,
        deadline: Option<Instant>,
    ) -> Result<(), AcquireError> {
        let Shared { gates, .. } = &*self.shared;
        if !gates.is_shut(target) {
            return Ok(());
        }
        let started = tokio::time::Instant::now().into_std();
        let limits = self.limits_of(target);
        let latest = started + limits.acquire_timeout;
        let until = deadline.map_or(latest, |deadline| deadline.min(latest));
        let passed = gates.pass(target, until, limits.queue).await;
        passed.map_err(|shut| {
            let waited = tokio::time::Instant::now().into_std().saturating_duration_since(started);
            let error = match shut {
                Shut::Paused => AcquireError::Paused { waited },
                Shut::Fenced => AcquireError::BeingDropped,
                Shut::Crowded(limit) => AcquireError::QueueFull { limit },
            };
            self.tell_refusal(target, &error);
            error
        })
    }

    /// Takes a turn at the pace of the database: `None` if it is there at once.
    fn turn(&self, tenant: &Arc<Tenant>, deadline: Option<Instant>) -> Result<Option<Turn>, AcquireError> {
        let Some(rate) = tenant.rate() else { return Ok(None) };
        let now = tokio::time::Instant::now().into_std();
        let limits = self.limits_of(&tenant.spec.target);
        let patience = limits.acquire_timeout;
        let patience =
            deadline.map_or(patience, |deadline| patience.min(deadline.saturating_duration_since(now)));
        let crowded = limits.queue <= tenant.paced.load(Ordering::Relaxed);
        let patience = if crowded { Duration::ZERO } else { patience };
        match tenant.pace.turn(rate, now, patience) {
            Ok(Duration::ZERO) => Ok(None),
            Ok(wait) => Ok(Some(Turn::new(tenant.clone(), wait))),
            Err(retry_after) => {
                let error = AcquireError::TooOften { rate, retry_after };
                tenant.counters.refused(true);
                self.tell_refusal(&tenant.spec.target, &error);
                Err(error)
            }
        }
    }

    /// Lets a session that is held run one more request, at the pace of its database.
    ///
    /// # Errors
    ///
    /// When the session was ended, or the request would wait too long for its turn.
    pub fn once_more(
        &self,
        session: &Session,
        deadline: Option<Instant>,
    ) -> impl Future<Output = Result<(), ConnectError>> + Send + use<> {
        let turn =
            if session.is_ended() { Err(AcquireError::Ended) } else { self.turn(session.tenant(), deadline) };
        async move {
            if let Some(wait) = turn? {
                wait.over().await;
            }
            Ok(())
        }
    }

    pub(crate) async fn lease(&self, asker: &Asker, target: &Target) -> Result<Lease, OpenError> {
        let Shared { catalog, configured, registry, observer, .. } = &*self.shared;
        match catalog.resolve(target) {
            Err(_nowhere) => {
                let (reason, code) = (Refusal::Unknown, OpenError::NotFound.code());
                observer.observe(&Event::Refused { database: target, reason, code });
                Err(OpenError::NotFound)
            }
            Ok(Resolution::Dynamic(name, dynamic)) => registry.lease(name, dynamic, asker).await,
            Ok(Resolution::Configured(spec)) => configured.lease(&spec.target).await,
        }
    }

    fn tell_refusal(&self, database: &Target, error: &AcquireError) {
        let code = error.code();
        self.shared.observer.observe(&match error.refusal() {
            Some(reason) => Event::Refused { database, reason, code },
            None => Event::OpenFailed { database, code, error },
        });
    }
}

// === impl Turn ===

impl Turn {
    fn new(tenant: Arc<Tenant>, wait: Duration) -> Self {
        tenant.paced.fetch_add(1, Ordering::Relaxed);
        Self { tenant, wait }
    }

    async fn over(self) {
        tokio::time::sleep(self.wait).await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.tenant.paced.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl ConnectError ===

impl Reportable for ConnectError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Open(source) => source.kind(),
            Self::Acquire(source) => source.kind(),
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::Open(source) => source.code(),
            Self::Acquire(source) => source.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Open(source) => source.hint(),
            Self::Acquire(source) => source.hint(),
        }
    }

    fn public_message(&self) -> String {
        match self {
            Self::Open(source) => source.public_message(),
            Self::Acquire(source) => source.public_message(),
        }
    }
}
