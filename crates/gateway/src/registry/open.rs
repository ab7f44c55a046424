//! Opening databases by name: one flight per name, a place first, then the engine.
use super::failures::Failures;
use super::lease::Lease;
use super::table::{Admission, Effects, Table};
use super::{DynamicStatus, RegistryStatus};
use crate::catalog::{Dynamic, Spec};
use crate::event::{CloseReason, Event, Observer};
use crate::limits::Limits;
use crate::pool::Pool;
use crate::tenant::{Tenant, TenantKind};
use rowhouse_engine::{Engine, EngineError, Presence};
use rowhouse_sync::Singleflight;
use rowhouse_types::{DatabaseName, ErrorCode, ErrorKind, Reportable, Target};
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// The databases opened by name. Cloning yields another handle.
#[derive(Clone)]
pub(crate) struct Registry {
    shared: Arc<Shared>,
}

struct Shared {
    parts: RegistryParts,
    table: Mutex<Table>,
    flights: Singleflight<DatabaseName, Result<Lease, OpenError>>,
    failures: Failures,
}

/// What a registry is made of.
#[derive(Clone, Debug)]
pub(crate) struct RegistryParts {
    /// Who opens databases.
    pub(crate) engine: Arc<dyn Engine>,
    /// Who hears of it.
    pub(crate) observer: Arc<dyn Observer>,
    /// The owner of flights, closings and resets.
    pub(crate) tasks: TaskTracker,
    /// What may be used.
    pub(crate) limits: Limits,
}

/// Why a database could not be opened. Shared by all who waited for it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such database, or none is opened by name.
    #[error("no such database")]
    NotFound,
    /// There is no such database, and none is created by being named.
    #[error("no such database, and this server creates none by name")]
    CreationNotAllowed,
    /// Every open database was in use until the deadline.
    #[error("max_connections reached: all {limit} databases that may be open were in use for {} ms", .waited.as_millis())]
    Full {
        /// The most that may be open.
        limit: NonZeroU32,
        /// How long was waited.
        waited: Duration,
    },
    /// As many wait as may wait.
    #[error("max_connections reached: as many as {limit} databases wait to be opened already")]
    QueueFull {
        /// The most that may wait.
        limit: u32,
    },
    /// The engine failed.
    #[error("the database could not be opened")]
    Engine(#[source] EngineError),
    /// The process is going down.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The opening task died.
    #[error("opening was interrupted")]
    Interrupted,
}

// === impl Registry ===

impl Registry {
    /// A registry with nothing open.
    pub(crate) fn new(parts: RegistryParts) -> Self {
        let Limits { max_connections, max_waiting, .. } = parts.limits;
        let table = Table::new(max_connections.get() as usize, max_waiting as usize);
        let flights = Singleflight::new(parts.tasks.clone());
        Self {
            shared: Arc::new(Shared {
                parts,
                table: Mutex::new(table),
                flights,
                failures: Failures::default(),
            }),
        }
    }

    /// The database, open, and kept open while the lease is held.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves an opening under way to land for the others.
    pub(crate) async fn lease(&self, name: &DatabaseName, dynamic: Dynamic) -> Result<Lease, OpenError> {
        if let Some(tenant) = self.step(|table, _effects| table.lend(name)) {
            return Ok(Lease::counted(tenant, self.clone()));
        }
        let (this, key) = (self.clone(), name.clone());
        let flight = self.shared.flights.join(name.clone(), || async move { this.fly(key, dynamic).await });
        flight.await.unwrap_or(Err(OpenError::Interrupted))
    }

    /// Counts, and what is open.
    pub(crate) async fn status(&self) -> DynamicStatus {
        let (counts, tenants) = self.step(|table, _effects| (table.status(), table.tenants()));
        let mut open = Vec::with_capacity(tenants.len());
        for tenant in tenants {
            open.push(tenant.status().await);
        }
        open.sort_by(|a, b| a.spec.target.cmp(&b.spec.target));
        DynamicStatus { counts, open, failing: self.shared.failures.told() }
    }

