//! The connection manager: sessions with the metadata database and with those of organizations.
use super::behalf::Behalf;
use super::engine::OrgEngine;
use super::error::{DatabaseConnectionError, DatabaseError, Unreachable};
use super::refusals::Refusals;
use super::session::DatabaseSession;
use super::{METADATA, RESULTS};
use crate::client::{Client, Principal};
use crate::gateway::Gateway;
use crate::health::Health;
use crate::journal::{Action, Cause, Entry, Interface};
use lru::LruCache;
use rowhouse_types::{DatabaseName, Target};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

/// Of how many principals it is remembered for a while what they had opened and created.
const PRINCIPALS_MAX: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

/// Sessions with the metadata database and with those of organizations. Cloning yields another handle.
///
/// Nothing is opened before it is asked for. Who asks for an organization that is not there has its database
/// made, if the gateway makes any and they may.
#[derive(Clone, Debug)]
pub struct ConnectionManager {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    gateway: Gateway,
    /// In whose name the program itself asks.
    itself: Arc<Client>,
    /// Those who asked last: what they may create in a second is counted over all of their requests.
    known: Mutex<LruCache<Principal, Arc<Client>>>,
    refusals: Refusals,
}

// === impl ConnectionManager ===

impl ConnectionManager {
    /// A manager of what this gateway leads to.
    pub fn new(gateway: Gateway) -> Self {
        let itself = Arc::new(gateway.client());
        let known = Mutex::new(LruCache::new(PRINCIPALS_MAX));
        Self { shared: Arc::new(Shared { gateway, itself, known, refusals: Refusals::default() }) }
    }

    /// The gateway.
    pub fn gateway(&self) -> &Gateway {
        &self.shared.gateway
    }

    /// Whether both are one.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// The pool of this organization's database, which is made and opened if need be: for everybody the same.
    ///
    /// # Errors
    ///
    /// When there is none and it is not to be made or cannot be, or it cannot be opened.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing; what was begun is finished for others.
    pub async fn org_engine(&self, org_id: &DatabaseName) -> Result<OrgEngine, DatabaseError> {
        self.org_engine_for(org_id, &Behalf::default()).await
    }

    /// As [`ConnectionManager::org_engine`], on somebody's behalf.
    ///
    /// # Errors
    ///
    /// As [`ConnectionManager::org_engine`].
    ///
    /// # Cancel safety
    ///
    /// As [`ConnectionManager::org_engine`].
    pub async fn org_engine_for(
        &self,
        org_id: &DatabaseName,
        behalf: &Behalf,
    ) -> Result<OrgEngine, DatabaseError> {
        let lease = self.client(behalf).open(&named(org_id), behalf.rights).await;
        let lease = lease.map_err(|source| DatabaseError::of(org_id, source))?;
        Ok(OrgEngine::new(self.clone(), org_id.clone(), lease.tenant()))
    }

    /// The pools that are open, by organization.
    pub fn engines(&self) -> BTreeMap<DatabaseName, OrgEngine> {
        let tenants = self.shared.gateway.shared.registry.tenants().into_iter();
        let named = tenants.filter_map(|tenant| Some((tenant.spec.target.name().cloned()?, tenant)));
        named.map(|(name, tenant)| (name.clone(), OrgEngine::new(self.clone(), name, &tenant))).collect()
    }

    /// Lends a connection to this organization's database, which is made and opened if need be.
    ///
    /// # Errors
    ///
    /// When there is none and it is not to be made or cannot be, it cannot be opened, or none of its connections
    /// comes free within `acquire_timeout`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in every queue and loses nothing.
    pub async fn org_session(&self, org_id: &DatabaseName) -> Result<DatabaseSession, DatabaseError> {
        self.org_session_for(org_id, &Behalf::default()).await
    }

