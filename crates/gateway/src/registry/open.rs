//! Opening databases by name: one flight per name, a place first, then the engine.
use super::error::OpenError;
use super::failures::Failures;
use super::lease::Lease;
use super::shares::{Claim, Owner};
use super::table::{Admission, Effects, Eviction, Table};
use super::thrash::Thrashing;
use super::{DynamicStatus, RegistryStatus};
use crate::admin::{Gates, Past};
use crate::book::Book;
use crate::budget::Budgets;
use crate::catalog::Dynamic;
use crate::event::{CloseReason, Event, Observer};
use crate::journal::Journal;
use crate::limits::{Limits, Takes};
use crate::live::{Counts as LiveCounts, Live};
use crate::metadata::State;
use crate::migrate::Migrator;
use crate::pace::Pace;
use crate::places::{PlaceError, Places};
use crate::pool::Pool;
use crate::tenant::{Tenant, TenantKind, TenantParts};
use rowhouse_engine::{Database, Engine, EngineError, Presence, Processes};
use rowhouse_sync::Singleflight;
use rowhouse_types::{DatabaseName, ErrorKind, Reportable, Target};
use std::fmt;
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
    pub(crate) book: Book,
    /// What the servers of databases can take.
    pub(crate) budgets: Budgets,
    /// What is closed to new requests.
    pub(crate) gates: Gates,
    /// What was counted of those that are closed.
    pub(crate) past: Arc<Past>,
    /// What failed a moment ago, told with the configured databases'.
    pub(crate) failures: Arc<Failures>,
    /// What is counted of feeds of changes.
    pub(crate) live: Arc<LiveCounts>,
    /// Where databases opened by name live.
    pub(crate) places: Places,
    /// Where it is recorded that they were migrated.
    pub(crate) journal: Journal,
    /// What brings those opened by name to the newest schema.
    pub(crate) migrator: Option<Migrator>,
}

/// Who asks for a database, as far as sharing goes.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub(crate) owner: Owner,
    /// Whether what it asks for is created if it is missing and the server creates any.
    pub(crate) may_create: bool,
    /// How fast it may create, if that is bounded.
    pub(crate) pace: Option<Pace>,
}

/// The most flights of others, who may not create, that one who may goes along with.
const FLIGHTS_MAX: u32 = 64;

// === impl RegistryParts ===

impl RegistryParts {
    /// What a tenant of an open database is made of.
    pub(crate) fn tenant(&self, database: Arc<dyn Database>) -> TenantParts {
        let takes = if database.server().is_some() { Takes::Server } else { Takes::Own };
        let limits = self.book.all().defaults(takes);
        let pool = Pool::new(database.clone(), limits, &self.budgets, self.tasks.clone());
        let live = Live::new(self.book.clone(), self.live.clone());
        TenantParts { database, pool, live }
    }
}

// === impl Registry ===

impl Registry {
    pub(super) fn parts(&self) -> &RegistryParts {
        &self.shared.parts
    }

    /// A registry with nothing open.
    pub(crate) fn new(parts: RegistryParts) -> Self {
        let table = Mutex::new(Table::new(&parts.book.all()));
        let flights = Singleflight::new(parts.tasks.clone());
        Self { shared: Arc::new(Shared { parts, table, flights }) }
    }

    /// The database, open, and kept open while the lease is held.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves an opening under way to land for the others.
    pub(crate) async fn lease(
        &self,
        name: &DatabaseName,
        dynamic: Dynamic,
        asker: &Asker,
    ) -> Result<Lease, OpenError> {
        if let Some(tenant) = self.step(|table, _effects| table.lend(name)) {
            return Ok(Lease::counted(tenant, self.clone()));
        }
        let mut tries = 0;
        loop {
            let (this, key, owned) = (self.clone(), name.clone(), asker.clone());
            let fly = || async move { this.fly(key, dynamic, owned).await };
            let flight = self.shared.flights.join(name.clone(), fly);
            tries += 1;
            match flight.await.unwrap_or(Err(OpenError::Interrupted)) {
                // It was on the flight of somebody who may create none; the next may be its own.
                Err(OpenError::MayNotCreate)
                    if asker.may_create && dynamic == Dynamic::Create && tries < FLIGHTS_MAX => {}
                landed => return landed,
            }
        }
    }

