//! The right to use a database: while one is held, it is not evicted.
use super::open::Registry;
use crate::tenant::Tenant;
use crate::uses::Use;
use std::sync::Arc;

/// The right to use a database: while one is held, it is not evicted.
///
/// Cloning takes another one. Dropping it is a use that ends: the database becomes the most
/// recently used one.
#[derive(Debug)]
pub(crate) struct Lease {
    tenant: Arc<Tenant>,
    /// Who counts it besides its tenant, if it was opened by name.
    registry: Option<Registry>,
    /// Ends last: whoever waits for it finds that the registry counts it no more.
    _use: Use,
}

impl Lease {
    /// A lease on a configured database, which is never evicted.
    pub(crate) fn configured(tenant: Arc<Tenant>) -> Self {
        let _use = tenant.leases.begin();
        Self { tenant, registry: None, _use }
    }

    /// A lease that `registry` has counted already.
    pub(super) fn counted(tenant: Arc<Tenant>, registry: Registry) -> Self {
        let _use = tenant.leases.begin();
        Self { tenant, registry: Some(registry), _use }
    }

    pub(crate) fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }
}

impl Clone for Lease {
    fn clone(&self) -> Self {
        match &self.registry {
            None => Self::configured(self.tenant.clone()),
            Some(registry) => {
                registry.lend_again(&self.tenant);
                Self::counted(self.tenant.clone(), registry.clone())
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(registry) = &self.registry {
            registry.give_back(&self.tenant);
        }
    }
}
