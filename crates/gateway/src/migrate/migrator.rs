//! The migrations of organizations: which there are, and what becomes of a database that is made or opened.
use super::directory::{self, DirectoryError};
use super::error::MigrateError;
use super::ledger::Ledger;
use super::plan::{Plan, Plans, Step};
use super::runner::{Brought, Runner};
use crate::catalog::Spec;
use crate::event::{Event, Observer};
use crate::journal::{Action, Cause, Entry, Interface, Journal};
use crate::metadata::Schema;
use crate::places::Places;
use rowhouse_engine::{Connection, Database, Dialect, Engine, EngineError, Groundwork, Script};
use rowhouse_types::{DatabaseName, Target};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The migrations of a directory, and when they are applied. Cloning yields another handle.
#[derive(Clone, Debug)]
pub struct Migrator {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    on_open: OnOpen,
    /// What was read last.
    plans: Mutex<Arc<Plans>>,
    /// Who knows in which state each database is; nobody before a gateway goes by these.
    places: Mutex<Option<Places>>,
}

/// Which databases are brought to the newest schema when they are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnOpen {
    /// All.
    All,
    /// Those that were made and are not ready yet.
    New,
}

/// A database that was just made or opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) database: &'a Arc<dyn Database>,
    pub(crate) is_made: bool,
}

// === impl Migrator ===

impl Migrator {
    /// The migrations of this directory. Blocks.
    ///
    /// # Errors
    ///
    /// When they break a rule.
    pub fn read(directory: &Path, on_open: OnOpen) -> Result<Self, DirectoryError> {
        let plans = Mutex::new(Arc::new(directory::read(directory)?));
        let (directory, places) = (directory.to_owned(), Mutex::default());
        Ok(Self { shared: Arc::new(Shared { directory, on_open, plans, places }) })
    }

    /// Tells this one from now on how databases stand.
    pub(crate) fn tell(&self, places: Places) {
        *self.shared.places.lock().unwrap_or_else(PoisonError::into_inner) = Some(places);
    }