    /// Counts, and what is open.
    pub(crate) async fn status(&self) -> DynamicStatus {
        let now = Instant::now();
        let (counts, tenants) = self.step(|table, _effects| (table.status(now), table.tenants()));
        let mut open = Vec::with_capacity(tenants.len());
        for tenant in tenants {
            open.push(tenant.status().await);
        }
        open.sort_by(|a, b| a.spec.target.cmp(&b.spec.target));
        DynamicStatus { counts, open }
    }

    /// Counts only.
    pub(crate) fn counts(&self) -> RegistryStatus {
        let now = Instant::now();
        self.step(|table, _effects| table.status(now))
    }

    /// Counts of the processes that run databases.
    pub(crate) fn processes(&self) -> Option<Processes> {
        self.shared.parts.engine.processes()
    }

    /// Closes connections that nobody has used for long.
    pub(crate) fn trim(&self, now: Instant) {
        for tenant in self.step(|table, _effects| table.tenants()) {
            tenant.pool.trim(now);
        }
    }

    /// Closes those whose storage is not what it was when they were opened, or whose process has ended. All are looked at on one
    /// thread: handing each over would cost more than the looks.
    pub(crate) async fn verify(&self) {
        let tenants = self.step(|table, _effects| table.tenants());
        let looking = self.shared.parts.tasks.spawn_blocking(move || {
            let mut replaced = tenants;
            replaced.retain(|tenant| {
                matches!(tenant.verify(), Err(EngineError::Replaced | EngineError::ProcessEnded))
            });
            replaced
        });
        for tenant in looking.await.unwrap_or_default() {
            self.retire(&tenant);
        }
    }

    /// Clears away what databases left that were closed so long ago.
    pub(crate) async fn clear_leftovers(&self, age: Duration) {
        self.shared.parts.engine.clear_leftovers(age).await;
    }

    /// This opening of a database is of no more use: it is lent no more, and closed when its last
    /// lease ends.
    pub(crate) fn retire(&self, tenant: &Arc<Tenant>) {
        self.step(|table, effects| table.retire(tenant, name_of(tenant), effects));
        tenant.holds.end();
        tenant.live.end();
    }

    /// The database, if it is open; it is not lent.
    pub(crate) fn find(&self, name: &DatabaseName) -> Option<Arc<Tenant>> {
        self.step(|table, _effects| table.find(name))
    }

    /// The open ones.
    pub(crate) fn tenants(&self) -> Vec<Arc<Tenant>> {
        self.step(|table, _effects| table.tenants())
    }

    /// Closes it if nobody uses it, and returns when that is done. False if somebody does.
    pub(crate) async fn evict(&self, name: &DatabaseName) -> bool {
        match self.step(|table, effects| table.evict_named(name, effects)) {
            Eviction::NotOpen => true,
            Eviction::InUse => false,
            // An error means that the closing task died, and the database with it.
            Eviction::Closing(gone) => {
                drop(gone.await);
                true
            }
        }
    }

    /// Lends it no more, and returns when it is closed, which is when its last lease ends.
    pub(crate) async fn doom(&self, name: &DatabaseName) {
        if let Some(gone) = self.step(|table, effects| table.doom(name, effects)) {
            // An error means that the closing task died, and the database with it.
            drop(gone.await);
        }
    }

    /// What failed of it may be well now.
    pub(crate) fn forgive(&self, target: &Target) {
        self.shared.parts.failures.forget(target);
    }

    /// It is not there any more: nothing that is remembered of it holds.
    pub(crate) fn forget(&self, target: &Target) {
        self.shared.parts.failures.forget(target);
        if let Some(name) = target.name() {
            self.step(|table, _effects| table.forget(name));
        }
    }

    /// Goes by the limits in force from now on.
    pub(crate) fn resize(&self) {
        let limits = self.shared.parts.book.all();
        self.step(|table, effects| table.resize(&limits, Instant::now(), effects));
    }

    /// A client has come.
    pub(crate) fn enter(&self, owner: Owner) {
        self.step(|table, _effects| table.enter(owner));
    }

    /// A client has left.
    pub(crate) fn leave(&self, owner: Owner) {
        self.step(|table, _effects| table.leave(owner));
    }

