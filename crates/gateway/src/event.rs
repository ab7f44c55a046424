//! What happens, told once: logs, metrics and audit are readers of one telling.
use rowhouse_types::{DatabaseName, ErrorCode, Target};
use std::fmt::Debug;
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
    },
    /// A database was asked for and not opened.
    OpenFailed {
        /// Which.
        database: &'a Target,
        /// Why, as told to the client.
        code: ErrorCode,
        /// Why, with its causes, for operators only.
        error: &'a dyn std::error::Error,
    },
    /// A database did not close cleanly; what was committed is safe in its log.
    CloseFailed {
        /// Which.
        database: &'a Target,
        /// Why, for operators only.
        error: &'a dyn std::error::Error,
    },
    /// Every open database was in use when another was asked for.
    RoomExhausted {
        /// The one asked for.
        database: &'a DatabaseName,
        /// The most that may be open.
        limit: NonZeroU32,
    },
}

/// Why a database was closed. Bounded: it is a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Another needed the place.
    Evicted,
    /// The process is going down.
    Shutdown,
}

/// A listener to [`Event`]s. Must not block.
pub trait Observer: Debug + Send + Sync + 'static {
    /// Hears of one event.
    fn observe(&self, event: &Event<'_>);
}

/// An observer that does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn observe(&self, _event: &Event<'_>) {}
}
