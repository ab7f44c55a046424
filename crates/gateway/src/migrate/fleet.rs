//! Runs over all databases: how far each is, bringing each to the newest schema, looking at what each really has.
//!
//! Invariants: one run at a time. At most so many databases are worked on at once as the order says. A database that
//! cannot be migrated holds up no other. What is done is done: a run that was stopped is gone on with by another one.
use super::error::MigrateError;
use super::fingerprint::Schema;
use super::migrator::Migrator;
use super::plan::Plans;
use super::reference::REFERENCE;
use super::report::{End, Errand, Found, Notes, Report, What};
use super::runner::{Brought, Runner};
use crate::catalog::Resolution;
use crate::event::Event;
use crate::gateway::Gateway;
use crate::journal::{Action, Cause, Entry};
use crate::metadata::Metadata;
use crate::uses::Use;
use futures::StreamExt as _;
use rowhouse_engine::{Connection, Database, Dialect, EngineError};
use rowhouse_types::{DatabaseName, ErrorCode, Reportable as _, Target};
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{OnceCell, watch};

/// Runs over all databases. Cloning yields another handle.
#[derive(Clone, Debug)]
pub struct Fleet {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    gateway: Gateway,
    organizations: Option<Migrator>,
    metadata: Option<(Migrator, Metadata)>,
    /// The latest.
    run: Mutex<Option<(Arc<Notes>, watch::Receiver<()>)>>,
}

/// How long somebody else may be at work at a database before it is left for the next run.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it is let be then.
const AGAIN: Duration = Duration::from_millis(20);

/// Whose schema it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The databases opened by name.
    Organizations,
    /// The one that holds what is known of them.
    Metadata,
}

/// What a run is to do.
#[derive(Clone, Debug)]
pub struct Order {
    /// What for.
    pub errand: Errand,
    /// Whose.
    pub subject: Subject,
    /// Of these databases only; of all without.
    pub only: Option<BTreeSet<DatabaseName>>,
    /// How many at once.
    pub jobs: NonZeroUsize,
    /// Whether steps that were begun without a transaction and have not ended are run again.
    pub retry_begun: bool,
}

/// Why a run is not begun.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OrderError {
    /// There are no migrations for it.
    #[error("no {} are configured: give {}", option(*.0).replace('_', " "), option(*.0))]
    Unknown(Subject),
    /// Another one is under way.
    #[error("another run is under way ({}): wait for its end", .0.as_str())]
    Busy(Errand),
    /// There is no such database.
    #[error("there is no database {0}")]
    NoSuchDatabase(DatabaseName),
    /// The migrations, or the databases, cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// The server is going down.
    #[error("the server is shutting down")]
    ShuttingDown,
}

/// A run at work.
pub(super) struct Run {
    fleet: Fleet,
    pub(super) order: Order,
    migrator: Migrator,
    pub(super) plans: Arc<Plans>,
    notes: Arc<Notes>,
    cause: Cause,
    pub(super) references: [OnceCell<Result<Schema, MigrateError>>; 2],
}

/// A database that is worked on.
struct Held {
    database: Arc<dyn Database>,
    /// Its use, where it is open already; else it is closed in the end.
    open: Option<Use>,
}

fn option(subject: Subject) -> &'static str {
    match subject {
        Subject::Organizations => "org_migrations",
        Subject::Metadata => "metadata_migrations",
    }
}

// === impl Fleet ===

impl Fleet {
    /// Runs over the databases of this gateway, and over that of metadata where there is one.
    pub fn new(gateway: Gateway, metadata: Option<(Migrator, Metadata)>) -> Self {
        let organizations = gateway.shared.migrator.clone();
        let run = Mutex::default();
        Self { shared: Arc::new(Shared { gateway, organizations, metadata, run }) }
    }

    /// Has new databases begin with the newest schema, where they are copies of something. Where that cannot be done
    /// now, they are brought there when they are made.
    pub async fn lay_groundwork(&self) {
        let Shared { gateway, organizations, .. } = &*self.shared;
        let Some(migrator) = organizations else { return };
        if let Err(error) = migrator.lay_groundwork(&*gateway.shared.engine).await {
            gateway.tell(&Event::GroundworkFailed { error: &error });
        }
    }

