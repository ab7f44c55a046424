//! The engine: another engine, each of whose databases a worker runs.
use crate::connection::Hold;
use crate::copy::copy;
use crate::database::WorkerDatabase;
use crate::launch::{Launch, Launcher, Opened, text_of};
use crate::message::Order;
use futures::future::BoxFuture;
use rowhouse_engine::{
    Claim, Claimant, Course, Database, Dialect, Engine, EngineError, Groundwork, Location, Presence,
    Processes, Restoration, Stamp, Whereabouts,
};
use rowhouse_types::DatabaseName;
use std::path::Path;
use std::sync::Arc;

/// Each database of another engine in a process of its own.
///
/// The other engine finds, makes, lists and destroys databases in this process, for that reads nothing
/// of what is in them. Whatever opens one, a backup and a restore too, is a worker's to do.
#[derive(Debug)]
pub struct WorkerEngine {
    inner: Arc<dyn Engine>,
    launcher: Arc<Launcher>,
}

// === impl WorkerEngine ===

impl WorkerEngine {
    /// The databases of `inner`, run by workers that are started as `launch` says and have an engine
    /// like it.
    pub fn new(inner: Arc<dyn Engine>, launch: Launch) -> Self {
        Self { inner, launcher: Arc::new(Launcher::new(launch)) }
    }

    /// Waits until every worker has ended. Their databases must be closed; nothing may be opened
    /// afterwards.
    pub async fn shut_down(&self) {
        self.launcher.tasks().close();
        self.launcher.tasks().wait().await;
    }

    async fn open_at(&self, at: &Location) -> Result<WorkerDatabase, EngineError> {
        let claim = self.inner.claim(at, Claimant::Database).await?;
        let ended_before = self.launcher.ledger().ended_before(&at.0);
        let Opened { hold, id, max_connections } = self.launcher.open(&at.0).await?;
        // The worker has opened it by its path: still the same one?
        let looking = tokio::task::spawn_blocking(move || claim.verify().map(|()| claim));
        let claim = looking.await.map_err(|_panicked| EngineError::Lost)??;
        let launcher = self.launcher.clone();
        Ok(WorkerDatabase::new((hold, id), ended_before, max_connections, claim, launcher))
    }

    async fn copy(&self, hold: Arc<Hold>, order: Order, course: &Course) -> Result<(), EngineError> {
        copy(self.launcher.tasks(), hold, order, course).await
    }
}

impl Engine for WorkerEngine {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn processes(&self) -> Option<Processes> {
        Some(self.launcher.ledger().counts())
    }

    fn locate(&self, name: &DatabaseName) -> Location {
        self.inner.locate(name)
    }

    fn choose<'a>(&'a self, name: &'a DatabaseName) -> BoxFuture<'a, Result<Location, EngineError>> {
        self.inner.choose(name)
    }

    fn places(&self, name: &DatabaseName) -> Vec<Location> {
        self.inner.places(name)
    }

    fn whereabouts(&self, name: &DatabaseName, at: &Location) -> Whereabouts {
        self.inner.whereabouts(name, at)
    }

    fn place(&self, name: &DatabaseName, kept: &Whereabouts) -> Option<Location> {
        self.inner.place(name, kept)
    }

    fn probe<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<Presence, EngineError>> {
        self.inner.probe(at)
    }

    fn create<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<(), EngineError>> {
        self.inner.create(at)
    }

    fn claim<'a>(
        &'a self,
        at: &'a Location,
        by: Claimant,
    ) -> BoxFuture<'a, Result<Box<dyn Claim>, EngineError>> {
        self.inner.claim(at, by)
    }

    fn open<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<Arc<dyn Database>, EngineError>> {
        Box::pin(async move {
            let database: Arc<dyn Database> = Arc::new(self.open_at(at).await?);
            Ok(database)
        })
    }

    fn destroy<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<(), EngineError>> {
        self.inner.destroy(at)
    }

    fn lay<'a>(
        &'a self,
        dialect: Dialect,
        groundwork: &'a Groundwork,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        self.inner.lay(dialect, groundwork)
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<DatabaseName>, EngineError>> {
        self.inner.list()
    }

    fn size<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Option<u64>> {
        self.inner.size(at)
    }

    fn stamp<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<Stamp, EngineError>> {
        self.inner.stamp(at)
    }

    fn backup<'a>(
        &'a self,
        at: &'a Location,
        to: &'a Path,
        course: &'a Course,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(async move {
            let order = Order::BackUp { at: at.0.clone(), to: text_of(to)?, pace: course.pace() };
            // The database counts as open meanwhile: no other path may lead to it.
            let claim = self.inner.claim(at, Claimant::Backup).await?;
            let hold = self.launcher.copier(&at.0, "backup").await?;
            let copied = self.copy(hold, order, course).await;
            drop(claim);
            copied
        })
    }

    fn restore<'a>(
        &'a self,
        at: &'a Location,
        restoration: Restoration<'a>,
        course: &'a Course,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(async move {
            let Restoration { from, over } = restoration;
            let order = Order::Restore { at: at.0.clone(), from: text_of(from)?, over, pace: course.pace() };
            let hold = self.launcher.copier(&at.0, "restore").await?;
            self.copy(hold, order, course).await
        })
    }
}
