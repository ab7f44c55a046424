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
use rowhouse_sync::LimiterStatus;
use rowhouse_types::DatabaseName;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

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
    let of_server = |tenant: &Arc<Tenant>| tenant.database().dialect() != Dialect::Sqlite;
    let (servers, files): (Vec<_>, Vec<_>) = shared.registry.tenants().into_iter().partition(of_server);
    // Who is not heard of in time does not answer.
    let mut organizations: BTreeMap<_, _> =
        servers.iter().filter_map(|tenant| named(tenant, false)).collect();
    let asking = stream::iter(servers)
        .map(|tenant| async move { named(&tenant, answers(&tenant).await) })
        .buffer_unordered(AT_ONCE)
        .take_until(sleep(PATIENCE))
        .filter_map(|found| async { found })
        .collect::<Vec<_>>();
    // Files are looked at on one thread: handing each over would cost more than the looks.
    let looking = shared.tasks.spawn_blocking(move || {
        let well = |tenant: &Arc<Tenant>| !tenant.is_failing() && tenant.verify().is_ok();
        files.iter().filter_map(|tenant| named(tenant, well(tenant))).collect::<Vec<_>>()
    });
    let (metadata, asked, looked) = futures::join!(metadata, asking, looking);
    organizations.extend(asked);
    organizations.extend(looked.unwrap_or_default());
    Health { metadata, organizations }
}

fn named(tenant: &Tenant, answers: bool) -> Option<(DatabaseName, bool)> {
    tenant.spec.target.name().cloned().map(|name| (name, answers))
}

/// Whether the server of a database answers, unless its answers to others say so already.
async fn answers(tenant: &Arc<Tenant>) -> bool {
    let deadline = Instant::now() + PATIENCE / 2;
    match tenant.pool.acquire(Lease::configured(tenant.clone()), Some(deadline)).await {
        Ok(mut session) => sql::execute(&mut *session, "SELECT 1", []).await.is_ok(),
        // All connections at work are an answer, too; that none can be made is none.
        Err(error) => {
            let LimiterStatus { held, limit, .. } = tenant.pool.status();
            error.refusal().is_some() && limit.get() <= held && !tenant.is_failing()
        }
    }
}
