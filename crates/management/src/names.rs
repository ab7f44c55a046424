//! The names of all databases, read once for the pages of one listing.
use crate::reply::Problem;
use crate::shared::Shared;
use rowhouse_types::DatabaseName;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long what was read serves the next pages.
const FRESH: Duration = Duration::from_secs(10);

/// The names read last. Who asks while they are read waits for them.
#[derive(Debug, Default)]
pub(crate) struct Names {
    read: Mutex<Option<(Instant, Arc<[DatabaseName]>)>>,
}

// === impl Names ===

impl Names {
    /// The names in order: for a first page as they are now, for a next one as they were lately.
    pub(crate) async fn read(&self, shared: &Shared, next: bool) -> Result<Arc<[DatabaseName]>, Problem> {
        let mut read = self.read.lock().await;
        match &*read {
            Some((at, names)) if next && at.elapsed() < FRESH => Ok(names.clone()),
            _ => {
                let gateway = shared.context.gateway.clone();
                let names = shared.on_data(async move { gateway.known().await }).await?;
                let names: Arc<[DatabaseName]> = names
                    .map_err(|error| {
                        tracing::warn!(%error, "the databases cannot be listed");
                        Problem::unavailable("the databases cannot be listed now: see the server's log")
                    })?
                    .into();
                *read = Some((Instant::now(), names.clone()));
                Ok(names)
            }
        }
    }
}
