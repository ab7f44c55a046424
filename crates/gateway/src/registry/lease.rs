//! The right to use a database: while one is held, it is not evicted.
use super::open::Registry;
use crate::tenant::Tenant;
use std::sync::Arc;

/// The right to use a database: while one is held, it is not evicted.
///
/// Cloning takes another one. Dropping it is a use that ends: the database becomes the most
/// recently used one.
#[derive(Debug)]
pub(crate) struct Lease {
    tenant: Arc<Tenant>,
    /// Who counts it; nobody counts the configured databases'.
    registry: Option<Registry>,
}

impl Lease {
    /// A lease on a configured database, which is never evicted.
    pub(crate) fn uncounted(tenant: Arc<Tenant>) -> Self {
        Self { tenant, registry: None }
    }

    /// A lease that `registry` has counted already.
    pub(super) fn counted(tenant: Arc<Tenant>, registry: Registry) -> Self {
        Self { tenant, registry: Some(registry) }
    }

    pub(crate) fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }
}

impl Clone for Lease {
    fn clone(&self) -> Self {
        if let Some(registry) = &self.registry {
            registry.lend_again(&self.tenant);
        }
        Self { tenant: self.tenant.clone(), registry: self.registry.clone() }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(registry) = self.registry.take() {
            registry.give_back(&self.tenant);
        }
    }
}
