//! One connection of SQLite's, hardened, with what travels along with it between threads.
use crate::authorizer::{Author, Gatekeeper};
use crate::config::{Access, Config};
use crate::control::Control;
use crate::directory::Sight;
use crate::errors::{storage, translate};
use crate::facts::{Facts, Took};
use crate::feed::Hearing;
use crate::files::{Identity, Place};
use crate::hardening::{Storage, harden};
use crate::job::Guest;
use crate::output::describe_columns;
use crate::quota::{Noted, Quota, is_full_disk};
use crate::turn::Turn;
use crate::watch::Watch;
use rowhouse_engine::{Column, EngineError, Options, SessionState, SqlPolicy};
use rowhouse_wal_locks::{Family, Keeper};
use rusqlite::config::DbConfig;
use rusqlite::{FileControl, OpenFlags, Statement, TransactionState};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// Where a database's pages are, for those who open connections to it.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A file, and which one it was when the database was opened. Connections that are to read it again and again
    /// are of the family.
    File { place: Place, identity: Identity, family: Option<Family> },
    /// A block of memory of this name, shared by the connections that use the name.
    Memory { name: String },
}

/// A connection of SQLite's. It is used by one thread at a time: whoever holds it.
pub(crate) struct Handle {
    pub(crate) connection: rusqlite::Connection,
    /// Of the session it works for now.
    pub(crate) control: Arc<Control>,
    watch: Arc<Watch>,
    source: Source,
    config: Arc<Config>,
    gatekeeper: Arc<Gatekeeper>,
    /// What the cached statements were compiled under.
    policy: SqlPolicy,
    /// Whether foreign keys are enforced, unless the session has said otherwise.
    foreign_keys: bool,
    /// The turn to write, held while the connection holds the lock.
    pub(crate) turn: Option<Turn<Guest>>,
    pub(crate) quota: Arc<Quota>,
    pub(crate) noted: Cell<Noted>,
    /// Whether it runs one request of several in a transaction of ours.
    pub(crate) grouped: bool,
    /// What it keeps for the feed of changes, if somebody listens to it.
    pub(crate) hearing: Option<Hearing>,
    facts: RefCell<Facts>,
}

/// How long a write-ahead log is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogLength {
    /// Its pages.
    pub(crate) pages: u32,
    /// Of them, those that are in the main file already.
    pub(crate) moved: u32,
}

// === impl Source ===

impl Source {
    /// Whether only one connection may be in a transaction, be it to read.
    ///
    /// SQLite's memory cannot be read while it is written.
    pub(crate) fn is_exclusive(&self) -> bool {
        matches!(self, Self::Memory { .. })
    }

    /// Fails when the file is not the one it was. Blocks for one look at the file system.
    pub(crate) fn verify(&self) -> Result<(), EngineError> {
        match self {
            Self::Memory { .. } => Ok(()),
            Self::File { place, identity, .. } => place.verify(*identity),
        }
    }

    /// The same, for many connections of this process: they keep the locks under which they read for a moment.
    pub(crate) fn keeping_locks(mut self, keeper: &Keeper) -> Self {
        if let Self::File { family, .. } = &mut self {
            *family = Some(Family::new(keeper));
        }
        self
    }

    /// What the file's directory looks like at `now`, if that is known. May block for one look at the file system.
    pub(crate) fn sight(&self, now: Instant) -> Option<Sight> {
        match self {
            Self::Memory { .. } => None,
            Self::File { place, .. } => place.sight(now),
        }
    }

    /// The same, for a connection that shares no locks.
    fn keeping_no_locks(&self) -> Self {
        let mut alone = self.clone();
        if let Self::File { family, .. } = &mut alone {
            *family = None;
        }
        alone
    }

    fn connect(&self, access: Access) -> rusqlite::Result<rusqlite::Connection> {
        let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
        match self {
            Self::File { place, family, .. } => {
                let access = match access {
                    Access::ReadWrite => OpenFlags::SQLITE_OPEN_READ_WRITE,
                    Access::ReadOnly => OpenFlags::SQLITE_OPEN_READ_ONLY,
                };
                let flags = flags | access | OpenFlags::SQLITE_OPEN_NOFOLLOW;
                let connection = rusqlite::Connection::open_with_flags(place.path(), flags)?;
                if let Some(family) = family {
                    family.join(&connection);
                }
                Ok(connection)
            }
            Self::Memory { name } => {
                let flags = flags | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
                rusqlite::Connection::open_with_flags_and_vfs(name, flags, c"memdb")
            }
        }
    }
}