    /// Brings the metadata database to the newest schema, where there are migrations for it. One that cannot be
    /// reached now is left as it is, and told.
    ///
    /// # Errors
    ///
    /// When a step fails, and will again.
    pub async fn ready_metadata(&self) -> Result<(), MigrateError> {
        let Shared { gateway, metadata, .. } = &*self.shared;
        let Some((migrator, metadata)) = metadata else { return Ok(()) };
        let target = &Target::Default;
        let brought = match metadata.database().await.map_err(unreachable) {
            Ok(database) => migrator.ready((target, &*database), true).await,
            Err(error) => Err(error),
        };
        match brought {
            Ok(Brought { from, to, steps: 1.., took, .. }) => {
                gateway.tell(&Event::Migrated { database: target, from, to, took });
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error @ MigrateError::Engine(_)) => {
                gateway.tell(&Event::MigrationFailed { database: target, error: &error });
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Begins a run, on behalf of `cause`. The migrations are read anew for it.
    ///
    /// # Errors
    ///
    /// When it cannot be begun; nothing has changed then.
    pub async fn begin(&self, order: Order, cause: Cause) -> Result<(), OrderError> {
        let Shared { gateway, organizations, metadata, run } = &*self.shared;
        let migrator = match order.subject {
            Subject::Organizations => organizations.clone(),
            Subject::Metadata => metadata.as_ref().map(|(migrator, _)| migrator.clone()),
        };
        let migrator = migrator.ok_or(OrderError::Unknown(order.subject))?;
        let looking = {
            let migrator = migrator.clone();
            gateway.shared.tasks.spawn_blocking(move || migrator.look())
        };
        let looked = looking.await.map_err(|_died| OrderError::ShuttingDown)?;
        let plans = looked.map_err(|error| {
            let causes =
                std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
            OrderError::Unreadable(causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
        })?;
        let names = self.names(&order).await?;
        let plans = Arc::new(plans);
        if order.errand == Errand::Up {
            migrator.take_up(plans.clone());
        }
        let notes = Arc::new(Notes::new(order.errand));
        let (ended, watch) = watch::channel(());
        {
            let mut run = run.lock().expect("never panics while locked");
            if let Some((other, _)) = run.as_ref().filter(|(other, _)| !other.has_ended()) {
                return Err(OrderError::Busy(other.report().errand));
            }
            *run = Some((notes.clone(), watch));
        }
        let references = [const { OnceCell::const_new() }; 2];
        let run = Run { fleet: self.clone(), order, migrator, plans, notes, cause, references };
        gateway.shared.tasks.spawn(async move {
            run.go(names).await;
            drop(ended);
        });
        Ok(())
    }

    /// The run that was begun last.
    pub fn report(&self) -> Option<Report> {
        let run = self.shared.run.lock().expect("never panics while locked");
        run.as_ref().map(|(notes, _)| notes.report())
    }

    /// Waits until no run is under way.
    pub async fn ended(&self) {
        let watch =
            self.shared.run.lock().expect("never panics while locked").as_ref().map(|run| run.1.clone());
        if let Some(mut watch) = watch {
            // The sender says nothing; it is dropped in the end.
            let _dropped = watch.changed().await;
        }
    }

    /// The databases that it is about.
    async fn names(&self, order: &Order) -> Result<Vec<Target>, OrderError> {
        if order.subject == Subject::Metadata {
            return Ok(vec![Target::Default]);
        }
        let Shared { gateway, .. } = &*self.shared;
        let known = gateway.known().await.map_err(|error| OrderError::Unreadable(error.to_string()))?;
        let catalog = &gateway.shared.catalog;
        let is_by_name = |name: &DatabaseName| {
            let target = Target::Named(name.clone());
            name.as_str() != REFERENCE && matches!(catalog.resolve(&target), Ok(Resolution::Dynamic(..)))
        };
        let mut names: Vec<_> = known.into_iter().filter(is_by_name).collect();
        if let Some(only) = &order.only {
            let known: BTreeSet<_> = names.iter().cloned().collect();
            if let Some(absent) = only.iter().find(|name| !known.contains(name)) {
                return Err(OrderError::NoSuchDatabase(absent.clone()));
            }
            names.retain(|name| only.contains(name));
        }
        Ok(names.into_iter().map(Target::Named).collect())
    }
}

// === impl Run ===

impl Run {
    async fn go(self, targets: Vec<Target>) {
        self.notes.expect(targets.len());
        let end = match self.prepare().await {
            Ok(()) => self.all(targets).await,
            Err(error) => End::Failed(error.to_string()),
        };
        if self.order.errand == Errand::Up {
            self.record(&end).await;
        }
        self.notes.end(end);
    }

    /// New databases begin with the newest schema from now on.
    async fn prepare(&self) -> Result<(), EngineError> {
        match (self.order.errand, self.order.subject) {
            (Errand::Up, Subject::Organizations) => {
                self.migrator.lay_groundwork(&*self.gateway().shared.engine).await
            }
            _ => Ok(()),
        }
    }

    async fn all(&self, targets: Vec<Target>) -> End {
        let closing = self.gateway().shared.closing.clone();
        let work = futures::stream::iter(targets)
            .take_until(closing.cancelled())
            .map(|target| async move {
                let found = self.one(&target).await;
                (target, found)
            })
            .buffer_unordered(self.order.jobs.get());
        let mut work = std::pin::pin!(work);
        while let Some((target, found)) = work.next().await {
            self.notes.add(target, found);
        }
        if closing.is_cancelled() { End::Stopped } else { End::Complete }
    }

    pub(super) fn gateway(&self) -> &Gateway {
        &self.fleet.shared.gateway
    }

    async fn one(&self, target: &Target) -> Found {
        match self.work(target).await {
            Ok(found) => found,
            Err(MigrateError::Engine(EngineError::NoSuchDatabase)) if self.order.only.is_none() => {
                // Dropped since it was listed.
                Found::UpToDate
            }
            Err(error @ MigrateError::Ahead { .. }) => Found::Not(What::Ahead { why: error.advice() }),
            Err(error) => Found::Not(self.failed(target, &error).await),
        }
    }

    async fn work(&self, target: &Target) -> Result<Found, MigrateError> {
        let (until, mut once_more) = (Instant::now() + PATIENCE, true);
        loop {
            match self.work_once(target).await {
                // It was closed, or another one was put in its place, in this moment.
                Err(MigrateError::Engine(EngineError::Closed | EngineError::Replaced))
                    if std::mem::take(&mut once_more) => {}
                // Another process is at work there in this moment; what was begun is undone.
                Err(error) if error.code() == ErrorCode::DatabaseBusy && Instant::now() < until => {
                    tokio::time::sleep(AGAIN).await;
                }
                worked => return worked,
            }
        }
    }

    async fn work_once(&self, target: &Target) -> Result<Found, MigrateError> {
        let held = self.hold(target).await?;
        let worked = self.on(target, &held).await;
        if held.open.is_none()
            && *target != Target::Default
            && let Err(error) = held.database.close().await
        {
            self.gateway().tell(&Event::CloseFailed { database: target, error: &error });
        }
        worked
    }

    async fn on(&self, target: &Target, held: &Held) -> Result<Found, MigrateError> {
        let dialect = held.database.dialect();
        let plan = self.plans.of(dialect);
        let runner = Runner { plan, dialect, retry_begun: self.order.retry_begun };
        let mut connection = held.database.connect().await?;
        let found = match self.order.errand {
            Errand::Up => self.up(target, &runner, &mut *connection).await,
            Errand::Status => status(&runner, &mut *connection).await,
            Errand::Verify => match status(&runner, &mut *connection).await {
                Ok(Found::UpToDate) => self.compare(dialect, &mut *connection).await,
                found => found,
            },
        };
        connection.close().await;
        found
    }

    async fn up(
        &self,
        target: &Target,
        runner: &Runner<'_>,
        connection: &mut dyn Connection,
    ) -> Result<Found, MigrateError> {
        let brought = runner.bring(connection).await?;
        if let (Some(name), Some(schema)) = (target.name(), brought.schema()) {
            self.migrator.note(name, &schema).await;
        }
        let Brought { from, to, steps, took, .. } = brought;
        if steps == 0 {
            return Ok(Found::UpToDate);
        }
        self.gateway().shared.registry.forgive(target);
        self.gateway().tell(&Event::Migrated { database: target, from, to, took });
        Ok(Found::Migrated)
    }

    /// The database, open for as long as it is held.
    async fn hold(&self, target: &Target) -> Result<Held, MigrateError> {
        let shared = &self.gateway().shared;
        let Some(name) = target.name() else {
            let (_, metadata) = self.fleet.shared.metadata.as_ref().expect("it was looked for before");
            let database = metadata.database().await.map_err(unreachable)?;
            return Ok(Held { database, open: None });
        };
        if let Some(tenant) = shared.registry.find(name) {
            let held = tenant.leases.begin();
            return Ok(Held { database: tenant.database().clone(), open: Some(held) });
        }
        let found = shared.places.look(name, true).await.map_err(unreachable)?;
        let database = shared.engine.open(&found.location).await?;
        Ok(Held { database, open: None })
    }

    async fn failed(&self, target: &Target, error: &MigrateError) -> What {
        let (why, ups) = (error.advice(), self.order.errand == Errand::Up);
        if !ups {
            return What::Failed { why, quarantined: false };
        }
        let quarantined = match target.name().filter(|_| error.is_lasting()) {
            Some(name) => self.migrator.quarantine(name, &why).await,
            None => false,
        };
        let registry = &self.gateway().shared.registry;
        if let Some(tenant) = target.name().filter(|_| quarantined).and_then(|name| registry.find(name)) {
            // Lent no more; who is at work there may end first.
            registry.retire(&tenant);
        }
        self.gateway().tell(&Event::MigrationFailed { database: target, error });
        let entry = Entry {
            database: Some(target.clone()),
            result: Err(error.chain()),
            ..Entry::of(Action::Migrate, self.cause.clone())
        };
        // Waited for, so that however many fail there is room for each.
        let _unrecorded = self.gateway().shared.journal.record(entry).await;
        What::Failed { why, quarantined }
    }

    /// Records what the run did.
    async fn record(&self, end: &End) {
        let tally = self.notes.report().tally;
        let newest = Dialect::ALL.into_iter().map(|dialect| self.plans.of(dialect).version()).max();
        let subject = match self.order.subject {
            Subject::Organizations => "organizations",
            Subject::Metadata => "metadata",
        };
        let to = format!(
            "{subject} to V{}: {} migrated, {} up to date, {} ahead, {} failed, of {}",
            newest.unwrap_or(0),
            tally.migrated,
            tally.up_to_date,
            tally.ahead,
            tally.failed,
            tally.total
        );
        let result = match end {
            End::Failed(why) => Err(why.clone()),
            End::Stopped => Err(format!("stopped after {} of {}", tally.done, tally.total)),
            End::Complete if tally.is_well() => Ok(()),
            End::Complete => Err(format!("{} of {} failed", tally.failed + tally.ahead, tally.total)),
        };
        let entry = Entry { to: Some(to), result, ..Entry::of(Action::Migrate, self.cause.clone()) };
        let _unrecorded = self.gateway().shared.journal.record(entry).await;
    }
}

/// It cannot be told where a database is.
fn unreachable(error: impl std::error::Error) -> MigrateError {
    let causes = std::iter::successors(error.source(), |error| error.source());
    let told = causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"));
    MigrateError::Engine(EngineError::Unreachable(Arc::new(std::io::Error::other(told))))
}

/// How far a database is.
async fn status(runner: &Runner<'_>, connection: &mut dyn Connection) -> Result<Found, MigrateError> {
    let position = runner.position(connection).await?;
    let steps = runner.plan.steps();
    // Says so where a step was begun and has not ended.
    match runner.next(&position)? {
        None => Ok(Found::UpToDate),
        Some(_) => {
            let at = position.at.checked_sub(1).map_or(0, |last| steps[last].version);
            Ok(Found::Not(What::Behind { at, newest: runner.plan.version() }))
        }
    }
}

impl std::str::FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "organizations" => Ok(Self::Organizations),
            "metadata" => Ok(Self::Metadata),
            other => Err(format!("{other:?} is neither organizations nor metadata")),
        }
    }
}