    /// Opens nothing from now on, and closes each database when its last lease ends.
    pub(crate) fn shut_down(&self) {
        self.step(|table, effects| table.shut_down(Instant::now(), effects));
    }

    pub(super) fn lend_again(&self, tenant: &Tenant) {
        self.step(|table, _effects| table.lend_again(name_of(tenant)));
    }

    pub(super) fn give_back(&self, tenant: &Tenant) {
        let now = Instant::now();
        self.step(|table, effects| table.give_back(name_of(tenant), now, effects));
    }

    /// Opens it, and tells how that went.
    async fn fly(&self, name: DatabaseName, dynamic: Dynamic, asker: Asker) -> Result<Lease, OpenError> {
        let started = Instant::now();
        let RegistryParts { failures, .. } = &self.shared.parts;
        let database = &Target::Named(name);
        // Who asks again and again for what cannot be opened evicts nobody, and is heard once.
        if let Some(error) = failures.recall(database) {
            return Err(error);
        }
        let outcome = self.open(database, dynamic, &asker).await;
        match &outcome {
            Ok(_lease) => failures.forget(database),
            Err(error) if error.kind() == ErrorKind::NotFound => failures.forget(database),
            Err(
                error @ (OpenError::Engine(_)
                | OpenError::Migration(_)
                | OpenError::Create(_)
                | OpenError::Place(_)
                | OpenError::Interrupted),
            ) if error.refusal().is_none() => {
                failures.remember(database, error);
            }
            Err(_refused) => {}
        }
        self.tell(database, &outcome, started);
        if matches!(outcome, Err(OpenError::Engine(EngineError::OpenElsewhere))) {
            // It was renamed while open: the one under its old name makes way.
            self.verify().await;
        }
        outcome
    }

    fn tell(&self, database: &Target, outcome: &Result<Lease, OpenError>, started: Instant) {
        let event = match outcome {
            Ok(_lease) => Event::DatabaseOpened { database, took: started.elapsed() },
            Err(error) => match error.refusal() {
                Some(reason) => Event::Refused { database, reason, code: error.code() },
                None => Event::OpenFailed { database, code: error.code(), error },
            },
        };
        self.shared.parts.observer.observe(&event);
    }

    async fn open(&self, target: &Target, dynamic: Dynamic, asker: &Asker) -> Result<Lease, OpenError> {
        let RegistryParts { book, gates, places, .. } = &self.shared.parts;
        let name = target.name().expect("the registry opens databases by name only");
        // Looked up before any place is taken: who asks for what is not there evicts nobody. What was there
        // a moment ago is there, but for once.
        let was_open = self.step(|table, _effects| table.was_open_lately(name));
        let found = places.find(name, was_open).await?;
        let presence = found.presence;
        if presence == Presence::Absent && dynamic != Dynamic::Create {
            return Err(OpenError::CreationNotAllowed);
        }
        if presence == Presence::Absent && !asker.may_create {
            return Err(OpenError::MayNotCreate);
        }
        if presence == Presence::Absent {
            pace(asker, &book.all()).await?;
        }
        if let Some(tenant) = self.place(name, asker).await? {
            return Ok(Lease::counted(tenant, self.clone()));
        }
        let place = Place { registry: self, name };
        // Whoever drops it waits for what has a place, and this one has come too late for that.
        if gates.is_fenced(target) {
            return Err(OpenError::BeingDropped);
        }
        let is_listed = found.state == Some(State::Active);
        let (spec, database, created) = match self.bring(target, found).await {
            // Emptiness is no answer to who asks for what was there.
            Err(OpenError::NotFound) if is_listed => return Err(PlaceError::Missing.into()),
            // Dropped since it was looked for, before it had a place: it is as absent as any other.
            Err(OpenError::NotFound) if dynamic == Dynamic::Create && asker.may_create => {
                pace(asker, &book.all()).await?;
                let found = places.find(name, false).await?;
                self.bring(target, found).await?
            }
            Err(OpenError::NotFound) if dynamic == Dynamic::Create => return Err(OpenError::MayNotCreate),
            Err(OpenError::NotFound) => return Err(OpenError::CreationNotAllowed),
            opened => opened?,
        };
        let parts = self.shared.parts.tenant(database);
        let tenant = Arc::new(Tenant::new(spec, TenantKind::Dynamic, parts));
        tenant.heed(book);
        std::mem::forget(place);
        self.step(|table, _effects| table.opened(name, tenant.clone(), created));
        // Once more: who changed them meanwhile did not find it.
        tenant.heed(book);
        if created {
            self.shared.parts.observer.observe(&Event::DatabaseCreated { database: name });
        }
        Ok(Lease::counted(tenant, self.clone()))
    }