    /// Counts only.
    pub(crate) fn counts(&self) -> RegistryStatus {
        self.step(|table, _effects| table.status())
    }

    /// Closes connections that nobody has used for long.
    pub(crate) fn trim(&self, now: Instant) {
        for tenant in self.step(|table, _effects| table.tenants()) {
            tenant.pool.trim(now);
        }
    }

    /// Opens nothing from now on, and closes each database when its last lease ends.
    pub(crate) fn shut_down(&self) {
        self.step(|table, effects| table.shut_down(effects));
    }

    pub(super) fn lend_again(&self, tenant: &Tenant) {
        let lent = self.step(|table, _effects| table.lend(name_of(tenant)));
        debug_assert!(lent.is_some(), "a leased database is open");
    }

    pub(super) fn give_back(&self, tenant: &Tenant) {
        self.step(|table, effects| table.give_back(name_of(tenant), effects));
    }

    /// Opens it, and tells how that went.
    async fn fly(&self, name: DatabaseName, dynamic: Dynamic) -> Result<Lease, OpenError> {
        let started = Instant::now();
        let outcome = self.open(&name, dynamic).await;
        let database = &Target::Named(name);
        let event = match &outcome {
            Ok(_lease) => Event::DatabaseOpened { database, took: started.elapsed() },
            Err(error) => Event::OpenFailed { database, code: error.code(), error },
        };
        self.shared.parts.observer.observe(&event);
        outcome
    }

    async fn open(&self, name: &DatabaseName, dynamic: Dynamic) -> Result<Lease, OpenError> {
        let engine = &self.shared.parts.engine;
        let location = engine.locate(name);
        let spec = Spec { target: Target::Named(name.clone()), location };
        // Looked up before any place is taken: who asks for what is not there evicts nobody.
        let presence = engine.probe(&spec.location).await.map_err(OpenError::Engine)?;
        if presence == Presence::Absent && dynamic != Dynamic::Create {
            return Err(OpenError::CreationNotAllowed);
        }
        // Nor does who asks again and again for what cannot be opened.
        if let Some(error) = self.shared.failures.recall(name) {
            return Err(error);
        }
        if let Some(tenant) = self.place(name).await? {
            return Ok(Lease::counted(tenant, self.clone()));
        }
        let place = Place { registry: self, name };
        let opened = self.open_or_create(&spec, presence).await;
        let (database, created) = opened.inspect_err(|error| self.shared.failures.remember(name, error))?;
        let Limits { pool, .. } = self.shared.parts.limits;
        let pool = Pool::new(database.clone(), pool, self.shared.parts.tasks.clone());
        let tenant = Arc::new(Tenant::new(spec, TenantKind::Dynamic, database, pool));
        self.shared.failures.forget(name);
        std::mem::forget(place);
        self.step(|table, _effects| table.opened(name, tenant.clone(), created));
        if created {
            self.shared.parts.observer.observe(&Event::DatabaseCreated { database: name });
        }
        Ok(Lease::counted(tenant, self.clone()))
    }

    async fn open_or_create(
        &self,
        spec: &Spec,
        presence: Presence,
    ) -> Result<(Arc<dyn rowhouse_engine::Database>, bool), OpenError> {
        let engine = &self.shared.parts.engine;
        let created = match presence {
            Presence::Present => false,
            Presence::Absent => match engine.create(&spec.location).await {
                Ok(()) => true,
                // Put there by another hand meanwhile.
                Err(EngineError::AlreadyExists) => false,
                Err(error) => return Err(OpenError::Engine(error)),
            },
        };
        let database = engine.open(&spec.location).await.map_err(|error| match error {
            EngineError::NoSuchDatabase => OpenError::NotFound,
            error => OpenError::Engine(error),
        })?;
        Ok((database, created))
    }

