//! The door: connect to a database, by target, within the limits in force.
use crate::catalog::{Catalog, Dynamic, Resolution};
use crate::client::Client;
use crate::configured::Configured;
use crate::event::{Event, Observer, Refusal};
use crate::limits::Limits;
use crate::pool::{AcquireError, Session};
use crate::registry::{
    Asker, DynamicStatus, Failures, Lease, OpenError, Owner, Registry, RegistryParts, RegistryStatus,
};
use crate::tenant::{Tenant, TenantKind, TenantStatus};
use rowhouse_engine::{Database, Engine, EngineError, Outcome, Processes};
use rowhouse_types::{ErrorCode, ErrorKind, Reportable, Target};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The gateway. Cloning yields another handle.
#[derive(Clone, Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    catalog: Catalog,
    limits: Limits,
    configured: Configured,
    registry: Registry,
    failures: Arc<Failures>,
    clients: AtomicU64,
    observer: Arc<dyn Observer>,
    tasks: TaskTracker,
    /// Ends the housekeeping.
    closing: CancellationToken,
}

/// What a gateway is made of.
#[derive(Debug)]
pub struct Parts {
    /// Which databases there are.
    pub catalog: Catalog,
    /// Who opens them.
    pub engine: Arc<dyn Engine>,
    /// Who hears of what happens.
    pub observer: Arc<dyn Observer>,
    /// What may be used.
    pub limits: Limits,
}

/// What can be told of a gateway.
#[derive(Clone, Debug)]
pub struct Status {
    /// What is done with names that are not configured.
    pub dynamic: Dynamic,
    /// What may be used.
    pub limits: Limits,
    /// The configured databases.
    pub configured: Vec<TenantStatus>,
    /// Those opened by name.
    pub opened: DynamicStatus,
    /// Who failed by the engine's fault within the last minute: those that could not be opened and
    /// have not been since, the latest first and at most 1024; then the open ones that failed a
    /// request and have not written since.
    pub failing: Vec<Failing>,
    /// Counts of the processes that run databases, where that is not this one.
    pub processes: Option<Processes>,
}

/// A database that fails by the engine's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Which.
    pub target: Target,
    /// Whether it is configured or opened by name.
    pub kind: TenantKind,
}

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

/// A configured database could not be opened at the start.
#[derive(Debug, thiserror::Error)]
#[error("cannot open {}", if name.is_empty() { "the default database".to_owned() } else { format!("the configured database {name:?}") })]
pub struct StartError {
    /// Its name, empty for the default database.
    pub name: String,
    /// Why.
    #[source]
    pub source: OpenError,
}

