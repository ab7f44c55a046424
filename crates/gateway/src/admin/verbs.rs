//! What is done to a database as a whole.
use super::error::AdminError;
use super::gates::{Fence, GATES_MAX};
use crate::catalog::{Resolution, Spec};
use crate::event::Event;
use crate::gateway::{Gateway, Shared};
use crate::journal::{Action, Cause, Entry};
use crate::metadata::{Schema, State};
use crate::migrate::Opened;
use crate::tenant::Tenant;
use rowhouse_engine::{EngineError, Presence};
use rowhouse_types::{DatabaseName, Target};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long sessions that were ended may take to let go.
pub(super) const LETTING_GO: Duration = Duration::from_secs(5);

/// How a database is dropped that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removal {
    /// How long its sessions may take to end by themselves.
    pub patience: Duration,
    /// Whether they are ended then; else it is not dropped.
    pub force: bool,
}

impl Default for Removal {
    fn default() -> Self {
        Self { patience: Duration::from_secs(10), force: false }
    }
}

impl Gateway {
    /// Creates an empty database where those opened by name live.
    ///
    /// # Errors
    ///
    /// When there is one, or the server opens none by name.
    pub async fn create(&self, name: &DatabaseName, cause: &Cause) -> Result<(), AdminError> {
        let target = Target::Named(name.clone());
        let created = self.make(name, &target).await;
        self.record(Action::CreateDatabase, &target, cause, created.as_ref().copied());
        created
    }

    /// Drops a database and all it holds, with the limits it has of its own: nothing of it is there for
    /// the next one of its name.
    ///
    /// New requests wait meanwhile, no longer than they wait for anything, and find no database after it,
    /// or a new one where being named creates one.
    ///
    /// # Errors
    ///
    /// When its sessions do not end and are not to be ended, or it is configured. With
    /// [`AdminError::NotKept`] it is dropped, and its limits hold for the next one of its name that there
    /// is after a restart.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future lets it go on.
    pub async fn drop_database(
        &self,
        name: &DatabaseName,
        how: Removal,
        cause: &Cause,
    ) -> Result<(), AdminError> {
        let (this, name, cause) = (self.clone(), name.clone(), cause.clone());
        let removing = async move {
            let target = Target::Named(name.clone());
            let removed = this.remove((&name, &target), how, &cause).await;
            this.record(Action::DropDatabase, &target, &cause, removed.as_ref().map(drop));
            let _fence = removed?;
            this.tell(&Event::DatabaseDropped { database: &name, cause: &cause });
            this.forget_own(&target).await
        };
        self.shared.tasks.spawn(removing).await.unwrap_or(Err(AdminError::ShuttingDown))
    }

    /// Closes a database that nobody uses; the next request opens it again. One that is not open is left
    /// as it is.
    ///
    /// # Errors
    ///
    /// When somebody uses it, or it is configured.
    pub async fn evict(&self, target: &Target, cause: &Cause) -> Result<(), AdminError> {
        let evicted = self.close_idle(target).await;
        self.record(Action::Evict, target, cause, evicted.as_ref().copied());
        evicted
    }

    /// Lets new requests of a database wait until it is resumed, and returns when those that run have
    /// ended, transactions included. Pausing a paused one waits for the same.
    ///
    /// Who waits holds neither a session nor the database, and is told so after `acquire_timeout`.
    ///
    /// # Errors
    ///
    /// When they have not ended within `patience`, or somebody resumed it before. Then it is not paused.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it paused.
    pub async fn pause(&self, target: &Target, patience: Duration, cause: &Cause) -> Result<(), AdminError> {
        let held = self.hold(target, patience).await;
        let record = |ended: Result<(), &AdminError>| self.record(Action::Pause, target, cause, ended);
        let paused = held.and_then(|()| match self.shared.gates.while_paused(target, || record(Ok(()))) {
            true => Ok(()),
            false => Err(AdminError::Resumed),
        });
        paused.inspect_err(|error| record(Err(error)))
    }

