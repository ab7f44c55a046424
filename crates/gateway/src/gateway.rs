//! The door: connect to a database, by target, within the limits in force.
use crate::admin::{Gates, Known, Past};
use crate::book::Book;
use crate::budget::{Backends, BudgetStatus, Budgets};
use crate::catalog::{Catalog, Dynamic, Resolution};
use crate::client::{Client, Principal, Principals};
use crate::configured::Configured;
use crate::connect::ConnectError;
use crate::event::{Event, Observer};
use crate::health::Checkup;
use crate::journal::{Journal, JournalError};
use crate::limits::Limits;
use crate::live::{Counts as LiveCounts, LiveStatus};
use crate::metadata::Metadata;
use crate::migrate::Migrator;
use crate::places::Places;
use crate::pool::Session;
use crate::registry::{
    Asker, DynamicStatus, Failures, OpenError, Owner, Registry, RegistryParts, RegistryStatus,
};
use crate::tenant::{Tenant, TenantKind, TenantStatus};
use rowhouse_engine::{Database, Engine, EngineError, Outcome, Processes};
use rowhouse_types::{ErrorCode, Reportable, Target};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The gateway. Cloning yields another handle.
#[derive(Clone, Debug)]
pub struct Gateway {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) catalog: Catalog,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) places: Places,
    pub(crate) checkup: Checkup,
    pub(crate) book: Book,
    pub(crate) budgets: Budgets,
    pub(crate) gates: Gates,
    pub(crate) past: Arc<Past>,
    pub(crate) known: Known,
    pub(crate) journal: Journal,
    pub(crate) migrator: Option<Migrator>,
    /// Held while limits are changed and kept.
    pub(crate) changing: tokio::sync::Mutex<()>,
    pub(crate) configured: Configured,
    pub(crate) registry: Registry,
    failures: Arc<Failures>,
    live: Arc<LiveCounts>,
    clients: AtomicU64,
    principals: Principals,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) tasks: TaskTracker,
    /// Ends the housekeeping, and runs over all databases.
    pub(crate) closing: CancellationToken,
}

/// What a gateway is made of.
#[derive(Debug)]
pub struct Parts {
    /// Which databases there are.
    pub catalog: Catalog,
    /// Who opens them.
    pub engine: Arc<dyn Engine>,
    /// Who hears of what happens.
    pub observer: Arc<dyn Observer>,
    /// What may be used.
    pub limits: Limits,
    /// Where administration is recorded, and limits of single databases are kept.
    pub journal: Journal,
    /// Where it is kept what databases there are that their names do not tell, if anywhere.
    pub metadata: Option<Metadata>,
    /// What brings databases opened by name to the newest schema, if anything does.
    pub migrator: Option<Migrator>,
}

/// What can be told of a gateway.
#[derive(Clone, Debug)]
pub struct Status {
    /// What is done with names that are not configured.
    pub dynamic: Dynamic,
    /// What may be used.
    pub limits: Limits,
    /// The configured databases.
    pub configured: Vec<TenantStatus>,
    /// Those opened by name.
    pub opened: DynamicStatus,
    /// Who failed by the engine's fault within the last minute: those that could not be opened and
    /// have not been since, the latest first and at most 1024; then the open ones that failed a
    /// request and have not written since.
    pub failing: Vec<Failing>,
    /// Counts of the processes that run databases, where that is not this one.
    pub processes: Option<Processes>,
    /// The servers that databases take connections of, and have since the start.
    pub budgets: Vec<BudgetStatus>,
    /// The metadata database's connections to its server, where it takes such.
    pub metadata: Option<Backends>,
}

/// A database that fails by the engine's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Which.
    pub target: Target,
    /// Whether it is configured or opened by name.
    pub kind: TenantKind,
}

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A configured database could not be opened.
    #[error("cannot open {}", if name.is_empty() { "the default database".to_owned() } else { format!("the configured database {name:?}") })]
    Configured {
        /// Its name, empty for the default database.
        name: String,
        /// Why.
        #[source]
        source: OpenError,
    },
    /// The limits that databases have of their own could not be read.
    #[error("cannot read the limits that databases have of their own")]
    Kept(#[from] JournalError),
}

