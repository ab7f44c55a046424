//! What is told of databases. Nothing is opened for it.
use super::error::AdminError;
use crate::catalog::Resolution;
use crate::gateway::Gateway;
use crate::limits::{DatabaseLimits, OwnLimits};
use crate::tenant::Tenant;
use crate::tenant::{Counts, TenantKind, TenantStatus};
use rowhouse_engine::EngineError;
use rowhouse_types::{DatabaseName, Target};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// What is told of one database.
#[derive(Clone, Debug)]
pub struct DatabaseReport {
    /// Which.
    pub target: Target,
    /// Whether it is configured or opened by name.
    pub kind: TenantKind,
    /// What is told of it while it is open.
    pub open: Option<OpenReport>,
    /// The bytes it takes on disk, if it is on disk and they can be told.
    pub bytes: Option<u64>,
    /// What it may use.
    pub limits: DatabaseLimits,
    /// What of that it has of its own.
    pub own: OwnLimits,
    /// Whether it is paused.
    pub paused: bool,
    /// Requests that wait for it: to be resumed, for a session, or for their turn.
    pub waiting: u32,
    /// What was counted of it since the start, as far as that is remembered.
    pub counts: Counts,
    /// How often it was closed to make room, as far as that is remembered.
    pub evicted: u64,
}

/// What is told of an open database.
#[derive(Clone, Debug)]
pub struct OpenReport {
    /// As with all that are open.
    pub status: TenantStatus,
    /// Whether it takes no writes because it is as large as it may be.
    pub frozen: bool,
}

/// How many databases there are, as counted last.
#[derive(Debug)]
pub(crate) struct Known(AtomicI64);

impl Gateway {
    /// The names of all databases there are, in order: those configured and those opened by name. The
    /// default database has no name.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    pub async fn known(&self) -> Result<Vec<DatabaseName>, EngineError> {
        let catalog = &self.shared.catalog;
        let mut names = match catalog.dynamic() {
            crate::catalog::Dynamic::Off => Vec::new(),
            _ => self.shared.engine.list().await?,
        };
        // What is configured goes by the name it is configured under only.
        let engine = &self.shared.engine;
        let listed = catalog.configured().filter_map(|spec| {
            // Few are configured and very many are listed: looked at from this side.
            let name: DatabaseName = Path::new(&spec.location.0).file_stem()?.to_str()?.parse().ok()?;
            engine.places(&name).contains(&spec.location).then_some(name)
        });
        let listed: BTreeSet<_> = listed.collect();
        names.retain(|name| !listed.contains(name));
        names.extend(catalog.configured().filter_map(|spec| spec.target.name().cloned()));
        names.sort_unstable();
        names.dedup();
        self.shared.known.counted(names.len());
        Ok(names)
    }

    /// How many databases have names, as counted within the last minutes; `None` before they were.
    pub fn known_count(&self) -> Option<u64> {
        self.shared.known.get()
    }

    /// How many databases are paused.
    pub fn paused(&self) -> usize {
        self.shared.gates.paused()
    }

    /// What can be told of a database.
    ///
    /// # Errors
    ///
    /// When there is no such database.
    pub async fn inspect(&self, target: &Target) -> Result<DatabaseReport, AdminError> {
        self.must_exist(target).await?;
        let shared = &self.shared;
        let kind = match shared.catalog.resolve(target) {
            Ok(Resolution::Configured(_)) => TenantKind::Static,
            _ => TenantKind::Dynamic,
        };
        let open = match self.tenant(target) {
            None => None,
            Some(tenant) => {
                let frozen = tenant.database().is_frozen().await.unwrap_or(false);
                Some(OpenReport { status: tenant.status().await, frozen })
            }
        };
        let bytes = match (&open, shared.catalog.resolve(target)) {
            (Some(open), _) => open.status.size,
            (None, Ok(Resolution::Configured(spec))) => shared.engine.size(&spec.location).await,
            (None, Ok(Resolution::Dynamic(name, _))) => {
                shared.engine.size(&shared.places.look(name, true).await?.location).await
            }
            (None, Err(_nowhere)) => None,
        };
        let past = shared.past.of(target);
        let now = open.as_ref().map(|open| &open.status);
        Ok(DatabaseReport {
            target: target.clone(),
            kind,
            bytes,
            limits: self.pool_limits_of(target),
            own: self.own_limits(target),
            paused: shared.gates.is_paused(target),
            waiting: shared.gates.waiting(target) + now.map_or(0, |now| now.waiting),
            counts: past.counts.and(now.map(|now| now.counts).unwrap_or_default()),
            evicted: past.evicted,
            open,
        })
    }

    /// The database, if it is open; it is not lent.
    pub(super) fn tenant(&self, target: &Target) -> Option<Arc<Tenant>> {
        match self.shared.catalog.resolve(target) {
            Ok(Resolution::Configured(_)) => {
                self.shared.configured.tenants().into_iter().find(|tenant| tenant.spec.target == *target)
            }
            Ok(Resolution::Dynamic(name, _)) => self.shared.registry.find(name),
            Err(_nowhere) => None,
        }
    }

    /// All that are open.
    pub(super) fn tenants(&self) -> Vec<Arc<Tenant>> {
        let mut tenants = self.shared.configured.tenants();
        tenants.extend(self.shared.registry.tenants());
        tenants
    }
}

// === impl Known ===

impl Default for Known {
    fn default() -> Self {
        Self(AtomicI64::new(-1))
    }
}

impl Known {
    fn counted(&self, names: usize) {
        self.0.store(i64::try_from(names).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn added(&self) {
        self.shift(1);
    }

    pub(crate) fn removed(&self) {
        self.shift(-1);
    }

    fn shift(&self, by: i64) {
        let shift = |count: i64| (0 <= count).then(|| count.saturating_add(by).max(0));
        // Before they were counted there is nothing to shift.
        let _shifted = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, shift);
    }

    fn get(&self) -> Option<u64> {
        u64::try_from(self.0.load(Ordering::Relaxed)).ok()
    }
}
