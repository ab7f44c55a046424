//! What happens, told once: logs, metrics and audit are readers of one telling.
use crate::clients::ChangeError;
use crate::journal::{Cause, JournalEvent};
use crate::migrate::MigrateError;
use rowhouse_types::{DatabaseName, ErrorCode, Target};
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

/// Something that happened. Past tense, borrowed, cheap.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A database was created.
    DatabaseCreated {
        /// Which.
        database: &'a DatabaseName,
    },
    /// A database was dropped, with all it held.
    DatabaseDropped {
        /// Which.
        database: &'a DatabaseName,
        /// By whom, and why.
        cause: &'a Cause,
    },
    /// A database takes as much as it may, and no more writes. Told once a minute at most of each.
    DatabaseFrozen {
        /// Which.
        database: &'a Target,
        /// The most bytes it may take.
        limit: u64,
    },
    /// A database was opened.
    DatabaseOpened {
        /// Which.
        database: &'a Target,
        /// How long it took, waiting for room included.
        took: Duration,
    },
    /// A database was closed.
    DatabaseClosed {
        /// Which.
        database: &'a Target,
        /// Why.
        reason: CloseReason,
        /// How long closing it took.
        took: Duration,
    },
    /// A database was asked for and not opened, by the engine's fault.
    OpenFailed {
        /// Which.
        database: &'a Target,
        /// Why, as told to the client.
        code: ErrorCode,
        /// Why, with its causes, for operators only.
        error: &'a dyn std::error::Error,
    },
    /// An open database failed to do what it was asked, by the engine's fault.
    DatabaseFailed {
        /// Which.
        database: &'a Target,
        /// Why, as told to the client.
        code: ErrorCode,
        /// Why, for operators only.
        error: &'a dyn std::error::Error,
    },
    /// A database did not close cleanly; what was committed is safe in its log.
    CloseFailed {
        /// Which.
        database: &'a Target,
        /// Why, for operators only.
        error: &'a dyn std::error::Error,
    },
    /// A database was brought to the newest schema.
    Migrated {
        /// Which.
        database: &'a Target,
        /// The version before.
        from: u64,
        /// The version now.
        to: u64,
        /// How long it took.
        took: Duration,
    },
    /// A database could not be brought to the newest schema.
    MigrationFailed {
        /// Which.
        database: &'a Target,
        /// Why, for operators only.
        error: &'a MigrateError,
    },
    /// New databases do not begin with the newest schema; they are brought there when they are made.
    GroundworkFailed {
        /// Why, for operators only.
        error: &'a dyn std::error::Error,
    },
    /// A database was backed up.
    BackedUp {
        /// Which.
        database: &'a Target,
        /// The size of the backup.
        bytes: u64,
        /// How long it took.
        took: Duration,
    },
    /// A database was not backed up; its former backups are as they were.
    BackupFailed {
        /// Which.
        database: &'a Target,
        /// Why, in a word.
        code: ErrorCode,
        /// Why, with its causes, for operators only.
        error: &'a dyn std::error::Error,
    },
    /// What is to be backed up, or what is left of former backups, could not be listed.
    BackupsNotListed {
        /// Why, for operators only.
        error: &'a dyn std::error::Error,
    },
    /// What an engine needs to make databases could not be made ready; it is tried again.
    EngineNotReady {
        /// Which.
        engine: &'static str,
        /// Why, for operators only.
        error: &'a dyn std::error::Error,
        /// When.
        again_in: Duration,
    },
    /// What an engine needs to make databases is ready.
    EngineReady {
        /// Which.
        engine: &'static str,
        /// How long that took, failures included.
        took: Duration,
    },
    /// A request for a database was refused by a rule or a limit.
    Refused {
        /// Which.
        database: &'a Target,
        /// By which.
        reason: Refusal,
        /// As told to the client.
        code: ErrorCode,
    },
    /// A client was refused: as many as the limit are connected.
    ClientRefused {
        /// The limit.
        limit: NonZeroU32,
    },
    /// A client was refused: its key is not among those of authorized clients.
    ClientUnauthorized {
        /// From where it came.
        from: SocketAddr,
        /// Its public key, which it has proved to have.
        key: &'a str,
    },
    /// A client's connection was ended: its key is no longer among those of authorized clients.
    ClientRevoked {
        /// From where it came.
        from: SocketAddr,
    },
    /// Credentials were refused that somebody presented.
    CredentialsRefused {
        /// From where they came.
        from: IpAddr,
        /// The word for why.
        why: &'static str,
    },
    /// A connection came, and another one that had not said who it is was dropped for it.
    HandshakesCrowded {
        /// From where the newcomer came.
        from: SocketAddr,
        /// The limit that was reached: of clients that have not said who they are, or of all clients.
        limit: NonZeroU32,
    },
    /// Clients wait: what else may be open is left to management and databases.
    FilesShort,
    /// A client's connection was closed by an operator.
    ClientEnded {
        /// Its number.
        id: u64,
        /// From where it came.
        from: SocketAddr,
        /// By whom, and why.
        cause: &'a Cause,
    },
    /// The client limit was changed.
    ClientLimitChanged {
        /// The limit before.
        from: NonZeroU32,
        /// The limit now.
        to: NonZeroU32,
        /// Clients connected at that moment.
        active: u32,
        /// By whom, and why.
        cause: &'a Cause,
    },
    /// The client limit was to be changed and was not.
    ClientLimitKept {
        /// Why not; it tells the limit, which stays, what was asked for, and how many were connected.
        error: &'a ChangeError,
        /// By whom, and why.
        cause: &'a Cause,
    },
    /// Something about the journal of administration itself.
    Journal(JournalEvent<'a>),
    /// So many clients are connected that the limit is near. Told once until it is not any longer.
    ClientUsageHigh {
        /// Clients connected.
        active: u32,
        /// The limit.
        limit: NonZeroU32,
    },
    /// The limit of clients is not near any longer.
    ClientUsageNormal {
        /// Clients connected.
        active: u32,
        /// The limit.
        limit: NonZeroU32,
    },
    /// Databases are opened again soon after they were evicted. Told once a minute at most.
    Thrashing {
        /// How many openings were such.
        reopened: u64,
        /// Within which time.
        within: Duration,
        /// The most that may be open.
        limit: NonZeroU32,
        /// The limit with which none of them had been needed.
        would_fit: usize,
    },
}

