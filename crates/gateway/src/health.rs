//! Whether the databases answer: the metadata database, and every one that is open.
//!
//! Invariants: however many ask, it is looked once a second; who is slow is not waited for longer than
//! [`PATIENCE`]; nothing is opened for it, and nobody who works is kept waiting.
use crate::gateway::{Gateway, Shared};
use crate::registry::Lease;
use crate::sql;
use crate::tenant::Tenant;
use futures::StreamExt as _;
use futures::stream;
use rowhouse_engine::Dialect;
use rowhouse_types::DatabaseName;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How long what was found is told.
const FRESH: Duration = Duration::from_secs(1);

/// How long a database may take to answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// How many are asked at once.
const AT_ONCE: usize = 32;

/// Whether the databases answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether the metadata database does; where there is none, nothing is wrong with it.
    pub metadata: bool,
    /// Whether each database does that is open under a name.
    pub organizations: BTreeMap<DatabaseName, bool>,
}

/// What was found last. Who asks while it is looked waits for what is found.
#[derive(Debug, Default)]
pub(crate) struct Checkup(tokio::sync::Mutex<Option<(Instant, Health)>>);

// === impl Health ===

impl Health {
    /// Whether everything answers.
    pub fn is_whole(&self) -> bool {
        self.metadata && self.organizations.values().all(|answers| *answers)
    }
}

// === impl Gateway ===

impl Gateway {
    /// Whether the databases answer, as of this second.
    pub async fn health(&self) -> Health {
        let mut found = self.shared.checkup.0.lock().await;
        match &*found {
            Some((at, health)) if at.elapsed() < FRESH => health.clone(),
            _ => {
                let health = look(&self.shared).await;
                *found = Some((Instant::now(), health.clone()));
                health
            }
        }
    }
}

async fn look(shared: &Shared) -> Health {
    let metadata = async {
        match shared.places.metadata() {
            Some(metadata) => matches!(timeout(PATIENCE, metadata.ping()).await, Ok(Ok(()))),
            None => true,
        }
    };
    let organizations = stream::iter(shared.registry.tenants())
        .map(|tenant| async move {
            let name = tenant.spec.target.name().cloned()?;
            Some((name, answers(&tenant).await))
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(|found| async { found })
        .collect();
    let (metadata, organizations) = futures::join!(metadata, organizations);
    Health { metadata, organizations }
}

/// Whether a database does what it is there for. A file is looked at; a server is asked, unless its answers
/// to others say so already.
async fn answers(tenant: &Arc<Tenant>) -> bool {
    if tenant.database().dialect() == Dialect::Sqlite {
        return !tenant.is_failing() && tenant.verify().is_ok();
    }
    let asking = async {
        // All connections at work are an answer, too.
        let deadline = Instant::now() + PATIENCE / 2;
        match tenant.pool.acquire(Lease::configured(tenant.clone()), Some(deadline)).await {
            Ok(mut session) => sql::execute(&mut *session, "SELECT 1", []).await.is_ok(),
            Err(error) => error.refusal().is_some() && !tenant.is_failing(),
        }
    };
    timeout(PATIENCE, asking).await.unwrap_or(false)
}