impl Gateway {
    /// Assembles a gateway and opens the configured databases, creating those that are missing.
    ///
    /// Needs a Tokio runtime with time enabled.
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        let Parts { catalog, engine, observer, limits, journal, metadata, migrator } = parts;
        let places = Places::new(engine.clone(), metadata);
        if let Some(migrator) = &migrator {
            migrator.tell(places.clone());
        }
        let (book, gates, past) = (Book::new(limits), Gates::default(), Arc::new(Past::default()));
        book.take_up(journal.kept().await?);
        let tasks = TaskTracker::new();
        let budgets = match places.metadata() {
            Some(metadata) => {
                metadata.heed(&limits);
                metadata.budgets().clone()
            }
            None => Budgets::new(tasks.clone()),
        };
        budgets.set_all(limits.server_connections);
        let failures = Arc::new(Failures::default());
        let live = Arc::new(LiveCounts::default());
        let parts = RegistryParts {
            engine: engine.clone(),
            observer: observer.clone(),
            tasks: tasks.clone(),
            book: book.clone(),
            budgets: budgets.clone(),
            gates: gates.clone(),
            failures: failures.clone(),
            past: past.clone(),
            live: live.clone(),
            places: places.clone(),
            journal: journal.clone(),
            migrator: migrator.clone(),
        };
        let configured = Configured::open(parts.clone(), catalog.configured())
            .await
            .map_err(|(target, source)| StartError::Configured { name: target.to_string(), source })?;
        let registry = Registry::new(parts);
        let shared = Shared {
            catalog,
            engine,
            places,
            checkup: Checkup::default(),
            book,
            budgets,
            gates,
            past,
            known: Known::default(),
            journal,
            migrator,
            changing: tokio::sync::Mutex::default(),
            configured,
            registry,
            failures,
            live,
            clients: AtomicU64::new(0),
            principals: Principals::default(),
            observer,
            tasks,
            closing: CancellationToken::new(),
        };
        let gateway = Self { shared: Arc::new(shared) };
        gateway.shared.tasks.spawn(keep_house(Arc::downgrade(&gateway.shared)));
        Ok(gateway)
    }

    /// A client of the gateway's, which shares room with the others fairly.
    pub fn client(&self) -> Client {
        self.client_of(None)
    }

    /// A client of this principal's, whose clients have one share together.
    pub fn client_of(&self, principal: Option<Principal>) -> Client {
        self.shared.principals.client(self, principal)
    }

    pub(crate) fn principals(&self) -> &Principals {
        &self.shared.principals
    }

    /// The number of one more who shares room.
    pub(crate) fn newcomer(&self) -> Owner {
        Owner(1 + self.shared.clients.fetch_add(1, Ordering::Relaxed))
    }

    /// Lends a connection to somebody who is no [`Client`] in particular, opening or creating the
    /// database if need be and allowed.
    ///
    /// `deadline` bounds the wait for a connection, beside the pool's own timeout.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up every place in a queue and loses nothing.
    pub async fn connect(&self, target: &Target, deadline: Option<Instant>) -> Result<Session, ConnectError> {
        self.connect_for(&Asker { owner: Owner::NOBODY, may_create: true, pace: None }, target, deadline)
            .await
    }

    /// Notes how a request on a session ended, for operators.
    pub fn note(&self, session: &Session, ended: Result<Outcome, &EngineError>) {
        let tenant = session.tenant();
        tenant.counters.ran(ended.is_ok());
        match ended {
            Ok(Outcome { affected: Some(_), .. }) => tenant.wrote(),
            Err(EngineError::QuotaReached { limit }) if tenant.tells_frozen() => {
                let (database, limit) = (session.target(), *limit);
                self.shared.observer.observe(&Event::DatabaseFrozen { database, limit });
            }
            Err(error) if is_failure(error) => {
                tenant.failed();
                let (database, code) = (session.target(), error.code());
                self.shared.observer.observe(&Event::DatabaseFailed { database, code, error });
                if matches!(error, EngineError::ProcessEnded) {
                    self.retire_tenant(tenant);
                }
            }
            _ => {}
        }
    }

    /// What is kept of organizations, users and settings, and where databases are.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.shared.places.metadata()
    }

    /// Tells the observer of something that happened outside of the gateway.
    pub fn tell(&self, event: &Event<'_>) {
        self.shared.observer.observe(event);
    }

    /// Who hears of what happens.
    pub fn observer(&self) -> Arc<dyn Observer> {
        self.shared.observer.clone()
    }

    /// Gives up a session whose database was replaced or whose process ended: what was opened is lent no more, and
    /// closed when its last session has ended.
    pub(crate) fn retire(&self, session: Session) {
        let tenant = session.tenant().clone();
        self.retire_tenant(&tenant);
        drop(session);
    }

    pub(crate) fn retire_tenant(&self, tenant: &Arc<Tenant>) {
        match tenant.kind {
            TenantKind::Static => self.shared.configured.retire(tenant),
            TenantKind::Dynamic => self.shared.registry.retire(tenant),
        }
    }

    pub(crate) fn enter(&self, owner: Owner) {
        self.shared.registry.enter(owner);
    }

    pub(crate) fn leave(&self, owner: Owner) {
        self.shared.registry.leave(owner);
    }

    /// Tells what is open and how much. Opens and touches nothing.
    pub async fn status(&self) -> Status {
        let Shared { catalog, book, configured, registry, failures, .. } = &*self.shared;
        let mut statics = Vec::new();
        for tenant in configured.tenants() {
            statics.push(tenant.status().await);
        }
        let opened = registry.status().await;
        let kind = |target: &Target| match catalog.resolve(target) {
            Ok(Resolution::Configured(_)) => TenantKind::Static,
            _ => TenantKind::Dynamic,
        };
        let open = statics.iter().chain(&opened.open).filter(|tenant| tenant.failing);
        let failing = failures.told().into_iter().chain(open.map(|tenant| tenant.spec.target.clone()));
        let failing = failing.map(|target| Failing { kind: kind(&target), target }).collect();
        let processes = registry.processes();
        Status {
            dynamic: catalog.dynamic(),
            limits: book.all(),
            configured: statics,
            opened,
            failing,
            processes,
            budgets: self.budgets(),
            metadata: self.metadata().and_then(Metadata::backends),
        }
    }

    /// The configured database of this target, if it is open.
    pub(crate) fn configured(&self, target: &Target) -> Option<Arc<dyn Database>> {
        let tenants = self.shared.configured.tenants();
        tenants.iter().find(|tenant| tenant.spec.target == *target).map(|tenant| tenant.database().clone())
    }

    /// What can be told of the connections to each server, in the order of their names.
    pub fn budgets(&self) -> Vec<BudgetStatus> {
        self.shared.budgets.status()
    }

    /// Counts of the databases opened by name.
    pub fn counts(&self) -> RegistryStatus {
        self.shared.registry.counts()
    }

    /// Counts of feeds of changes.
    pub fn live(&self) -> LiveStatus {
        self.shared.live.status()
    }

    /// Closes everything, each database when its last session has ended.
    ///
    /// Call it when the protocols have let their sessions go; nothing can be connected afterwards.
    pub async fn shut_down(&self) {
        let Shared { registry, tasks, configured, closing, places, .. } = &*self.shared;
        closing.cancel();
        registry.shut_down();
        tasks.close();
        tasks.wait().await;
        configured.shut_down().await;
        registry.clear_leftovers(Duration::ZERO).await;
        if let Some(metadata) = places.metadata() {
            // What was committed is safe.
            drop(metadata.close().await);
        }
    }
}