/// Why a database was closed. Bounded: it is a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Another needed the place.
    Evicted,
    /// What was opened is not what is at its place any more.
    Replaced,
    /// The process that ran it ended by itself.
    ProcessEnded,
    /// It was dropped.
    Dropped,
    /// The server is going down.
    Shutdown,
}

/// What refused a request. Bounded: it is a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such database, or it may not be opened or created.
    Unknown,
    /// Every database that may be open was in use.
    Room,
    /// As many waited for room as may.
    RoomQueue,
    /// The client creates databases faster than it may.
    CreateRate,
    /// The database was asked for more often than it may be.
    Rate,
    /// The database is paused, suspended, quarantined or being dropped.
    Paused,
    /// Every connection to the database was in use.
    Connections,
    /// Every connection that the server of the database can take was in use.
    ServerConnections,
    /// As many waited for a connection as may.
    ConnectionQueue,
    /// The database, or the server, is closing.
    Closing,
}

/// A listener to [`Event`]s. Must not block.
pub trait Observer: Debug + Send + Sync + 'static {
    /// Hears of one event.
    fn observe(&self, event: &Event<'_>);
}

/// An observer that does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

// === impl CloseReason ===

impl CloseReason {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Evicted => "evicted",
            Self::Replaced => "replaced",
            Self::ProcessEnded => "process_ended",
            Self::Dropped => "dropped",
            Self::Shutdown => "shutdown",
        }
    }
}

// === impl Refusal ===

impl Refusal {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Room => "room",
            Self::RoomQueue => "room_queue",
            Self::CreateRate => "create_rate",
            Self::Rate => "rate",
            Self::Paused => "paused",
            Self::Connections => "connections",
            Self::ServerConnections => "server_connections",
            Self::ConnectionQueue => "connection_queue",
            Self::Closing => "closing",
        }
    }
}

// === impl Silent ===

impl Observer for Silent {
    fn observe(&self, _event: &Event<'_>) {}
}
