//! Whether databases are being served, looked at once a second at most, however many ask.
use crate::shared::Shared;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// How long what was found is told.
const FRESH: Duration = Duration::from_secs(1);

/// How long the runtime of the databases may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was found last. Who asks while it is looked at waits for what is found.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    found: Mutex<Option<(Instant, bool)>>,
}

// === impl Probe ===

impl Probe {
    /// Whether what databases are served on answers.
    pub(crate) async fn serving(&self, shared: &Arc<Shared>) -> bool {
        let mut found = self.found.lock().await;
        match *found {
            Some((at, serving)) if at.elapsed() < FRESH => serving,
            _ => {
                let gateway = shared.context.gateway.clone();
                let answer = timeout(PATIENCE, shared.on_data(async move { gateway.counts() })).await;
                let serving = matches!(answer, Ok(Ok(_)));
                *found = Some((Instant::now(), serving));
                serving
            }
        }
    }
}