// === impl Handle ===

impl Handle {
    /// Opens and hardens a connection. Blocks.
    pub(crate) fn open(
        source: &Source,
        config: &Arc<Config>,
        quota: &Arc<Quota>,
    ) -> Result<Self, EngineError> {
        let storage = if source.is_exclusive() { Storage::Memory } else { Storage::File };
        source.verify()?;
        Self::open_as(storage, source, config, quota)
    }

    /// As [`Handle::open`], for who has just looked at the file, to have it alone: what is asked of the connection
    /// fails where others have the file open, and others find it locked. It is to be read only. Blocks.
    pub(crate) fn open_alone(
        source: &Source,
        config: &Arc<Config>,
        quota: &Arc<Quota>,
    ) -> Result<Self, EngineError> {
        Self::open_as(Storage::FileAlone, &source.keeping_no_locks(), config, quota)
    }

    fn open_as(
        storage: Storage,
        source: &Source,
        config: &Arc<Config>,
        quota: &Arc<Quota>,
    ) -> Result<Self, EngineError> {
        let mut connection = source.connect(config.access).map_err(|error| translate(&error))?;
        let (gatekeeper, watch) = (Arc::new(Gatekeeper::default()), Arc::new(Watch::default()));
        harden(&mut connection, storage, config, &gatekeeper, &watch).map_err(|error| translate(&error))?;
        // SQLite opened it by its path: still the same file?
        source.verify()?;
        Ok(Self {
            connection,
            control: Arc::new(Control::new()),
            watch,
            source: source.clone(),
            config: config.clone(),
            gatekeeper,
            policy: SqlPolicy::default(),
            foreign_keys: false,
            turn: None,
            quota: quota.clone(),
            noted: Cell::default(),
            grouped: false,
            hearing: None,
            facts: RefCell::new(Facts::new(config.statement_cache)),
        })
    }

    /// Works for `control` from now on, and when others wait for it, no longer than their patience.
    pub(crate) fn attend(&mut self, control: &Arc<Control>, patience: Option<Instant>) {
        self.control = control.clone();
        self.watch.set_in_place(false);
        self.watch.attend(control, patience);
    }

    /// Works for `control` from now on, on a thread that must not be kept.
    pub(crate) fn attend_in_place(&mut self, control: &Arc<Control>) {
        self.attend(control, None);
        self.watch.set_in_place(true);
    }

    /// Whether what ran in place had to stop because it ran over; it runs in place no more.
    pub(crate) fn ran_over(&self) -> bool {
        let over = self.watch.ran_over();
        self.watch.set_in_place(false);
        over
    }

    /// Whether what runs now runs in place.
    pub(crate) fn runs_in_place(&self) -> bool {
        self.watch.is_in_place()
    }

    /// Whether it knows `sql` as short.
    pub(crate) fn knows_as_short(&self, sql: &str) -> bool {
        self.facts.borrow().is_short(sql)
    }

    /// Notes what `sql` took, which only reads.
    pub(crate) fn learn(&self, sql: &str, took: Took) {
        self.facts.borrow_mut().learn(sql, took);
    }

    /// Notes that `sql` was taken for short and was not.
    pub(crate) fn distrust(&self, sql: &str) {
        self.facts.borrow_mut().distrust(sql);
    }

    /// Forgets what it knows of `sql`.
    pub(crate) fn forget(&self, sql: &str) {
        self.facts.borrow_mut().forget(sql);
    }

    /// Forgets what it knows of `sql` if that was compiled since [`Handle::listen`]: nobody has looked at it.
    pub(crate) fn forget_if_compiled(&self, sql: &str) {
        if self.gatekeeper.heard().compiled {
            self.forget(sql);
        }
    }

    /// Whether `sql` can be compiled and calls nothing that may take long however little it reads.
    pub(crate) fn compiles_cheap(&mut self, sql: &str, options: &Options) -> bool {
        self.listen();
        self.admit(options).is_ok()
            && self.connection.prepare_cached(sql).is_ok()
            && !self.gatekeeper.heard().costly
    }

