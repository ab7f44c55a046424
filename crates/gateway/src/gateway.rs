//! The door: connect to a database, by target, within the limits in force.
use crate::catalog::{Catalog, Dynamic, Resolution, Spec};
use crate::event::{CloseReason, Event, Observer};
use crate::limits::Limits;
use crate::pool::{AcquireError, Pool, Session};
use crate::registry::{DynamicStatus, Lease, OpenError, Registry, RegistryParts, RegistryStatus};
use crate::tenant::{Tenant, TenantKind, TenantStatus};
use rowhouse_engine::{Engine, EngineError, Presence};
use rowhouse_types::{ErrorCode, ErrorKind, Reportable, Target};
use std::collections::BTreeMap;
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
    configured: BTreeMap<Target, Arc<Tenant>>,
    registry: Registry,
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
#[error("cannot open the configured database {name:?}")]
pub struct StartError {
    /// Its name, empty for the default database.
    pub name: String,
    /// Why.
    #[source]
    pub source: EngineError,
}

impl Gateway {
    /// Assembles a gateway and opens the configured databases, creating those that are missing.
    ///
    /// Needs a Tokio runtime with time enabled.
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        let Parts { catalog, engine, observer, limits } = parts;
        let tasks = TaskTracker::new();
        let mut configured = BTreeMap::new();
        for spec in catalog.configured() {
            let name = spec.target.to_string();
            let tenant = open_configured(&*engine, spec, limits, &tasks)
                .await
                .map_err(|source| StartError { name, source })?;
            configured.insert(spec.target.clone(), Arc::new(tenant));
        }
        let (observer_, tasks_) = (observer.clone(), tasks.clone());
        let registry = Registry::new(RegistryParts { engine, observer: observer_, tasks: tasks_, limits });
        let closing = CancellationToken::new();
        let shared = Shared { catalog, limits, configured, registry, observer, tasks, closing };
        let gateway = Self { shared: Arc::new(shared) };
        gateway.shared.tasks.spawn(keep_house(Arc::downgrade(&gateway.shared), limits.pool.idle_timeout / 2));
        Ok(gateway)
    }

    /// Lends a connection, opening or creating the database if need be and allowed.
    ///
    /// `deadline` bounds the wait for a connection, beside the pool's own timeout.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up every place in a queue and loses nothing.
    pub async fn connect(&self, target: &Target, deadline: Option<Instant>) -> Result<Session, ConnectError> {
        let lease = self.lease(target).await?;
        lease.tenant().used();
        let pool = lease.tenant().pool.clone();
        Ok(pool.acquire(lease, deadline).await?)
    }

    async fn lease(&self, target: &Target) -> Result<Lease, OpenError> {
        let Shared { catalog, configured, registry, .. } = &*self.shared;
        match catalog.resolve(target) {
            Err(_nowhere) => Err(OpenError::NotFound),
            Ok(Resolution::Dynamic(name, dynamic)) => registry.lease(name, dynamic).await,
            Ok(Resolution::Configured(spec)) => {
                let tenant = configured.get(&spec.target).expect("opened at the start");
                Ok(Lease::uncounted(tenant.clone()))
            }
        }
    }

    /// Tells what is open and how much. Opens and touches nothing.
    pub async fn status(&self) -> Status {
        let Shared { catalog, limits, configured, registry, .. } = &*self.shared;
        let mut statics = Vec::with_capacity(configured.len());
        for tenant in configured.values() {
            statics.push(tenant.status().await);
        }
        Status {
            dynamic: catalog.dynamic(),
            limits: *limits,
            configured: statics,
            opened: registry.status().await,
        }
    }

    /// Counts of the databases opened by name.
    pub fn counts(&self) -> RegistryStatus {
        self.shared.registry.counts()
    }

    /// Closes everything, each database when its last session has ended.
    ///
    /// Call it when the protocols have let their sessions go; nothing can be connected afterwards.
    pub async fn shut_down(&self) {
        let Shared { registry, tasks, configured, observer, closing, .. } = &*self.shared;
        closing.cancel();
        registry.shut_down();
        tasks.close();
        tasks.wait().await;
        for tenant in configured.values() {
            let database = &tenant.spec.target;
            if let Err(error) = tenant.close().await {
                observer.observe(&Event::CloseFailed { database, error: &error });
            }
            observer.observe(&Event::DatabaseClosed { database, reason: CloseReason::Shutdown });
        }
    }
}

/// One task for all databases: closes connections that nobody has used for long.
async fn keep_house(gateway: Weak<Shared>, every: Duration) {
    let Some(closing) = gateway.upgrade().map(|shared| shared.closing.clone()) else { return };
    let housekeeping = async {
        loop {
            tokio::time::sleep(every.max(Duration::from_millis(10))).await;
            let Some(shared) = gateway.upgrade() else { return };
            let now = Instant::now();
            shared.registry.trim(now);
            shared.configured.values().for_each(|tenant| tenant.pool.trim(now));
        }
    };
    closing.run_until_cancelled(housekeeping).await;
}

async fn open_configured(
    engine: &dyn Engine,
    spec: &Spec,
    limits: Limits,
    tasks: &TaskTracker,
) -> Result<Tenant, EngineError> {
    if engine.probe(&spec.location).await? == Presence::Absent {
        engine.create(&spec.location).await?;
    }
    let database = engine.open(&spec.location).await?;
    let pool = Pool::new(database.clone(), limits.pool, tasks.clone());
    Ok(Tenant::new(spec.clone(), TenantKind::Static, database, pool))
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