    fn places(&self) -> Option<Places> {
        self.shared.places.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that a database has had all migrations up to there. What cannot be noted now is so the next time.
    pub(crate) async fn note(&self, name: &DatabaseName, schema: &Schema) {
        if let Some(places) = self.places() {
            let _unnoted = places.note_schema(name, schema).await;
        }
    }

    /// Has a database not served until it can be migrated; whether that is so.
    pub(crate) async fn quarantine(&self, name: &DatabaseName, why: &str) -> bool {
        match self.places() {
            Some(places) => places.quarantine(name, why).await.is_ok(),
            None => false,
        }
    }

    /// The migrations as they were read last.
    pub fn plans(&self) -> Arc<Plans> {
        self.shared.plans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The migrations as they are in the directory now. Blocks.
    ///
    /// # Errors
    ///
    /// When they break a rule.
    pub(crate) fn look(&self) -> Result<Plans, DirectoryError> {
        directory::read(&self.shared.directory)
    }

    /// Goes by these migrations from now on.
    pub(crate) fn take_up(&self, plans: Arc<Plans>) {
        *self.shared.plans.lock().unwrap_or_else(PoisonError::into_inner) = plans;
    }

    /// Brings a database that was just made or opened to the newest schema, if it is to be; how far it was brought.
    ///
    /// # Errors
    ///
    /// When it cannot be: it is not to be served then.
    pub(crate) async fn ready(
        &self,
        (target, database): (&Target, &dyn Database),
        is_made: bool,
    ) -> Result<Brought, MigrateError> {
        let plans = self.plans();
        let plan = plans.of(database.dialect());
        if plan.steps().is_empty() {
            return Ok(Brought::default());
        }
        let mut connection = database.connect().await?;
        let runner = Runner { plan, dialect: database.dialect(), retry_begun: false };
        let brought = self.bring(&runner, &mut *connection, is_made).await;
        connection.close().await;
        // What was just made is noted by who made it.
        if let (Some(name), Ok(brought), false) = (target.name(), &brought, is_made)
            && brought.steps != 0
            && let Some(schema) = brought.schema()
        {
            self.note(name, &schema).await;
        }
        if let (Some(name), Err(error)) = (target.name(), &brought)
            && error.is_lasting()
            && !is_made
        {
            self.quarantine(name, &error.advice()).await;
        }
        brought
    }

    /// Brings a database that was just made or opened to the newest schema, if it is to be, and tells of it. One
    /// that cannot be is closed, and removed if it was just made.
    pub(crate) async fn take_in(
        &self,
        opened: &Opened<'_>,
        (engine, observer, journal): (&dyn Engine, &dyn Observer, &Journal),
    ) -> Result<Option<Schema>, MigrateError> {
        let Opened { spec, database, is_made } = *opened;
        let target = &spec.target;
        let readied = self.ready((target, &**database), is_made).await;
        let entry = |from: Option<u64>, to: Option<u64>, result: Result<(), String>| {
            let version = |version: u64| format!("V{version}");
            let cause = Cause::new(Interface::Open, "migrate_on_open");
            let database = Some(target.clone());
            let (from, to) = (from.map(version), to.map(version));
            // It is on its way.
            drop(journal.record(Entry { database, from, to, result, ..Entry::of(Action::Migrate, cause) }));
        };
        match readied {
            Ok(brought) => {
                let schema = brought.schema();
                let Brought { from, to, steps, took, .. } = brought;
                if steps != 0 {
                    observer.observe(&Event::Migrated { database: target, from, to, took });
                }
                if steps != 0 && !is_made {
                    entry(Some(from), Some(to), Ok(()));
                }
                Ok(schema)
            }
            Err(error) => {
                observer.observe(&Event::MigrationFailed { database: target, error: &error });
                if error.is_lasting() {
                    entry(None, None, Err(error.chain()));
                }
                // What fails here has nothing in it that could be lost.
                let _unclosed = database.close().await;
                if is_made {
                    let _left = engine.destroy(&spec.location).await;
                }
                Err(error)
            }
        }
    }

    async fn bring(
        &self,
        runner: &Runner<'_>,
        connection: &mut dyn Connection,
        is_made: bool,
    ) -> Result<Brought, MigrateError> {
        if self.shared.on_open == OnOpen::New && !is_made {
            let position = runner.position(connection).await;
            let is_new = match &position {
                Ok(position) => runner.is_new(connection, position).await?,
                // Who opens it is not to be told of what only migrating it would mend.
                Err(_) => false,
            };
            if !is_new {
                return Ok(Brought::default());
            }
        }
        match runner.bring(connection).await {
            // Another process, which is newer, has migrated it.
            Err(MigrateError::Ahead { .. }) => Ok(Brought::default()),
            brought => brought,
        }
    }

    /// Has new databases begin with the newest schema, where they are copies of something.
    ///
    /// # Errors
    ///
    /// When the engine cannot do it; what new ones began with before is kept then.
    pub async fn lay_groundwork(&self, engine: &dyn Engine) -> Result<(), EngineError> {
        let plans = self.plans();
        for dialect in Dialect::ALL {
            engine.lay(dialect, &groundwork(plans.of(dialect), dialect)).await?;
        }
        Ok(())
    }
}

/// What a database runs that begins with the newest schema.
fn groundwork(plan: &Plan, dialect: Dialect) -> Groundwork {
    let ledger = Ledger(dialect);
    if plan.steps().is_empty() {
        return Groundwork::default();
    }
    let ours = |sql: String| Script { sql, in_transaction: true };
    let mut scripts = vec![ours(ledger.make())];
    for step in plan.steps() {
        scripts.push(Script { sql: step.sql.to_string(), in_transaction: !step.manner.piecemeal });
        scripts.push(ours(entry(ledger, step)));
    }
    Groundwork { mark: plan.mark().to_owned(), scripts }
}

fn entry(ledger: Ledger, step: &Step) -> String {
    let head = super::ledger::Head { mark: step.mark.clone(), state: super::ledger::State::Ready };
    ledger.entries((step, "applied", std::time::Duration::ZERO), &head)
}