    /// Waits for a place, or for the database if another flight has just opened it.
    async fn place(&self, name: &DatabaseName, asker: &Asker) -> Result<Option<Arc<Tenant>>, OpenError> {
        loop {
            let Limits { max_connections, max_waiting, room_timeout, .. } = self.shared.parts.book.all();
            let claim = Claim { owner: asker.owner, now: Instant::now() };
            match self.step(|table, effects| table.admit(name, claim, effects)) {
                Admission::Open(tenant) => return Ok(Some(tenant)),
                Admission::Place => return Ok(None),
                // An error means that the closing task died; asking again finds out.
                Admission::Closing(closed) => drop(
                    timeout(room_timeout, closed)
                        .await
                        .map_err(|_elapsed| OpenError::Closing { waited: room_timeout })?,
                ),
                Admission::QueueFull => return Err(OpenError::QueueFull { limit: max_waiting }),
                Admission::ShuttingDown => return Err(OpenError::ShuttingDown),
                Admission::Wait(ticket, mut granted) => {
                    let told = match timeout(room_timeout, &mut granted).await {
                        Ok(told) => told,
                        Err(_elapsed) if self.step(|table, _effects| table.give_up(ticket)) => {
                            return Err(OpenError::Full { limit: max_connections, waited: room_timeout });
                        }
                        // Granted in this moment, or refused because nothing is opened any more.
                        Err(_elapsed) => granted.await,
                    };
                    return told.map(|()| None).map_err(|_closing| OpenError::ShuttingDown);
                }
            }
        }
    }

    async fn close(self, tenant: Arc<Tenant>, reason: CloseReason) {
        let started = Instant::now();
        let reason = tenant.close_reason(reason);
        let outcome = tenant.close().await;
        let name = name_of(&tenant);
        self.shared.parts.past.add(
            &tenant.spec.target,
            tenant.counters.counts(),
            reason == CloseReason::Evicted,
        );
        self.step(|table, effects| table.closed(name, effects));
        let database = &tenant.spec.target;
        if let Err(error) = &outcome {
            self.shared.parts.observer.observe(&Event::CloseFailed { database, error });
        }
        let took = started.elapsed();
        self.shared.parts.observer.observe(&Event::DatabaseClosed { database, reason, took });
    }

    /// Runs one atomic step, then does what it asks for with the lock released.
    fn step<T>(&self, step: impl FnOnce(&mut Table, &mut Effects) -> T) -> T {
        let mut effects = Effects::default();
        let result = {
            let mut table = self.shared.table.lock().expect("a registry step panicked");
            let result = step(&mut table, &mut effects);
            table.check();
            result
        };
        for waker in effects.wake {
            // The waiter may have left: a flight ends early only with the process.
            let _left = waker.send(());
        }
        for (tenant, reason) in effects.close {
            self.shared.parts.tasks.spawn(self.clone().close(tenant, reason));
        }
        if let Some(Thrashing { reopened, within, would_fit }) = effects.thrashing {
            let RegistryParts { observer, book, .. } = &self.shared.parts;
            let limit = book.all().max_connections;
            observer.observe(&Event::Thrashing { reopened, within, limit, would_fit });
        }
        result
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registry").field(&self.counts()).finish()
    }
}

/// Makes a client that creates faster than it may wait for its turn.
async fn pace(asker: &Asker, limits: &Limits) -> Result<(), OpenError> {
    let Some(pace) = &asker.pace else { return Ok(()) };
    let now = tokio::time::Instant::now().into_std();
    let wait = pace.turn(limits.create_rate, now, limits.room_timeout);
    let wait = wait.map_err(|_longer| OpenError::TooFast { rate: limits.create_rate })?;
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    Ok(())
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
