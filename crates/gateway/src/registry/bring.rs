//! A database that was found, or not, is opened: made first if it is not there, and brought to the newest schema.
use super::error::OpenError;

use super::open::{Registry, RegistryParts};
use crate::catalog::Spec;
use crate::metadata::Schema;
use crate::migrate::Opened;
use crate::places::Found;
use rowhouse_engine::{Database, Engine, EngineError, Presence};
use rowhouse_types::Target;
use std::sync::Arc;

impl Registry {
    /// Opens what was found, and makes it first if nothing was; tells whether it did.
    pub(super) async fn bring(
        &self,
        target: &Target,
        found: Found,
    ) -> Result<(Spec, Arc<dyn Database>, bool), OpenError> {
        let RegistryParts { engine, places, .. } = self.parts();
        let name = target.name().expect("the registry opens databases by name only");
        let found = match found.presence {
            Presence::Absent => places.claim(name, found).await?,
            Presence::Present => found,
        };
        let spec = Spec { target: target.clone(), location: found.location.clone() };
        let (database, created) = open_or_create(&**engine, &spec, found.presence).await?;
        let schema = self.migrate(&spec, &database, created).await?;
        places.settle(name, &found, schema.as_ref()).await?;
        Ok((spec, database, created))
    }

    /// Brings it to the newest schema, if it is to be. What cannot be is not served, and removed if it was just made.
    async fn migrate(
        &self,
        spec: &Spec,
        database: &Arc<dyn Database>,
        created: bool,
    ) -> Result<Option<Schema>, OpenError> {
        let RegistryParts { engine, observer, journal, migrator, .. } = self.parts();
        let Some(migrator) = migrator else { return Ok(None) };
        let opened = Opened { spec, database, is_made: created };
        let migrated = migrator.take_in(&opened, (&**engine, &**observer, journal)).await;
        migrated.map_err(|error| OpenError::Migration(Arc::new(error)))
    }
}

/// Opens a database, and creates it first if it is absent; tells whether it did.
pub(crate) async fn open_or_create(
    engine: &dyn Engine,
    spec: &Spec,
    presence: Presence,
) -> Result<(Arc<dyn Database>, bool), OpenError> {
    let created = match presence {
        Presence::Present => false,
        Presence::Absent => match engine.create(&spec.location).await {
            Ok(()) => true,
            // Put there by another hand meanwhile.
            Err(EngineError::AlreadyExists) => false,
            Err(error) => return Err(OpenError::Create(error)),
        },
    };
    let database = engine.open(&spec.location).await.map_err(|error| match error {
        EngineError::NoSuchDatabase => OpenError::NotFound,
        error => OpenError::Engine(error),
    })?;
    Ok((database, created))
}
