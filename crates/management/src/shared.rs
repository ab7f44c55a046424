//! What all handlers share.
use crate::context::Context;
use crate::names::Names;
use crate::readiness::Probe;
use crate::reply::Problem;
use rowhouse_gateway::{JournalError, Recording};
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// A key under which nothing is kept.
const NOTHING: &str = "nothing";

/// How long operations on databases may go on when management stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// What all handlers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) context: Context,
    pub(crate) service_name: String,
    pub(crate) probe: Probe,
    pub(crate) names: Names,
    /// What runs on the runtime of the databases; it goes on when the caller leaves.
    work: TaskTracker,
}

// === impl Shared ===

impl Shared {
    pub(crate) fn new(context: Context, service_name: &str) -> Self {
        let service_name = service_name.to_owned();
        Self {
            context,
            service_name,
            probe: Probe::default(),
            names: Names::default(),
            work: TaskTracker::new(),
        }
    }

    /// Runs what touches databases where databases are served. It goes on when the caller leaves.
    pub(crate) async fn on_data<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Problem> {
        let task = self.work.spawn_on(work, &self.context.data);
        task.await.map_err(|error| {
            tracing::error!(%error, "an operation died");
            Problem::internal("the operation failed by a fault of the server: see its log")
        })
    }

    /// Waits until all that was recorded so far is safe: what is written in order is safe in order.
    pub(crate) async fn settle(&self) -> Result<(), Problem> {
        self.context.journal.keep(NOTHING, None).await.map_err(|error| unrecorded(&error))
    }

    pub(crate) async fn close(&self) {
        self.work.close();
        if timeout(STOP_TIMEOUT, self.work.wait()).await.is_err() {
            tracing::warn!("operations that management began did not end in time");
        }
    }
}

/// Waits until what was done is recorded.
pub(crate) async fn recorded(recording: Recording) -> Result<(), Problem> {
    recording.await.map(drop).map_err(|error| unrecorded(&error))
}

fn unrecorded(error: &JournalError) -> Problem {
    tracing::error!(%error, "a change was made and could not be recorded");
    Problem::unavailable(
        "the change is in force, and cannot be recorded now: see the server's log and its disk",
    )
}