    /// Lets the requests of a paused database go on. False if it was not paused.
    pub fn resume(&self, target: &Target, cause: &Cause) -> bool {
        self.shared.gates.resume(target, || self.record(Action::Resume, target, cause, Ok(())))
    }

    /// Moves what was committed from a database's log to where it belongs. There is nothing to move of
    /// one that is closed.
    ///
    /// # Errors
    ///
    /// When somebody reads for long, or the disk fails.
    pub async fn checkpoint(&self, target: &Target, cause: &Cause) -> Result<(), AdminError> {
        let moved = self.shorten_log(target).await;
        self.record(Action::Checkpoint, target, cause, moved.as_ref().copied());
        moved
    }

    async fn make(&self, name: &DatabaseName, target: &Target) -> Result<(), AdminError> {
        self.check_by_name(target, "created")?;
        if self.shared.gates.is_fenced(target) {
            return Err(AdminError::BeingDropped);
        }
        let Shared { engine, places, .. } = &*self.shared;
        let found = places.look(name, false).await?;
        let half_made = matches!(found.state, None | Some(State::Creating | State::Migrating));
        if found.presence == Presence::Present || !half_made {
            return Err(AdminError::Exists);
        }
        let found = places.claim(name, found).await?;
        engine.create(&found.location).await?;
        let spec = Spec { target: target.clone(), location: found.location.clone() };
        let schema = self.bring_to_head(&spec).await?;
        places.settle(name, &found, schema.as_ref()).await?;
        self.tell(&Event::DatabaseCreated { database: name });
        self.shared.known.added();
        Ok(())
    }

    /// Brings a database that was just made to the newest schema; it is gone if it cannot be.
    async fn bring_to_head(&self, spec: &Spec) -> Result<Option<Schema>, AdminError> {
        let Shared { engine, observer, journal, migrator, .. } = &*self.shared;
        let Some(migrator) = migrator else { return Ok(None) };
        let database = engine.open(&spec.location).await?;
        let opened = Opened { spec, database: &database, is_made: true };
        let brought = migrator.take_in(&opened, (&**engine, &**observer, journal)).await;
        let schema = brought.map_err(|error| AdminError::Migration(Arc::new(error)))?;
        database.close().await?;
        Ok(schema)
    }

    /// Removes it, and keeps everybody out for as long as the fence is there.
    async fn remove(
        &self,
        (name, target): (&DatabaseName, &Target),
        how: Removal,
        cause: &Cause,
    ) -> Result<Fence, AdminError> {
        self.check_by_name(target, "dropped")?;
        let Some(fence) = self.shared.gates.fence(target) else { return Err(AdminError::BeingDropped) };
        let Shared { engine, places, .. } = &*self.shared;
        let found = places.look(name, false).await?;
        if found.presence == Presence::Absent && found.state.is_none() {
            return Err(AdminError::NotFound);
        }
        if let Some(tenant) = self.tenant(target)
            && let Err(error) = none_left(&tenant, how.patience).await
        {
            if !how.force {
                return Err(error);
            }
            tenant.end();
            none_left(&tenant, LETTING_GO).await.inspect_err(|_| tenant.go_on())?;
        }
        self.shared.registry.doom(name).await;
        // Once more: who was let in before the fence may have written it down.
        let found = places.look(name, false).await?;
        let listed = found.state.and(places.metadata());
        if let Some(metadata) = listed {
            metadata.drop_begun(name, cause).await?;
        }
        match engine.destroy(&found.location).await {
            // It was begun before, by a process that ended.
            Err(EngineError::NoSuchDatabase) if listed.is_some() => {}
            destroyed => destroyed?,
        }
        if let Some(metadata) = listed {
            metadata.forget(name).await?;
        }
        self.shared.registry.forget(target);
        self.shared.past.forget(target);
        self.shared.known.removed();
        self.shared.gates.resume(target, || ());
        Ok(fence)
    }