    /// Waits for a place, or for the database if another flight has just opened it.
    async fn place(&self, name: &DatabaseName) -> Result<Option<Arc<Tenant>>, OpenError> {
        let Limits { max_connections, max_waiting, room_timeout, .. } = self.shared.parts.limits;
        loop {
            match self.step(|table, effects| table.admit(name, effects)) {
                Admission::Open(tenant) => return Ok(Some(tenant)),
                Admission::Place => return Ok(None),
                // An error means that the closing task died; asking again finds out.
                Admission::Closing(closed) => drop(closed.await),
                Admission::QueueFull => return Err(OpenError::QueueFull { limit: max_waiting }),
                Admission::ShuttingDown => return Err(OpenError::ShuttingDown),
                Admission::Wait(ticket, granted) => {
                    return match timeout(room_timeout, granted).await {
                        Ok(Ok(())) => Ok(None),
                        Ok(Err(_closing)) => Err(OpenError::ShuttingDown),
                        Err(_elapsed) if !self.step(|table, _effects| table.give_up(ticket)) => Ok(None),
                        Err(_elapsed) => {
                            let event = Event::RoomExhausted { database: name, limit: max_connections };
                            self.shared.parts.observer.observe(&event);
                            Err(OpenError::Full { limit: max_connections, waited: room_timeout })
                        }
                    };
                }
            }
        }
    }

    async fn close(self, tenant: Arc<Tenant>, reason: CloseReason) {
        let outcome = tenant.close().await;
        let name = name_of(&tenant);
        self.step(|table, effects| table.closed(name, effects));
        let database = &tenant.spec.target;
        if let Err(error) = &outcome {
            self.shared.parts.observer.observe(&Event::CloseFailed { database, error });
        }
        self.shared.parts.observer.observe(&Event::DatabaseClosed { database, reason });
    }

    /// Runs one atomic step, then does what it asks for with the lock released.
    fn step<T>(&self, step: impl FnOnce(&mut Table, &mut Effects) -> T) -> T {
        let mut effects = Effects::default();
        let (result, reason) = {
            let mut table = self.shared.table.lock().expect("a registry step panicked");
            let result = step(&mut table, &mut effects);
            table.check();
            (result, table.close_reason())
        };
        for waker in effects.wake {
            // The waiter may have left: a flight ends early only with the process.
            let _left = waker.send(());
        }
        for tenant in effects.close {
            self.shared.parts.tasks.spawn(self.clone().close(tenant, reason));
        }
        result
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registry").field(&self.counts()).finish()
    }
}

fn name_of(tenant: &Tenant) -> &DatabaseName {
    tenant.spec.target.name().expect("the registry holds databases opened by name only")
}

/// A granted place, given back on drop: also when opening panics.
struct Place<'a> {
    registry: &'a Registry,
    name: &'a DatabaseName,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.registry.step(|table, effects| table.failed(self.name, effects));
    }
}

// === impl OpenError ===

impl Reportable for OpenError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound | Self::CreationNotAllowed => ErrorKind::NotFound,
            Self::Full { .. } | Self::QueueFull { .. } => ErrorKind::Overloaded,
            Self::Engine(source) => source.kind(),
            Self::ShuttingDown => ErrorKind::ShuttingDown,
            Self::Interrupted => ErrorKind::Internal,
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::DatabaseNotFound,
            Self::CreationNotAllowed => ErrorCode::CreationNotAllowed,
            Self::Full { .. } => ErrorCode::DatabaseLimitReached,
            Self::QueueFull { .. } => ErrorCode::QueueFull,
            Self::Engine(source) => source.code(),
            Self::ShuttingDown => ErrorCode::ShuttingDown,
            Self::Interrupted => ErrorCode::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotFound => "check the name, or ask the operator for --auto-connect".to_owned(),
            Self::CreationNotAllowed => "check the name, or ask the operator for --auto-create".to_owned(),
            Self::Full { limit, .. } => {
                format!("try again later, or ask the operator to raise max_connections (now {limit})")
            }
            Self::QueueFull { .. } => "try again later".to_owned(),
            Self::Engine(source) => return source.hint(),
            Self::ShuttingDown | Self::Interrupted => return None,
        })
    }

    fn public_message(&self) -> String {
        match self {
            Self::Engine(source) => source.public_message(),
            Self::Interrupted => "internal error".to_owned(),
            _ => self.to_string(),
        }
    }
}
