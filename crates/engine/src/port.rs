//! The traits an engine implements, and what passes through them.
use crate::batch::Batch;
use crate::change::{Listener, Listening};
use crate::copy::{Course, Restoration, Stamp};
use crate::error::EngineError;
use crate::server::Server;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use rowhouse_types::{DatabaseName, Request};
use std::fmt::Debug;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A database frozen at its bound thaws below this part of it, in percent.
pub const THAW: u64 = 90;

/// Where a database lives, in its engine's own terms (a file, `:memory:`, a URL).
///
/// Never shown to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location(pub String);

/// A location in parts that can be kept: it holds no path, and means the same to every process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whereabouts {
    /// The name of the engine.
    pub engine: String,
    /// The label of the server, empty where there are no servers.
    pub server: String,
    /// What the database is called there.
    pub physical: String,
}

/// Whether a database exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It exists.
    Present,
    /// It does not.
    Absent,
}

/// Which SQL a database speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// SQLite's.
    Sqlite,
    /// PostgreSQL's.
    Postgres,
}

/// A kind of database: SQLite, PostgreSQL.
pub trait Engine: Debug + Send + Sync + 'static {
    /// The name used in configuration and metrics.
    fn name(&self) -> &'static str;

    /// Counts of the processes that run its databases, where that is not this one.
    fn processes(&self) -> Option<Processes> {
        None
    }

    /// Where the database of this name lives if it lives where the engine puts new ones.
    fn locate(&self, name: &DatabaseName) -> Location;

    /// Where a new database of this name is to be made: with [`Engine::locate`], unless the engine has more
    /// than one place for new ones and another has more room. Who makes it there has to remember where.
    fn choose<'a>(&'a self, name: &'a DatabaseName) -> BoxFuture<'a, Result<Location, EngineError>> {
        Box::pin(async move { Ok(self.locate(name)) })
    }

    /// Where a database of this name may be that nobody has remembered, the likeliest first.
    fn places(&self, name: &DatabaseName) -> Vec<Location> {
        vec![self.locate(name)]
    }

    /// What is to be kept of where the database of this name is. Without a server it need not be: the name
    /// tells it.
    fn whereabouts(&self, name: &DatabaseName, _at: &Location) -> Whereabouts {
        Whereabouts { engine: self.name().to_owned(), server: String::new(), physical: name.to_string() }
    }

    /// Where the database of this name is by what was kept; `None` when that is none of this engine's, or on
    /// a server that it does not know.
    fn place(&self, name: &DatabaseName, kept: &Whereabouts) -> Option<Location> {
        (kept.engine == self.name() && kept.server.is_empty()).then(|| self.locate(name))
    }

    /// Looks whether there is a database at `at`, opening nothing.
    fn probe<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<Presence, EngineError>>;

    /// Creates an empty database, failing if one exists.
    fn create<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<(), EngineError>>;

    /// Counts the database at `at` as open, by another process of ours: what may not be open at the
    /// same time is refused here as if it were open in this one.
    fn claim<'a>(
        &'a self,
        at: &'a Location,
        by: Claimant,
    ) -> BoxFuture<'a, Result<Box<dyn Claim>, EngineError>>;

    /// Opens an existing database.
    fn open<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<Arc<dyn Database>, EngineError>>;

    /// Destroys the database and all it holds. It must not be open.
    fn destroy<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<(), EngineError>>;

    /// The bytes the database at `at` takes on disk, if it is on disk and they can be told, opening nothing.
    fn size<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Option<u64>>;

    /// Removes what closed databases have left to be opened sooner again, where it was left for as long as
    /// that. Whoever lets an engine leave such things calls this now and then, and with none in the end.
    fn clear_leftovers(&self, _age: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// Whether databases at `at` take connections of a server, which other databases take too.
    fn is_served(&self, _at: &Location) -> bool {
        false
    }

    /// Has new databases that speak `dialect` begin with what these scripts make, where new databases are copies
    /// of something: then that is made anew, unless it was made from a groundwork with this mark. Where they begin
    /// with nothing, or do not speak it, nothing is done. Existing databases stay as they are.
    ///
    /// # Errors
    ///
    /// When a script fails. New databases begin as before then.
    fn lay<'a>(
        &'a self,
        _dialect: Dialect,
        _groundwork: &'a Groundwork,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(async { Ok(()) })
    }

    /// The names of the databases where the engine puts new ones, in order.
    fn list(&self) -> BoxFuture<'_, Result<Vec<DatabaseName>, EngineError>>;

    /// What tells whether the database at `at` has changed, opening nothing.
    fn stamp<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<Stamp, EngineError>>;

    /// Copies the database at `at`, open or not, into the new file `to`: all that was committed at
    /// one moment and nothing else, checked, and safe on the disk. Nobody waits for it meanwhile.
    ///
    /// # Errors
    ///
    /// Nothing is left at `to` then. `Cancelled` when the course was stopped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the course; the engine lets go of the database soon after.
    fn backup<'a>(
        &'a self,
        at: &'a Location,
        to: &'a Path,
        course: &'a Course,
    ) -> BoxFuture<'a, Result<(), EngineError>>;

    /// Makes the database at `at` what the backup holds, wholly or not at all, whenever it is
    /// interrupted, by a loss of power too.
    ///
    /// The backup is a stranger's until it is checked: a copy of it is, before anything is changed.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` or `NameTaken` over nothing; `NoSuchDatabase` over an existing one; `InUse`
    /// when anybody has it open; `BadBackup` when the file is no sound backup.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the course; it may have taken effect.
    fn restore<'a>(
        &'a self,
        at: &'a Location,
        restoration: Restoration<'a>,
        course: &'a Course,
    ) -> BoxFuture<'a, Result<(), EngineError>>;
}

