//! What a server can take, shared by the databases on it.
//!
//! Invariant: the connections of all databases of this process on one server, those being opened and those
//! being closed included, never exceed its budget, but for what was there when the budget was lowered. One
//! ledger holds them: [`Allotment`].
use crate::uses::Use;
use rowhouse_engine::{Capacity, Connection, EngineError, Server};
use rowhouse_sync::{Allotment, Party, Unit};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio_util::task::TaskTracker;

/// A database goes on using a connection that others wait for, as long as none of them has fewer, for so
/// many times what it takes to open one: so much at most of a server's time is spent on the changes.
const TURN: u32 = 8;

/// The shortest and the longest turn.
const TURNS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

/// What opening a connection is taken to take before one was opened.
const GUESS: Duration = Duration::from_millis(5);

/// The budgets of all servers. Cloning yields another handle.
#[derive(Clone, Debug)]
pub(crate) struct Budgets {
    shared: Arc<AllServers>,
}

#[derive(Debug)]
struct AllServers {
    /// What an operator has set, for each of them.
    set: Mutex<Option<NonZeroU32>>,
    /// The owner of closings.
    tasks: TaskTracker,
    /// By label: as many as servers are configured.
    servers: Mutex<BTreeMap<String, Budget>>,
}

/// The budget of one server. Cloning yields another handle.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    shared: Arc<OneServer>,
}

#[derive(Debug)]
struct OneServer {
    server: Arc<dyn Server>,
    allotment: Allotment<Backend>,
    /// Whether the limit of the allotment is one that was set or told.
    is_known: AtomicBool,
    asked: OnceCell<()>,
    pace: Mutex<Pace>,
}

#[derive(Debug)]
struct Pace {
    /// What an operator has set.
    set: Option<NonZeroU32>,
    /// What the server has told last.
    capacity: Option<Capacity>,
    /// What it takes to open a connection, about.
    opening: Duration,
}

/// A connection of a server's that nobody uses.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) connection: Box<dyn Connection>,
    /// Counts it for its pool until it has ended.
    pub(crate) open: Use,
}

/// What can be told of a database's connections to its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backends {
    /// What the server is called.
    pub server: String,
    /// How many are kept open.
    pub size: u32,
    /// How many more there may be while they are in use.
    pub overflow: u32,
    /// How many there are, those being opened included.
    pub open: u32,
    /// Of them, those that are kept unused.
    pub idle: u32,
    /// Requests that wait for one.
    pub waiting: u32,
    /// How many were closed so far because another database had more need of the room.
    pub reclaimed: u64,
}

/// What can be told of the connections to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetStatus {
    /// What the server is called.
    pub server: String,
    /// The most there may be; `None` as long as neither the server was asked nor it was set.
    pub budget: Option<NonZeroU32>,
    /// What the server said that it can take.
    pub capacity: Option<Capacity>,
    /// How many there are, those being opened and closed included.
    pub open: u32,
    /// Of them, those that are kept unused.
    pub idle: u32,
    /// Of them, those that are being closed.
    pub closing: u32,
    /// Requests that wait for one.
    pub waiting: u32,
    /// How many were closed so far because another database had more need of the room.
    pub reclaimed: u64,
    /// What opening one takes, about.
    pub opening: Duration,
    /// How long a database goes on using one that others of its rank wait for.
    pub turn: Duration,
}

// === impl Budgets ===

impl Budgets {
    /// With no server yet.
    pub(crate) fn new(tasks: TaskTracker) -> Self {
        Self { shared: Arc::new(AllServers { set: Mutex::default(), tasks, servers: Mutex::default() }) }
    }

    /// The budget of this server: one for all that have its label.
    pub(crate) fn of(&self, server: Arc<dyn Server>) -> Budget {
        let (label, mut servers) = (server.label().to_owned(), self.servers());
        let budget = servers.entry(label).or_insert_with(|| Budget::new(server, &self.shared.tasks)).clone();
        // Under the lock: whoever sets it meanwhile finds the new one, too.
        budget.set(*self.set());
        budget
    }

    /// Each server's budget is this from now on; what it says that it can take, with `None`.
    pub(crate) fn set_all(&self, budget: Option<NonZeroU32>) {
        let servers = self.servers();
        *self.set() = budget;
        servers.values().for_each(|server| server.set(budget));
    }

