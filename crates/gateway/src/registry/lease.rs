//! The right to use a database: while one is held, it is not evicted.
use super::open::Registry;
use crate::tenant::Tenant;
use std::sync::Arc;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// The right to use a database: while one is held, it is not evicted.
///
/// Cloning takes another one. Dropping it is a use that ends: the database becomes the most
/// recently used one.
#[derive(Debug)]
pub(crate) struct Lease {
    tenant: Arc<Tenant>,
    counted: Counted,
}

/// Who counts it.
#[derive(Debug)]
enum Counted {
    ByRegistry(Registry),
    /// A configured database counts its own.
    ByTenant {
        _token: TaskTrackerToken,
    },
}

impl Lease {
    /// A lease on a configured database, which is never evicted.
    pub(crate) fn configured(tenant: Arc<Tenant>) -> Self {
        let counted = Counted::ByTenant { _token: tenant.leases.token() };
        Self { tenant, counted }
    }

    /// A lease that `registry` has counted already.
    pub(super) fn counted(tenant: Arc<Tenant>, registry: Registry) -> Self {
        Self { tenant, counted: Counted::ByRegistry(registry) }
    }

    pub(crate) fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }
}

impl Clone for Lease {
    fn clone(&self) -> Self {
        match &self.counted {
            Counted::ByTenant { .. } => Self::configured(self.tenant.clone()),
            Counted::ByRegistry(registry) => {
                registry.lend_again(&self.tenant);
                Self::counted(self.tenant.clone(), registry.clone())
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Counted::ByRegistry(registry) = &self.counted {
            registry.give_back(&self.tenant);
        }
    }
}