/// What new databases begin with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groundwork {
    /// What tells it from another one: letters and digits; empty for nothing at all.
    pub mark: String,
    /// What makes it, in order.
    pub scripts: Vec<Script>,
}

/// Statements that make a part of what new databases begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The statements.
    pub sql: String,
    /// Whether they run in one transaction, or each for itself.
    pub in_transaction: bool,
}

/// Who has a database open in another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimant {
    /// An opened database.
    Database,
    /// A backup, which is over soon.
    Backup,
}

/// A database that is open in another process of ours, until this is dropped.
pub trait Claim: Debug + Send + Sync + 'static {
    /// As [`Database::verify`], of what was at the place when it was claimed.
    fn verify(&self) -> Result<(), EngineError>;

    /// As [`Database::size`].
    fn size(&self) -> BoxFuture<'_, Option<u64>>;
}

/// The process that runs a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub id: u32,
    /// Whether it has not ended.
    pub running: bool,
    /// How many before it have ended by themselves, since this server was started.
    pub ended_before: u32,
}

/// Counts of the processes that run databases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Processes {
    /// Those there are.
    pub running: u64,
    /// All that were started.
    pub started: u64,
    /// Those that ended without having been asked to.
    pub ended: u64,
}

/// An opened database: what its connections share.
///
/// It anchors shared state (an in-memory database lives as long as this is not closed).
pub trait Database: Debug + Send + Sync + 'static {
    /// Opens one more connection.
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Connection>, EngineError>>;

    /// Which SQL it speaks.
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    /// The most connections the engine can take, if it has such a bound.
    fn max_connections(&self) -> Option<NonZeroU32> {
        None
    }

    /// The server whose connections it takes, where it takes any.
    fn server(&self) -> Option<Arc<dyn Server>> {
        None
    }

    /// The process it runs in, where that is not this one.
    fn process(&self) -> Option<Process> {
        None
    }

    /// Fails with [`EngineError::Replaced`] when what is at its place is not what was opened, with
    /// [`EngineError::ProcessEnded`] when the process it ran in has ended.
    ///
    /// Blocks for one look at the storage: many may be looked at one after the other on one thread.
    fn verify(&self) -> Result<(), EngineError>;

    /// The bytes it takes on disk, if it is on disk and they can be told.
    fn size(&self) -> BoxFuture<'_, Option<u64>>;

    /// The most bytes it may take, from the next request on; no bound with `None`. Returns at once.
    ///
    /// At the bound it is frozen: what writes fails with [`EngineError::QuotaReached`], until less than
    /// [`THAW`] of the bound is taken by what it holds, or the bound is raised or taken away. Reading goes
    /// on, and so do statements that free room: those that begin with `DELETE` or `DROP`.
    fn bound(&self, max_bytes: Option<u64>);

    /// Whether it is frozen at its bound.
    fn is_frozen(&self) -> BoxFuture<'_, Result<bool, EngineError>>;

    /// Moves all that was committed to where it belongs, and makes it safe there, while it is in use.
    ///
    /// # Errors
    ///
    /// A statement that is [`Condition::Busy`](crate::Condition::Busy) when somebody reads for long.
    fn checkpoint(&self) -> BoxFuture<'_, Result<(), EngineError>>;

    /// What tells whether it has changed; `None` when it holds nothing that could be lost.
    fn stamp(&self) -> BoxFuture<'_, Result<Option<Stamp>, EngineError>>;

    /// As [`Engine::backup`], of this very database: also where nobody else can open it.
    fn backup<'a>(&'a self, to: &'a Path, course: &'a Course) -> BoxFuture<'a, Result<(), EngineError>>;

    /// Tells `listener` of all that is committed from now on. One listens at a time: who did before hears
    /// no more. While nobody does, it costs nothing.
    ///
    /// Waits until no transaction is open that has written, so that the first that is told is told whole.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nobody listening.
    fn listen(&self, listener: Arc<dyn Listener>) -> BoxFuture<'_, Result<Box<dyn Listening>, EngineError>>;

    /// Makes all that was committed safe where it belongs and lets go of the storage.
    ///
    /// To be called when every connection is closed; nothing can be opened afterwards.
    fn close(&self) -> BoxFuture<'_, Result<(), EngineError>>;
}

