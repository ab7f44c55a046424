//! Where a database lives that is opened by name: where the catalog says, else where there is one that nobody
//! has remembered, else where a new one is to be made.
//!
//! Invariants: a name has one place, whoever asks in whichever process: where it cannot be told from the name,
//! a row is claimed before anything is made there. What the catalog holds is never made anew because it
//! cannot be found; a half-made one is finished by whoever asks next.
use crate::journal::{Cause, Interface};
use crate::metadata::{Entry, Metadata, MetadataError, Schema, State};
use rowhouse_engine::{Engine, EngineError, Location, Presence};
use rowhouse_types::{DatabaseName, ErrorCode, ErrorKind, Reportable};
use std::sync::Arc;

/// Who knows where databases live. Cloning yields another handle.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    engine: Arc<dyn Engine>,
    metadata: Option<Metadata>,
}

/// Where a database lives, or would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// There.
    pub(crate) location: Location,
    /// Whether it is there, as far as is known.
    pub(crate) presence: Presence,
    /// How it stands with it by the catalog, if that has a row.
    pub(crate) state: Option<State>,
}

/// Why a database is not served from where it lives.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PlaceError {
    /// An operator has suspended it.
    #[error("the database is suspended")]
    Suspended,
    /// Its schema could not be brought to head.
    #[error("the database is quarantined: its schema could not be brought up to date")]
    Quarantined,
    /// It is being dropped.
    #[error("the database is being dropped")]
    BeingDropped,
    /// The catalog knows it on a server that is not configured here.
    #[error("the database is on a server that this one does not know")]
    ServerUnknown,
    /// The catalog knows it, and it is not there.
    #[error("the database is not where it was made")]
    Missing,
    /// The engine cannot tell.
    #[error("it cannot be told where the database is")]
    Engine(#[from] EngineError),
    /// The catalog cannot tell.
    #[error("it cannot be told where the database is")]
    Catalog(#[from] MetadataError),
}

// === impl Places ===

impl Places {
    pub(crate) fn new(engine: Arc<dyn Engine>, metadata: Option<Metadata>) -> Self {
        Self { engine, metadata }
    }

    pub(crate) fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }

    /// Where the database of this name is, whatever its state, or where a new one is to be made. What was
    /// there a moment ago (`is_there`) is not looked for where it can only be in one place.
    pub(crate) async fn look(&self, name: &DatabaseName, is_there: bool) -> Result<Found, PlaceError> {
        if let Some(entry) = self.entry(name).await? {
            return self.listed(entry).await;
        }
        let mut places = self.engine.places(name);
        if is_there && places.len() == 1 {
            let location = places.swap_remove(0);
            return Ok(Found { location, presence: Presence::Present, state: None });
        }
        for location in places {
            if self.engine.probe(&location).await? == Presence::Present {
                return Ok(Found { location, presence: Presence::Present, state: None });
            }
        }
        let location = self.engine.choose(name).await?;
        Ok(Found { location, presence: Presence::Absent, state: None })
    }

    /// As [`Places::look`], of a database that is to be served.
    ///
    /// # Errors
    ///
    /// When its state does not allow it.
    pub(crate) async fn find(&self, name: &DatabaseName, is_there: bool) -> Result<Found, PlaceError> {
        let found = self.look(name, is_there).await?;
        may_be_served(found.state)?;
        Ok(found)
    }

    /// Where a database that was found absent is made: as was found, or where somebody else makes it at this
    /// moment. From now on it is remembered, where that cannot be told from its name.
    pub(crate) async fn claim(&self, name: &DatabaseName, found: Found) -> Result<Found, PlaceError> {
        let at = self.engine.whereabouts(name, &found.location);
        let Some(metadata) =
            self.metadata.as_ref().filter(|_| found.state.is_none() && !at.server.is_empty())
        else {
            return Ok(found);
        };
        let entry = metadata.claim(name, &at).await?;
        // Somebody else's may be anything.
        may_be_served(Some(entry.state))?;
        self.listed(entry).await
    }

    /// A database was made, or found that nobody had remembered: it is served from now on.
    /// `schema` says how far it was brought.
    pub(crate) async fn settle(
        &self,
        name: &DatabaseName,
        found: &Found,
        schema: Option<&Schema>,
    ) -> Result<(), PlaceError> {
        let Some(metadata) = &self.metadata else { return Ok(()) };
        match found.state {
            Some(State::Creating | State::Migrating) => {
                let cause = Cause::new(Interface::Library, "provisioning");
                match metadata.settle(name, schema, &cause).await {
                    // Another process has finished it.
                    Ok(()) | Err(MetadataError::State { state: State::Active }) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            }
            Some(_) => Ok(()),
            None => {
                let at = self.engine.whereabouts(name, &found.location);
                if at.server.is_empty() {
                    return Ok(());
                }
                let entry = metadata.enlist(name, &at).await?;
                may_be_served(Some(entry.state))?;
                // Another one is who is meant by the name now.
                if entry.at == at { Ok(()) } else { Err(PlaceError::BeingDropped) }
            }
        }
    }

    /// Sees to it that the catalog has a row of a database that is there.
    pub(crate) async fn list(&self, name: &DatabaseName) -> Result<(), PlaceError> {
        let found = self.look(name, false).await?;
        if found.presence == Presence::Absent {
            return Err(EngineError::NoSuchDatabase.into());
        }
        if let (None, Some(metadata)) = (found.state, &self.metadata) {
            metadata.enlist(name, &self.engine.whereabouts(name, &found.location)).await?;
        }
        Ok(())
    }

    /// A database has had all migrations up to there: it is served, if it was not because of them.
    pub(crate) async fn note_schema(&self, name: &DatabaseName, schema: &Schema) -> Result<(), PlaceError> {
        let (Some(entry), Some(metadata)) = (self.entry(name).await?, &self.metadata) else { return Ok(()) };
        match entry.state {
            State::Quarantined => {
                let cause = Cause::new(Interface::Library, "migrated");
                metadata.release(name, Some(schema), &cause).await?;
            }
            _ if entry.schema.as_ref() == Some(schema) => {}
            _ => metadata.note_schema(name, schema).await?,
        }
        Ok(())
    }

    /// A database cannot be migrated: it is not served until it can.
    pub(crate) async fn quarantine(&self, name: &DatabaseName, why: &str) -> Result<(), PlaceError> {
        self.list(name).await?;
        if let Some(metadata) = &self.metadata {
            metadata.quarantine(name, why, &Cause::new(Interface::Library, "migrate")).await?;
        }
        Ok(())
    }

    async fn entry(&self, name: &DatabaseName) -> Result<Option<Entry>, MetadataError> {
        match &self.metadata {
            Some(metadata) => metadata.find(name).await,
            None => Ok(None),
        }
    }

    /// What a row says, and what it leaves open.
    async fn listed(&self, entry: Entry) -> Result<Found, PlaceError> {
        let Entry { name, at, state, .. } = entry;
        let location = self.engine.place(&name, &at).ok_or(PlaceError::ServerUnknown)?;
        let presence = match state {
            // It may not have come to that.
            State::Creating | State::Dropping => self.engine.probe(&location).await?,
            State::Migrating | State::Active | State::Suspended | State::Quarantined => Presence::Present,
        };
        Ok(Found { location, presence, state: Some(state) })
    }
}

/// Fails when the state of a database does not allow that it is served.
fn may_be_served(state: Option<State>) -> Result<(), PlaceError> {
    match state {
        Some(State::Suspended) => Err(PlaceError::Suspended),
        Some(State::Quarantined) => Err(PlaceError::Quarantined),
        Some(State::Dropping) => Err(PlaceError::BeingDropped),
        Some(State::Creating | State::Migrating | State::Active) | None => Ok(()),
    }
}

impl Reportable for PlaceError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Suspended | Self::Quarantined => ErrorKind::User,
            Self::BeingDropped => ErrorKind::Overloaded,
            Self::ServerUnknown | Self::Missing => ErrorKind::Engine,
            Self::Engine(source) => source.kind(),
            Self::Catalog(source) => source.kind(),
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::Suspended => ErrorCode::DatabaseSuspended,
            Self::Quarantined => ErrorCode::DatabaseQuarantined,
            Self::BeingDropped | Self::ServerUnknown | Self::Missing => ErrorCode::DatabaseUnavailable,
            Self::Engine(source) => source.code(),
            Self::Catalog(source) => source.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Suspended => "ask the operator to resume it",
            Self::Quarantined => {
                "the operator finds why with `rowhouse org show`, mends it and migrates it again"
            }
            Self::BeingDropped => "try again later: the name may be free then",
            Self::ServerUnknown => "the operator should add its server to postgres_servers",
            Self::Missing => "the operator should restore it from a backup, or drop it",
            Self::Engine(source) => return source.hint(),
            Self::Catalog(source) => return source.hint(),
        };
        Some(text.to_owned())
    }

    fn public_message(&self) -> String {
        match self {
            Self::Engine(source) => source.public_message(),
            Self::Catalog(source) => source.public_message(),
            _ => self.to_string(),
        }
    }
}