/// How often housekeeping is done at least, however long connections may stay unused.
const HOUSE_EVERY: Duration = Duration::from_secs(15);

/// How long a closed database may leave what helps to open it again.
const LEFT_FOR: Duration = Duration::from_secs(30);

/// How often the databases there are, are counted.
const COUNT_EVERY: Duration = Duration::from_secs(60);

/// One task for all databases: closes connections that nobody has used for long, and databases
/// whose storage was replaced or renamed and that nobody has asked for since.
async fn keep_house(gateway: Weak<Shared>) {
    let Some(closing) = gateway.upgrade().map(|shared| shared.closing.clone()) else { return };
    let mut counted: Option<tokio::time::Instant> = None;
    let mut followed = SystemTime::now();
    let housekeeping = async {
        loop {
            let Some(shared) = gateway.upgrade() else { return };
            let every = (shared.book.shortest_idle() / 2).min(HOUSE_EVERY);
            if counted.is_none_or(|at| COUNT_EVERY <= at.elapsed()) {
                // Nobody waits for it: a failure is told to who asks for the names.
                drop(Gateway { shared: shared.clone() }.known().await);
                shared.budgets.refresh();
                counted = Some(tokio::time::Instant::now());
            }
            drop(shared);
            tokio::time::sleep(every.max(Duration::from_millis(10))).await;
            let Some(shared) = gateway.upgrade() else { return };
            let now = Instant::now();
            if let Some(metadata) = shared.places.metadata() {
                metadata.trim(now);
            }
            shared.registry.trim(now);
            shared.configured.tenants().iter().for_each(|tenant| tenant.pool.trim(now));
            tend_feeds(&shared);
            shared.registry.verify().await;
            followed = shared.follow(followed).await;
            shared.registry.clear_leftovers(LEFT_FOR).await;
        }
    };
    closing.run_until_cancelled(housekeeping).await;
}

/// Stops listening to databases whose changes nobody wants to be told any more, and looks whether others
/// have written to those whose changes somebody does.
fn tend_feeds(shared: &Shared) {
    let now = tokio::time::Instant::now().into_std();
    for tenant in shared.registry.tenants().into_iter().chain(shared.configured.tenants()) {
        if let Some(listening) = tenant.live.tend(now) {
            shared.tasks.spawn(async move { listening.look().await });
        }
    }
}

/// Whether operators should look after the database: the fault is neither its user's nor a rush's.
fn is_failure(error: &EngineError) -> bool {
    use ErrorCode::{DatabaseCorrupt, DatabaseUnavailable, DiskFull, Internal, ReadOnly};
    let not_its_fault = matches!(error, EngineError::Replaced | EngineError::QuotaReached { .. });
    !not_its_fault
        && matches!(error.code(), DatabaseCorrupt | DatabaseUnavailable | DiskFull | Internal | ReadOnly)
}
