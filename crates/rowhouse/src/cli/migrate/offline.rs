//! The same on a data directory without a server.
use super::super::place::{Usage, runtime};
use super::Migrate;
use super::progress::Progress;
use rowhouse::Directory;
use rowhouse_gateway::Cause;
use rowhouse_gateway::migrate::{Errand, Fleet, Order, OrderError};
use rowhouse_management::migration_run;
use rowhouse_types::DatabaseName;
use rowhouse_wire::management::{MigrationRun, StartMigration};
use std::num::NonZeroUsize;
use std::time::Duration;

/// How often it is looked how far it is.
const TICK: Duration = Duration::from_millis(100);

// === impl Migrate ===

impl Migrate {
    /// Does it in this process.
    pub(super) fn offline(&self, asked: &StartMigration) -> anyhow::Result<MigrationRun> {
        let config = self.config()?;
        let order = self.order(asked)?;
        let who = format!("uid {}", rustix::process::getuid().as_raw());
        runtime()?.block_on(async {
            let directory = Directory::take(&config, who).await?;
            let ran = go(&directory.fleet(), (order, directory.cause().clone()), Progress::new(asked)).await;
            directory.close().await;
            ran.map_err(|error| Usage(error.to_string()).into())
        })
    }

    fn order(&self, asked: &StartMigration) -> Result<Order, Usage> {
        let errand = match asked.errand.as_str() {
            "up" => Errand::Up,
            "verify" => Errand::Verify,
            _ => Errand::Status,
        };
        let name = |name: &String| {
            let name = name.parse::<DatabaseName>();
            name.map_err(|error| Usage(format!("--only names no database: {error}")))
        };
        let only = asked.only.as_ref().map(|names| names.iter().map(name).collect());
        let jobs = usize::try_from(self.jobs).ok().and_then(NonZeroUsize::new);
        Ok(Order {
            errand,
            subject: asked.subject.parse().map_err(Usage)?,
            only: only.transpose()?,
            jobs: jobs.expect("looked at by the parser"),
            retry_begun: asked.retry_begun,
        })
    }
}

async fn go(
    fleet: &Fleet,
    (order, cause): (Order, Cause),
    mut progress: Progress,
) -> Result<MigrationRun, OrderError> {
    fleet.begin(order, cause).await?;
    let told = || migration_run(&fleet.report().expect("it was begun"));
    while tokio::time::timeout(TICK, fleet.ended()).await.is_err() {
        progress.show(&told());
    }
    progress.end();
    Ok(told())
}
