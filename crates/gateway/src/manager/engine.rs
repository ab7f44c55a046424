//! The pool of one organization's database, by which it is known while it is open.
use super::behalf::Behalf;
use super::connections::ConnectionManager;
use super::error::DatabaseError;
use super::session::DatabaseSession;
use crate::tenant::{Tenant, TenantStatus};
use rowhouse_types::DatabaseName;
use std::sync::{Arc, Weak};

/// The pool of one organization's database.
///
/// It keeps nothing open: the database may be closed for others who need the room, and is opened again with its
/// next session. Two of one organization are the same for as long as it stays open in between.
#[derive(Clone, Debug)]
pub struct OrgEngine {
    manager: ConnectionManager,
    org_id: DatabaseName,
    tenant: Weak<Tenant>,
}

// === impl OrgEngine ===

impl OrgEngine {
    pub(super) fn new(manager: ConnectionManager, org_id: DatabaseName, tenant: &Arc<Tenant>) -> Self {
        Self { manager, org_id, tenant: Arc::downgrade(tenant) }
    }

    /// Whose it is.
    pub fn org_id(&self) -> &DatabaseName {
        &self.org_id
    }

    /// Whether both are one pool.
    pub fn is_same(&self, other: &Self) -> bool {
        Weak::ptr_eq(&self.tenant, &other.tenant)
    }

    /// What can be told of it: sessions at work, those who wait, the limits. `None` when it is closed.
    pub async fn status(&self) -> Option<TenantStatus> {
        let open = self.manager.gateway().shared.registry.find(&self.org_id)?;
        // Closed ones stay until the last session has ended.
        if !Weak::ptr_eq(&self.tenant, &Arc::downgrade(&open)) {
            return None;
        }
        Some(open.status().await)
    }

    /// Lends a connection, opening the database again if it was closed.
    ///
    /// # Errors
    ///
    /// As [`ConnectionManager::org_session`].
    ///
    /// # Cancel safety
    ///
    /// As [`ConnectionManager::org_session`].
    pub async fn session(&self) -> Result<DatabaseSession, DatabaseError> {
        self.manager.org_session_for(&self.org_id, &Behalf::default()).await
    }
}
