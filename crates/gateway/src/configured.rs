//! The configured databases: opened at the start, never evicted, opened anew when replaced.
use crate::catalog::Spec;
use crate::event::{CloseReason, Event};
use crate::registry::{Lease, OpenError, RegistryParts, open_or_create};
use crate::tenant::{Tenant, TenantKind};
use rowhouse_sync::Singleflight;
use rowhouse_types::{Reportable, Target};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;
use tokio::time::timeout;

/// The configured databases. Cloning yields another handle.
#[derive(Clone)]
pub(crate) struct Configured {
    shared: Arc<Shared>,
}

struct Shared {
    parts: RegistryParts,
    databases: BTreeMap<Target, (Spec, Mutex<State>)>,
    flights: Singleflight<Target, Result<Lease, OpenError>>,
}

/// A configured database is open, or its last opening has to be closed first, or neither.
enum State {
    Open(Arc<Tenant>),
    Leaving(Arc<Tenant>),
    Closed,
}

impl Configured {
    /// Opens them all, creating those that are missing.
    ///
    /// # Errors
    ///
    /// With the first that cannot be opened.
    pub(crate) async fn open(
        parts: RegistryParts,
        specs: impl Iterator<Item = &Spec>,
    ) -> Result<Self, (Target, OpenError)> {
        let mut databases = BTreeMap::new();
        for spec in specs {
            let target = &spec.target;
            let tenant = open(&parts, spec).await.map_err(|error| (target.clone(), error))?;
            databases.insert(target.clone(), (spec.clone(), Mutex::new(State::Open(tenant))));
        }
        let flights = Singleflight::new(parts.tasks.clone());
        Ok(Self { shared: Arc::new(Shared { parts, databases, flights }) })
    }

    /// The database, open; opened anew if it was replaced.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves an opening under way to land for the others.
    pub(crate) async fn lease(&self, target: &Target) -> Result<Lease, OpenError> {
        if let State::Open(tenant) = &*self.state(target) {
            return Ok(Lease::configured(tenant.clone()));
        }
        let (this, key) = (self.clone(), target.clone());
        let flight = self.shared.flights.join(target.clone(), || async move { this.reopen(&key).await });
        flight.await.unwrap_or(Err(OpenError::Interrupted))
    }

    /// This opening of a database is of no more use.
    pub(crate) fn retire(&self, tenant: &Arc<Tenant>) {
        let mut state = self.state(&tenant.spec.target);
        if matches!(&*state, State::Open(open) if Arc::ptr_eq(open, tenant)) {
            *state = State::Leaving(tenant.clone());
        }
        drop(state);
        tenant.holds.end();
        tenant.live.end();
    }

    /// The open ones.
    pub(crate) fn tenants(&self) -> Vec<Arc<Tenant>> {
        let open = |target| match &*self.state(target) {
            State::Open(tenant) => Some(tenant.clone()),
            State::Leaving(_) | State::Closed => None,
        };
        self.shared.databases.keys().filter_map(open).collect()
    }

    /// Closes them all. Nobody may hold a lease or ask for one.
    pub(crate) async fn shut_down(&self) {
        for target in self.shared.databases.keys() {
            let state = std::mem::replace(&mut *self.state(target), State::Closed);
            if let State::Open(tenant) | State::Leaving(tenant) = state {
                self.close(&tenant, CloseReason::Shutdown).await;
            }
        }
    }

    async fn reopen(&self, target: &Target) -> Result<Lease, OpenError> {
        let Shared { parts, databases, .. } = &*self.shared;
        let started = Instant::now();
        let (spec, _) = &databases[target];
        let opened = async {
            let leaving = match &*self.state(target) {
                // A flight before this one opened it.
                State::Open(tenant) => return Ok((tenant.clone(), false)),
                State::Leaving(tenant) => Some(tenant.clone()),
                State::Closed => None,
            };
            if let Some(tenant) = leaving {
                let waited = parts.book.all().room_timeout;
                timeout(waited, tenant.leases.none())
                    .await
                    .map_err(|_elapsed| OpenError::Closing { waited })?;
                self.close(&tenant, CloseReason::Replaced).await;
                *self.state(target) = State::Closed;
            }
            if let Some(error) = parts.failures.recall(target) {
                return Err(error);
            }
            let tenant =
                open(parts, spec).await.inspect_err(|error| parts.failures.remember(target, error))?;
            *self.state(target) = State::Open(tenant.clone());
            // Once more: who changed them meanwhile did not find it.
            tenant.heed(&parts.book);
            parts.failures.forget(target);
            Ok((tenant, true))
        };
        let database = target;
        match opened.await {
            Ok((tenant, new)) => {
                if new {
                    parts.observer.observe(&Event::DatabaseOpened { database, took: started.elapsed() });
                }
                Ok(Lease::configured(tenant))
            }
            Err(error) => {
                parts.observer.observe(&Event::OpenFailed { database, code: error.code(), error: &error });
                Err(error)
            }
        }
    }

    async fn close(&self, tenant: &Tenant, reason: CloseReason) {
        let observer = &self.shared.parts.observer;
        let (database, started) = (&tenant.spec.target, Instant::now());
        let reason = tenant.close_reason(reason);
        if let Err(error) = tenant.close().await {
            observer.observe(&Event::CloseFailed { database, error: &error });
        }
        observer.observe(&Event::DatabaseClosed { database, reason, took: started.elapsed() });
    }

    fn state(&self, target: &Target) -> MutexGuard<'_, State> {
        let (_, state) = self.shared.databases.get(target).expect("the catalog knows it as configured");
        state.lock().expect("never panics while locked")
    }
}

impl fmt::Debug for Configured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.shared.databases.keys()).finish()
    }
}

async fn open(parts: &RegistryParts, spec: &Spec) -> Result<Arc<Tenant>, OpenError> {
    let RegistryParts { engine, book, .. } = parts;
    let presence = engine.probe(&spec.location).await.map_err(OpenError::Engine)?;
    let (database, _created) = open_or_create(&**engine, spec, presence).await?;
    let tenant = Arc::new(Tenant::new(spec.clone(), TenantKind::Static, parts.tenant(database)));
    tenant.heed(book);
    Ok(tenant)
}
