//! Organizations: entered with their databases, suspended and reinstated, here or by another process.
use super::error::AdminError;
use super::verbs::{LETTING_GO, Removal, none_left};
use crate::gateway::{Gateway, Shared};
use crate::journal::{Action, Cause};
use crate::metadata::{Metadata, MetadataError, State};
use rowhouse_types::{DatabaseName, Target};
use std::time::{Duration, SystemTime};
use tokio::time::timeout;

/// How much earlier changes are looked for again: clocks differ, and so do the ends of transactions.
const OVERLAP: Duration = Duration::from_secs(60);

impl Gateway {
    /// Enters an organization, and makes its database unless there is one.
    ///
    /// # Errors
    ///
    /// When there is such an organization already, or its database cannot be made.
    pub async fn create_organization(
        &self,
        name: &DatabaseName,
        title: &str,
        cause: &Cause,
    ) -> Result<(), AdminError> {
        let metadata = self.kept()?;
        if metadata.organization(name).await.is_ok() && metadata.find(name).await?.is_some() {
            return Err(AdminError::Exists);
        }
        match self.create(name, cause).await {
            // Somebody has asked for it before it was entered.
            Ok(()) | Err(AdminError::Exists) => {}
            Err(error) => return Err(error),
        }
        self.shared.places.list(name).await?;
        Ok(metadata.set_organization(name, title, cause).await?)
    }

    /// Suspends a database: nobody is served from it until it is reinstated, by any process. Who is at work
    /// there may end first, as when it is dropped.
    ///
    /// # Errors
    ///
    /// When there is no such database, or it is being made or dropped. When its sessions do not end and are
    /// not to be ended, it is suspended all the same.
    pub async fn suspend(&self, name: &DatabaseName, how: Removal, cause: &Cause) -> Result<(), AdminError> {
        let target = Target::Named(name.clone());
        let suspended = self.close_to_all(name, &target, how, cause).await;
        self.record(Action::Suspend, &target, cause, suspended.as_ref().copied());
        suspended
    }

    /// Serves a suspended database again.
    ///
    /// # Errors
    ///
    /// When it is not suspended.
    pub async fn reinstate(&self, name: &DatabaseName, cause: &Cause) -> Result<(), AdminError> {
        let target = Target::Named(name.clone());
        let resumed = match self.kept() {
            Ok(metadata) => metadata.resume(name, cause).await.map_err(AdminError::from),
            Err(error) => Err(error),
        };
        self.record(Action::Resume, &target, cause, resumed.as_ref().copied());
        resumed
    }

    async fn close_to_all(
        &self,
        name: &DatabaseName,
        target: &Target,
        how: Removal,
        cause: &Cause,
    ) -> Result<(), AdminError> {
        self.check_by_name(target, "suspended")?;
        let Shared { places, registry, gates, .. } = &*self.shared;
        let metadata = self.kept()?;
        // Nobody comes in while it is waited for those who are there.
        let Some(_fence) = gates.fence(target) else { return Err(AdminError::BeingDropped) };
        places.list(name).await?;
        metadata.suspend(name, cause).await?;
        let mut ended = Ok(());
        if let Some(tenant) = registry.find(name) {
            ended = none_left(&tenant, how.patience).await;
            if ended.is_err() && how.force {
                tenant.end();
                ended = none_left(&tenant, LETTING_GO).await;
            }
        }
        // Lent no more, whoever is there still, and whoever is opening it at this moment.
        let patience = if ended.is_ok() { LETTING_GO } else { Duration::ZERO };
        let _gone = timeout(patience, registry.doom(name)).await;
        ended
    }

    fn kept(&self) -> Result<&Metadata, AdminError> {
        let none = MetadataError::NotFound { what: "metadata database" };
        self.metadata().ok_or_else(|| none.into())
    }
}

impl Shared {
    /// Serves no more what another process has suspended, quarantined or begun to drop since then. When it
    /// looked is what is to be looked from the next time.
    pub(crate) async fn follow(&self, since: SystemTime) -> SystemTime {
        let now = SystemTime::now();
        let Some(metadata) = self.places.metadata().filter(|metadata| metadata.is_shared()) else {
            return now;
        };
        // What cannot be asked now is asked later, from the same moment on.
        let Ok(changed) = metadata.changed_since(since.checked_sub(OVERLAP).unwrap_or(since)).await else {
            return since;
        };
        for entry in changed {
            let is_over = matches!(entry.state, State::Suspended | State::Quarantined | State::Dropping);
            if is_over && let Some(tenant) = self.registry.find(&entry.name) {
                // Who is at work there may end first, as where it was suspended.
                self.registry.retire(&tenant);
            }
        }
        now
    }
}
