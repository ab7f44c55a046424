//! Databases that other processes of ours have open: they occupy their files here all the same.
use crate::executor::Executor;
use crate::files::Place;
use crate::handle::Source;
use crate::occupancy::{Occupancy, Occupant};
use futures::future::BoxFuture;
use rowhouse_engine::{Claim, Claimant, EngineError};

/// A database that another process has open.
#[derive(Debug)]
pub(crate) struct Claimed {
    executor: Executor,
    /// Without one it is memory, which nobody else can reach.
    file: Option<(Source, Place, Occupant)>,
}

// === impl Claimed ===

impl Claimed {
    pub(crate) fn memory(executor: Executor) -> Self {
        Self { executor, file: None }
    }

    /// Blocks, as whoever opens the file would.
    pub(crate) fn file(
        place: Place,
        by: Claimant,
        occupancy: &Occupancy,
        executor: Executor,
    ) -> Result<Self, EngineError> {
        let (source, identity) = Source::file(place.clone())?;
        let occupant = match by {
            Claimant::Database => occupancy.enter(&place, identity)?,
            Claimant::Backup => occupancy.visit(&place, identity)?,
        };
        Ok(Self { executor, file: Some((source, place, occupant)) })
    }
}

impl Claim for Claimed {
    fn verify(&self) -> Result<(), EngineError> {
        match &self.file {
            None => Ok(()),
            Some((source, ..)) => source.verify(),
        }
    }

    fn size(&self) -> BoxFuture<'_, Option<u64>> {
        Box::pin(async move {
            let (_, place, _) = self.file.as_ref()?;
            let place = place.clone();
            self.executor.call(move || place.size()).await.ok().flatten()
        })
    }
}