    fn set(&self) -> MutexGuard<'_, Option<NonZeroU32>> {
        self.shared.set.lock().expect("never panics while locked")
    }

    /// Asks each server again what it can take. What one that does not answer has told before goes on.
    pub(crate) fn refresh(&self) {
        for budget in self.all() {
            // What it has told before goes on if it does not answer now.
            self.shared.tasks.spawn(async move { budget.measure().await.ok() });
        }
    }

    /// What can be told of each, in the order of their names.
    pub(crate) fn status(&self) -> Vec<BudgetStatus> {
        self.all().iter().map(Budget::status).collect()
    }

    fn all(&self) -> Vec<Budget> {
        self.servers().values().cloned().collect()
    }

    fn servers(&self) -> MutexGuard<'_, BTreeMap<String, Budget>> {
        self.shared.servers.lock().expect("never panics while locked")
    }
}

// === impl Budget ===

impl Budget {
    fn new(server: Arc<dyn Server>, tasks: &TaskTracker) -> Self {
        let tasks = tasks.clone();
        let close = move |backend: Backend, unit: Unit<Backend>| {
            tasks.spawn(backend.end(unit));
        };
        let shared = OneServer {
            server,
            allotment: Allotment::new(NonZeroU32::MIN, turn(GUESS), close),
            is_known: AtomicBool::new(false),
            asked: OnceCell::new(),
            pace: Mutex::new(Pace { set: None, capacity: None, opening: GUESS }),
        };
        Self { shared: Arc::new(shared) }
    }

    fn set(&self, budget: Option<NonZeroU32>) {
        self.heed(|pace| pace.set = budget);
    }

    /// One more database that takes connections of it.
    pub(crate) fn join(&self) -> Party<Backend> {
        self.shared.allotment.join()
    }

    /// Whether it is known how many there may be.
    pub(crate) fn is_known(&self) -> bool {
        self.shared.is_known.load(Ordering::Relaxed)
    }

    /// Returns when that is known.
    ///
    /// # Errors
    ///
    /// When nobody has said so and the server does not say it.
    pub(crate) async fn known(&self) -> Result<(), EngineError> {
        self.shared.asked.get_or_try_init(|| self.measure()).await.map(|_| ())
    }

    /// What the server is called.
    pub(crate) fn label(&self) -> &str {
        self.shared.server.label()
    }

    /// The most there may be.
    pub(crate) fn limit(&self) -> NonZeroU32 {
        self.shared.allotment.status().limit
    }

    /// A connection was opened, which took so long.
    pub(crate) fn opened(&self, took: Duration) {
        let opening = {
            let mut pace = self.pace();
            pace.opening = (pace.opening * 7 + took) / 8;
            pace.opening
        };
        self.shared.allotment.set_turn(turn(opening));
    }

    async fn measure(&self) -> Result<(), EngineError> {
        let capacity = self.shared.server.capacity().await?;
        self.heed(|pace| pace.capacity = Some(capacity));
        Ok(())
    }

    fn heed(&self, change: impl FnOnce(&mut Pace)) {
        let OneServer { allotment, is_known, .. } = &*self.shared;
        let mut pace = self.pace();
        change(&mut pace);
        let limit = pace.set.or(pace.capacity.map(Capacity::budget));
        // Under the lock: the latest is the one in force.
        if let Some(limit) = limit {
            allotment.resize(limit);
        }
        is_known.store(limit.is_some(), Ordering::Relaxed);
    }

    fn status(&self) -> BudgetStatus {
        let OneServer { server, allotment, .. } = &*self.shared;
        let status = allotment.status();
        let Pace { capacity, opening, .. } = *self.pace();
        BudgetStatus {
            server: server.label().to_owned(),
            budget: self.is_known().then_some(status.limit),
            capacity,
            open: status.held,
            idle: status.idle,
            closing: status.ending,
            waiting: status.waiting,
            reclaimed: status.reclaimed,
            opening,
            turn: turn(opening),
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.shared.pace.lock().expect("never panics while locked")
    }
}

fn turn(opening: Duration) -> Duration {
    (opening * TURN).clamp(TURNS.0, TURNS.1)
}

// === impl Backend ===

impl Backend {
    /// Closes it. Its room goes on when the server has let go of it.
    pub(crate) async fn end(self, unit: Unit<Self>) {
        let Self { connection, open } = self;
        connection.close().await;
        drop(unit);
        drop(open);
    }
}

// === impl Backends ===

impl Backends {
    /// Connections at work, or being opened.
    pub fn lent(&self) -> u32 {
        self.open.saturating_sub(self.idle)
    }
}

// === impl BudgetStatus ===

impl BudgetStatus {
    /// Connections at work, or being opened.
    pub fn in_use(&self) -> u32 {
        self.open.saturating_sub(self.idle).saturating_sub(self.closing)
    }
}