/// How a request is to be run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// When it is interrupted. The clock is the process's monotonic one.
    pub deadline: Option<Instant>,
    /// What its SQL may do.
    pub policy: SqlPolicy,
    /// Whether foreign keys are enforced, unless the session has said otherwise.
    pub foreign_keys: bool,
    /// The most rows it may yield.
    pub max_rows: Option<u64>,
    /// The most bytes its rows may take, about.
    pub max_bytes: Option<u64>,
}

/// What SQL may do. What threatens other tenants is refused under each of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SqlPolicy {
    /// All that concerns this database only.
    #[default]
    Standard,
    /// As `Standard`, but deleting rows and dropping objects is refused, and `PRAGMA` does
    /// nothing and answers nothing.
    Guarded,
    /// As `Standard`, but nothing is changed and nobody who writes is kept waiting: what would write, or
    /// take the turn to write, fails with [`EngineError::MayNotWrite`].
    ReadOnly,
}

/// A part of a result.
///
/// A result is one or more chunks: rows in order, and the outcome in the last one only. A result
/// whose last chunk has no outcome was cut off.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The columns, in the first chunk of a result that has any.
    pub columns: Option<Arc<[Column]>>,
    /// Rows.
    pub rows: Batch,
    /// How it ended; nothing follows.
    pub outcome: Option<Outcome>,
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The type that was declared for it, where it is a column of a table as it stands there.
    pub decl_type: Option<String>,
}

/// What a statement is, without running it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Its places for arguments, in order, with the names they have, as they are written (`:a`, `?2`).
    pub params: Vec<Option<String>>,
    /// The columns of its result.
    pub columns: Vec<Column>,
    /// Whether it tells how a statement would be run.
    pub is_explain: bool,
    /// Whether it changes nothing in the database.
    pub is_readonly: bool,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Rows inserted, updated or deleted by a statement that begins with `INSERT`, `UPDATE`,
    /// `DELETE` or `REPLACE`; `None` for every other statement and for scripts.
    pub affected: Option<u64>,
    /// Rows its last statement inserted, updated or deleted itself, however it begins; for a repeated
    /// statement the sum. Without those that triggers and foreign keys changed.
    pub changed: u64,
    /// The key of the row inserted last on this connection, 0 if there was none.
    pub last_insert_id: i64,
    /// Rows of tables it looked at, about: what engines count, and no less than it yielded.
    pub rows_read: u64,
    /// Rows it inserted, updated or deleted, with those that triggers and foreign keys changed.
    pub rows_written: u64,
}

/// What a connection holds that belongs to its borrower alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionState {
    /// Nothing: any other connection would do as well.
    #[default]
    Clean,
    /// Temporary objects or changed settings.
    Stateful,
    /// An open transaction.
    Transaction,
}

/// A result, chunk by chunk. Dropping it interrupts what is left of the request.
pub type Chunks<'a> = BoxStream<'a, Result<Chunk, EngineError>>;

/// One session with a database. Not shared, not cloned: it is lent by a pool.
pub trait Connection: Debug + Send + 'static {
    /// Runs a request. Work starts at once, and halts when the reader falls behind.
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream interrupts the request; what it did in autocommit is undone unless it
    /// had ended. The next call waits until the interruption has taken effect.
    fn run(&mut self, request: Request, options: Options) -> Chunks<'_>;

    /// Tells what one statement is, without running it.
    ///
    /// # Errors
    ///
    /// What running it would fail with before its first step.
    ///
    /// # Cancel safety
    ///
    /// As [`Connection::run`].
    fn describe<'a>(
        &'a mut self,
        sql: &'a str,
        options: Options,
    ) -> BoxFuture<'a, Result<Description, EngineError>>;

    /// The request that failed with [`EngineError::Replaced`] or [`EngineError::ProcessEnded`] before
    /// anything of it was done, once.
    fn take_back(&mut self) -> Option<Request>;

    /// What it holds for its borrower, as of the last request that ended.
    ///
    /// Never `Clean` while a request is under way that was dropped before its end, nor when the
    /// connection is lost: only [`Connection::reset`] can tell then.
    fn state(&self) -> SessionState;

    /// Checks that the other end answers.
    fn ping(&mut self) -> BoxFuture<'_, Result<(), EngineError>>;

    /// Makes it fit for another borrower: rolls back, drops temporary objects and settings.
    fn reset(&mut self) -> BoxFuture<'_, Result<(), EngineError>>;

    /// Closes it, telling the other end, and resolves when that has ended it too, as far as it can be told.
    fn close(self: Box<Self>) -> BoxFuture<'static, ()>;
}

// === impl Dialect ===

impl Dialect {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}