    /// What is heard of compiling from now on is of the next statement.
    pub(crate) fn listen(&self) {
        self.gatekeeper.heard();
    }

    /// The columns of `statement`, which is the text `sql` as compiled since [`Handle::listen`], or cached.
    pub(crate) fn columns(&self, sql: &Arc<str>, statement: &Statement<'_>) -> Option<Arc<[Column]>> {
        let count = statement.column_count();
        if count == 0 {
            return None;
        }
        let look = || describe_columns(statement).collect();
        Some(self.facts.borrow_mut().columns(sql, self.gatekeeper.heard(), (count, look)))
    }

    /// Works for nobody from now on: its session goes on, and what it holds is no more told from
    /// here.
    pub(crate) fn part_from_session(&mut self) {
        self.attend(&Arc::new(Control::new()), None);
    }

    /// Whether what ran last was stopped because others had waited for it long enough.
    pub(crate) fn out_of_patience(&self) -> bool {
        self.control.stop().is_none() && self.watch.out_of_patience()
    }

    /// What runs from here on can be interrupted, until it commits.
    pub(crate) fn unmask(&self) {
        self.watch.mask(false);
    }

    /// Opens the door to SQL of a client's.
    pub(crate) fn admit(&mut self, options: &Options) -> Result<(), EngineError> {
        let Options { policy, foreign_keys, .. } = *options;
        self.enforce(foreign_keys)?;
        if self.policy != policy {
            let was = std::mem::replace(&mut self.policy, policy);
            // The authorizer lets pass the same under both: what was compiled under one is good for the
            // other.
            if was == SqlPolicy::Guarded || policy == SqlPolicy::Guarded {
                self.connection.flush_prepared_statement_cache();
            }
            self.let_write(policy != SqlPolicy::ReadOnly)?;
        }
        self.gatekeeper.admit(Author::Client(policy));
        Ok(())
    }