    async fn close_idle(&self, target: &Target) -> Result<(), AdminError> {
        match self.shared.catalog.resolve(target) {
            Ok(Resolution::Configured(_)) => return Err(AdminError::Configured { verb: "evicted" }),
            Ok(Resolution::Dynamic(..)) => self.must_exist(target).await?,
            Err(_nowhere) => return Err(AdminError::NotFound),
        }
        let name = target.name().expect("the default database is configured");
        if self.shared.registry.evict(name).await {
            return Ok(());
        }
        Err(AdminError::InUse { sessions: self.tenant(target).map_or(0, |tenant| tenant.pool.status().held) })
    }

    async fn hold(&self, target: &Target, patience: Duration) -> Result<(), AdminError> {
        self.must_exist(target).await?;
        let gates = &self.shared.gates;
        if gates.is_fenced(target) {
            return Err(AdminError::BeingDropped);
        }
        let too_many = AdminError::TooMany { limit: GATES_MAX, what: "are paused" };
        let is_new = gates.pause(target).ok_or(too_many)?;
        let Some(tenant) = self.tenant(target) else { return Ok(()) };
        let held = none_left(&tenant, patience).await;
        if held.is_err() && is_new {
            gates.resume(target, || ());
        }
        held
    }

    async fn shorten_log(&self, target: &Target) -> Result<(), AdminError> {
        self.must_exist(target).await?;
        let Some(tenant) = self.tenant(target) else { return Ok(()) };
        let _use = tenant.leases.begin();
        match tenant.database().checkpoint().await {
            // It was closed meanwhile, which moves all there is.
            Err(EngineError::Closed) => Ok(()),
            moved => Ok(moved?),
        }
    }

    /// Fails when it is not one of those made and dropped by name.
    pub(super) fn check_by_name(&self, target: &Target, verb: &'static str) -> Result<(), AdminError> {
        let Shared { catalog, engine, .. } = &*self.shared;
        match catalog.resolve(target) {
            // What is configured may lie where a name would lead to.
            Ok(Resolution::Dynamic(name, _)) => {
                let places = engine.places(name);
                let is_configured = catalog.configured().any(|spec| places.contains(&spec.location));
                if is_configured { Err(AdminError::Configured { verb }) } else { Ok(()) }
            }
            Ok(Resolution::Configured(_)) => Err(AdminError::Configured { verb }),
            Err(_nowhere) => Err(AdminError::NotByName),
        }
    }

    /// Fails when there is no such database.
    pub(super) async fn must_exist(&self, target: &Target) -> Result<(), AdminError> {
        match self.shared.catalog.resolve(target) {
            Ok(Resolution::Configured(_)) => Ok(()),
            Err(_nowhere) => Err(AdminError::NotFound),
            Ok(Resolution::Dynamic(name, _)) => {
                let found = self.shared.places.look(name, false).await?;
                match found.presence {
                    Presence::Present => Ok(()),
                    Presence::Absent => Err(AdminError::NotFound),
                }
            }
        }
    }

    pub(super) fn record(
        &self,
        action: Action,
        target: &Target,
        cause: &Cause,
        ended: Result<(), &AdminError>,
    ) {
        let entry = Entry {
            database: Some(target.clone()),
            result: ended.map_err(super::change::told),
            ..Entry::of(action, cause.clone())
        };
        // It is on its way, and who asked need not wait for it.
        drop(self.shared.journal.record(entry));
    }
}

/// Waits until nobody uses it.
pub(super) async fn none_left(tenant: &Arc<Tenant>, patience: Duration) -> Result<(), AdminError> {
    tenant.holds.let_go();
    tenant.live.let_go();
    let left = timeout(patience, tenant.leases.none()).await;
    left.map_err(|_elapsed| AdminError::StillInUse { sessions: tenant.pool.status().held, waited: patience })
}