    /// As [`ConnectionManager::org_session`], on somebody's behalf.
    ///
    /// # Errors
    ///
    /// As [`ConnectionManager::org_session`].
    ///
    /// # Cancel safety
    ///
    /// As [`ConnectionManager::org_session`].
    pub async fn org_session_for(
        &self,
        org_id: &DatabaseName,
        behalf: &Behalf,
    ) -> Result<DatabaseSession, DatabaseError> {
        let client = self.client(behalf);
        let session = client.connect_as(&named(org_id), behalf.rights, None).await;
        let session = session.map_err(|source| DatabaseError::of(org_id, source))?;
        Ok(DatabaseSession::of_organization(
            session,
            (org_id.clone(), client),
            (behalf.rights, behalf.policy),
        ))
    }

    /// Lends a connection to the metadata database.
    ///
    /// # Errors
    ///
    /// When there is none, it cannot be opened, or all its connections are in use.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn metadata_session(&self) -> Result<DatabaseSession, DatabaseError> {
        let gateway = &self.shared.gateway;
        let Some(metadata) = gateway.metadata() else {
            return Err(DatabaseConnectionError { org_id: None, source: Unreachable::NoMetadata }.into());
        };
        let session = metadata.session().await?;
        Ok(DatabaseSession::of_metadata(session, gateway.limits_of(&Target::Default)))
    }

    /// Whether the databases answer: `metadata`, and `results_NAME` of each that is open. Nothing is opened for
    /// it but the metadata database; however many ask, it is looked once a second.
    pub async fn health_check(&self) -> BTreeMap<String, bool> {
        let Health { metadata, organizations } = self.shared.gateway.health().await;
        let named =
            organizations.into_iter().map(|(org_id, answers)| (format!("{RESULTS}{org_id}"), answers));
        named.chain([(METADATA.to_owned(), metadata)]).collect()
    }

    /// Closes every organization's database, and the connections to the metadata database: those nobody uses
    /// before it returns, the others with their last session. Who asks next has them opened again.
    ///
    /// How many are still in use.
    pub async fn close_all(&self) -> usize {
        let registry = &self.shared.gateway.shared.registry;
        let mut in_use = 0;
        for tenant in registry.tenants() {
            let name = tenant.spec.target.name().expect("the registry holds databases opened by name only");
            if !registry.evict(name).await {
                registry.retire(&tenant);
                in_use += 1;
            }
        }
        if let Some(metadata) = self.shared.gateway.metadata() {
            metadata.rest().await;
        }
        in_use
    }

    /// Records that somebody was refused who asked for the database of an organization that their credentials
    /// are not for. Of many within a second some are recorded, and then how many there were.
    pub fn refused(&self, org_id: Option<&DatabaseName>, who: &str, why: &str) {
        let now = tokio::time::Instant::now().into_std();
        let Some(left_out) = self.shared.refusals.admit(now) else { return };
        let mut cause = Cause::new(Interface::Library, who);
        if 0 < left_out {
            cause = cause.because(format!("{left_out} more were refused before it"));
        }
        let entry = Entry {
            database: org_id.map(named),
            result: Err(why.to_owned()),
            ..Entry::of(Action::Access, cause)
        };
        // It is on its way, and who is refused need not wait for it.
        drop(self.shared.gateway.shared.journal.record(entry));
    }

    /// In whose name the gateway is asked.
    fn client(&self, behalf: &Behalf) -> Arc<Client> {
        let Shared { gateway, itself, known, .. } = &*self.shared;
        let Some(principal) = &behalf.principal else { return itself.clone() };
        let forgotten;
        let client = {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(client) = known.get(principal) {
                return client.clone();
            }
            let client = Arc::new(gateway.client_of(Some(principal.clone())));
            forgotten = known.push(principal.clone(), client.clone());
            client
        };
        // Outside of the lock: it leaves the gateway.
        drop(forgotten);
        client
    }
}

fn named(org_id: &DatabaseName) -> Target {
    Target::Named(org_id.clone())
}