    /// Enforces foreign keys, or not, unless the session has begun a transaction or said itself what it wants.
    fn enforce(&mut self, foreign_keys: bool) -> Result<(), EngineError> {
        if self.foreign_keys != foreign_keys && self.is_clean() {
            let set = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, foreign_keys);
            set.map_err(|error| translate(&error))?;
            self.foreign_keys = foreign_keys;
        }
        Ok(())
    }

    /// Opens the door to SQL of a client's who only wants to know what it is, while `ask` asks.
    pub(crate) fn while_asking<T>(&mut self, policy: SqlPolicy, ask: impl FnOnce(&Self) -> T) -> T {
        self.gatekeeper.admit(Author::Asking(policy));
        let told = ask(self);
        self.gatekeeper.admit(Author::Client(self.policy));
        told
    }

    /// Lets nothing be written, whatever asks for it, or lets it again.
    fn let_write(&self, may: bool) -> Result<(), EngineError> {
        let pragma = if may { "PRAGMA query_only=OFF" } else { "PRAGMA query_only=ON" };
        self.housekeep(pragma).map_err(|error| translate(&error))
    }

    /// Runs SQL of our own, which no deadline interrupts.
    pub(crate) fn housekeep(&self, sql: &str) -> rusqlite::Result<()> {
        self.watch.mask(true);
        let result = self.as_house(sql);
        self.watch.mask(false);
        result
    }

    /// Runs SQL of our own for the request at hand, whose deadline interrupts it.
    pub(crate) fn as_house(&self, sql: &str) -> rusqlite::Result<()> {
        self.gatekeeper.admit(Author::House);
        let result = self.connection.execute_batch(sql);
        self.gatekeeper.admit(Author::Client(self.policy));
        result
    }

    /// Whether the connection may touch the pages without holding the turn to write.
    pub(crate) fn may_read_freely(&self) -> bool {
        !self.source.is_exclusive()
    }

    /// Tells what it holds now, and gives the turn to write back when it is of no more use.
    pub(crate) fn settle(&mut self) -> SessionState {
        let autocommit = self.connection.is_autocommit();
        let holds_lock = match self.connection.transaction_state(None::<&str>) {
            Ok(TransactionState::Write) => true,
            _ => self.source.is_exclusive() && !autocommit,
        };
        let state = match (autocommit, self.gatekeeper.touched()) {
            (false, _) => SessionState::Transaction,
            (true, true) => SessionState::Stateful,
            (true, false) => SessionState::Clean,
        };
        self.control.set_state(state);
        if !holds_lock {
            self.turn = None;
        }
        state
    }

    /// Rolls back the transaction, if there is one. Blocks.
    pub(crate) fn roll_back(&self) -> Result<(), EngineError> {
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.housekeep("ROLLBACK").map_err(|error| translate(&error))
    }

    /// Forgets all that belongs to the last borrower. Blocks.
    pub(crate) fn reset(&mut self) -> Result<(), EngineError> {
        self.roll_back()?;
        self.turn = None;
        if self.gatekeeper.touched() {
            // A new connection certainly holds nothing. It is opened before the old one is closed,
            // so that the old one is not the last and need not empty the log.
            let mut fresh = Self::open(&self.source, &self.config, &self.quota)?;
            fresh.attend(&self.control, None);
            *self = fresh;
        }
        self.settle();
        Ok(())
    }

    /// Moves all that was committed into the main file. Blocks.
    pub(crate) fn checkpoint(&self) -> Result<(), EngineError> {
        match self.wal_checkpoint("TRUNCATE") {
            Ok((0, _)) => Ok(()),
            Ok(_) => Err(crate::errors::busy()),
            Err(error) => Err(translate(&error)),
        }
    }

    /// How long the log is, if that can be told.
    pub(crate) fn log(&self) -> Option<LogLength> {
        self.wal_checkpoint("NOOP").ok().map(|(_, log)| log)
    }

    /// Moves into the main file what nobody reads from the log; how far that went, if it can be
    /// told. Blocks.
    pub(crate) fn move_log(&self) -> Option<LogLength> {
        self.wal_checkpoint("PASSIVE").ok().map(|(_, log)| log)
    }

    /// What a pragma of our own tells, which no deadline interrupts.
    pub(crate) fn tell_as_house(&self, pragma: &str) -> rusqlite::Result<u64> {
        self.watch.mask(true);
        self.gatekeeper.admit(Author::House);
        let told = self.connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
        self.gatekeeper.admit(Author::Client(self.policy));
        self.watch.mask(false);
        told.map(i64::unsigned_abs)
    }

    /// Whether there is no room left on its disk.
    pub(crate) fn is_disk_full(&self) -> bool {
        match &self.source {
            Source::Memory { .. } => false,
            Source::File { place, .. } => place.free().is_some_and(is_full_disk),
        }
    }

    fn wal_checkpoint(&self, mode: &str) -> rusqlite::Result<(i64, LogLength)> {
        self.watch.mask(true);
        self.gatekeeper.admit(Author::House);
        let result = self.connection.query_row(&format!("PRAGMA main.wal_checkpoint({mode})"), [], |row| {
            // Where somebody else is at it, it is not told how long the log is.
            let pages = |column| row.get::<_, i64>(column).map(|pages| u32::try_from(pages).unwrap_or(0));
            Ok((row.get(0)?, LogLength { pages: pages(1)?, moved: pages(2)? }))
        });
        self.gatekeeper.admit(Author::Client(self.policy));
        self.watch.mask(false);
        result
    }

    /// Whether it holds nothing of its session's.
    pub(crate) fn is_clean(&self) -> bool {
        self.connection.is_autocommit() && !self.gatekeeper.touched()
    }

    /// Closing it will leave its log, empty.
    pub(crate) fn leave_log(&self) {
        if let Err(error) = self.connection.file_control(None::<&str>, FileControl::PersistWal(&mut 1)) {
            tracing::debug!(%error, "the log cannot be left");
        }
    }

    /// Closes it, telling what goes wrong. Blocks.
    pub(crate) fn close(self) -> Result<(), EngineError> {
        self.connection.close().map_err(|(_, error)| translate(&error))
    }
}

/// Without SQLite's own, which has the path.
impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("state", &self.control.state()).finish_non_exhaustive()
    }
}

impl Source {
    /// The source of the file at `place`, and which file it is.
    pub(crate) fn file(place: Place) -> Result<(Self, Identity), EngineError> {
        let identity = place.identify()?.ok_or(EngineError::NoSuchDatabase)?;
        place.check_case(identity)?;
        if place.path().to_str().is_none() {
            return Err(storage(std::io::Error::from(std::io::ErrorKind::InvalidInput)));
        }
        Ok((Self::File { place, identity, family: None }, identity))
    }
}