impl Gateway {
    /// Assembles a gateway and opens the configured databases, creating those that are missing.
    ///
    /// Needs a Tokio runtime with time enabled.
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        let Parts { catalog, engine, observer, limits } = parts;
        let tasks = TaskTracker::new();
        let failures = Arc::new(Failures::default());
        let parts = RegistryParts {
            engine,
            observer: observer.clone(),
            tasks: tasks.clone(),
            limits,
            failures: failures.clone(),
        };
        let configured = Configured::open(parts.clone(), catalog.configured())
            .await
            .map_err(|(target, source)| StartError { name: target.to_string(), source })?;
        let registry = Registry::new(parts);
        let (closing, clients) = (CancellationToken::new(), AtomicU64::new(0));
        let shared =
            Shared { catalog, limits, configured, registry, failures, clients, observer, tasks, closing };
        let gateway = Self { shared: Arc::new(shared) };
        gateway.shared.tasks.spawn(keep_house(Arc::downgrade(&gateway.shared), limits.pool.idle_timeout / 2));
        Ok(gateway)
    }

    /// A client of the gateway's, which shares room with the others fairly.
    pub fn client(&self) -> Client {
        let number = 1 + self.shared.clients.fetch_add(1, Ordering::Relaxed);
        Client::new(self.clone(), Owner(number), self.shared.limits.create_rate)
    }

    /// Lends a connection to somebody who is no [`Client`] in particular, opening or creating the
    /// database if need be and allowed.
    ///
    /// `deadline` bounds the wait for a connection, beside the pool's own timeout.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up every place in a queue and loses nothing.
    pub async fn connect(&self, target: &Target, deadline: Option<Instant>) -> Result<Session, ConnectError> {
        self.connect_for(&Asker { owner: Owner::NOBODY, pace: None }, target, deadline).await
    }

    pub(crate) async fn connect_for(
        &self,
        asker: &Asker,
        target: &Target,
        deadline: Option<Instant>,
    ) -> Result<Session, ConnectError> {
        let mut again = true;
        loop {
            let lease = self.lease(asker, target).await?;
            let tenant = lease.tenant().clone();
            tenant.used();
            match tenant.pool.acquire(lease, deadline).await {
                Err(AcquireError::Connect(EngineError::Replaced | EngineError::ProcessEnded)) if again => {
                    again = false;
                    self.retire_tenant(&tenant);
                }
                Ok(session) => return Ok(session),
                Err(error) => {
                    self.tell_refusal(target, &error);
                    return Err(error.into());
                }
            }
        }
    }

    async fn lease(&self, asker: &Asker, target: &Target) -> Result<Lease, OpenError> {
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

    /// Notes how a request on a session ended, for operators.
    pub fn note(&self, session: &Session, ended: Result<Outcome, &EngineError>) {
        match ended {
            Ok(Outcome { affected: Some(_), .. }) => session.tenant().wrote(),
            Err(error) if is_failure(error) => {
                session.tenant().failed();
                let (database, code) = (session.target(), error.code());
                self.shared.observer.observe(&Event::DatabaseFailed { database, code, error });
                if matches!(error, EngineError::ProcessEnded) {
                    self.retire_tenant(session.tenant());
                }
            }
            _ => {}
        }
    }

    /// Tells the observer of something that happened outside of the gateway.
    pub fn tell(&self, event: &Event<'_>) {
        self.shared.observer.observe(event);
    }

    /// Who hears of what happens.
    pub fn observer(&self) -> Arc<dyn Observer> {
        self.shared.observer.clone()
    }

    /// Gives up a session whose database was replaced or whose process ended: what was opened is lent no more, and
    /// closed when its last session has ended.
    pub(crate) fn retire(&self, session: Session) {
        let tenant = session.tenant().clone();
        self.retire_tenant(&tenant);
        drop(session);
    }

    fn retire_tenant(&self, tenant: &Arc<Tenant>) {
        match tenant.kind {
            TenantKind::Static => self.shared.configured.retire(tenant),
            TenantKind::Dynamic => self.shared.registry.retire(tenant),
        }
    }

    pub(crate) fn enter(&self, owner: Owner) {
        self.shared.registry.enter(owner);
    }

    pub(crate) fn leave(&self, owner: Owner) {
        self.shared.registry.leave(owner);
    }

    /// Tells what is open and how much. Opens and touches nothing.
    pub async fn status(&self) -> Status {
        let Shared { catalog, limits, configured, registry, failures, .. } = &*self.shared;
        let mut statics = Vec::new();
        for tenant in configured.tenants() {
            statics.push(tenant.status().await);
        }
        let opened = registry.status().await;
        let kind = |target: &Target| match catalog.resolve(target) {
            Ok(Resolution::Configured(_)) => TenantKind::Static,
            _ => TenantKind::Dynamic,
        };
        let open = statics.iter().chain(&opened.open).filter(|tenant| tenant.failing);
        let failing = failures.told().into_iter().chain(open.map(|tenant| tenant.spec.target.clone()));
        let failing = failing.map(|target| Failing { kind: kind(&target), target }).collect();
        let processes = registry.processes();
        Status {
            dynamic: catalog.dynamic(),
            limits: *limits,
            configured: statics,
            opened,
            failing,
            processes,
        }
    }

    /// The configured database of this target, if it is open.
    pub(crate) fn configured(&self, target: &Target) -> Option<Arc<dyn Database>> {
        let tenants = self.shared.configured.tenants();
        tenants.iter().find(|tenant| tenant.spec.target == *target).map(|tenant| tenant.database().clone())
    }

    /// Counts of the databases opened by name.
    pub fn counts(&self) -> RegistryStatus {
        self.shared.registry.counts()
    }

    /// Closes everything, each database when its last session has ended.
    ///
    /// Call it when the protocols have let their sessions go; nothing can be connected afterwards.
    pub async fn shut_down(&self) {
        let Shared { registry, tasks, configured, closing, .. } = &*self.shared;
        closing.cancel();
        registry.shut_down();
        tasks.close();
        tasks.wait().await;
        configured.shut_down().await;
    }
}

/// One task for all databases: closes connections that nobody has used for long, and databases
/// whose storage was replaced or renamed and that nobody has asked for since.
async fn keep_house(gateway: Weak<Shared>, every: Duration) {
    let Some(closing) = gateway.upgrade().map(|shared| shared.closing.clone()) else { return };
    let housekeeping = async {
        loop {
            tokio::time::sleep(every.max(Duration::from_millis(10))).await;
            let Some(shared) = gateway.upgrade() else { return };
            let now = Instant::now();
            shared.registry.trim(now);
            shared.configured.tenants().iter().for_each(|tenant| tenant.pool.trim(now));
            shared.registry.verify().await;
        }
    };
    closing.run_until_cancelled(housekeeping).await;
}

/// Whether operators should look after the database: the fault is neither its user's nor a rush's.
fn is_failure(error: &EngineError) -> bool {
    use ErrorCode::{DatabaseCorrupt, DatabaseUnavailable, DiskFull, Internal, ReadOnly};
    let replaced = matches!(error, EngineError::Replaced);
    !replaced
        && matches!(error.code(), DatabaseCorrupt | DatabaseUnavailable | DiskFull | Internal | ReadOnly)
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
