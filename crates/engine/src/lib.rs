//! L1, the port to databases: an [`Engine`] opens a [`Database`], a [`Database`] opens [`Connection`]s.
//!
//! The port names no engine's types. What every engine must do is written as tests in
//! `conformance` (a feature); an engine's own test suite calls `conformance!`.
mod batch;
mod change;
#[cfg(feature = "conformance")]
pub mod conformance;
mod copy;
mod error;
mod port;
mod server;

pub use batch::{Batch, Row};
pub use change::{Change, ChangeKind, Listener, Listening, News, Untold};
pub use copy::{Course, Over, Pace, Progress, Restoration, Stage, Stamp};
pub use error::{Condition, EngineError, Misuse, native};
pub use port::{
    Chunk, Chunks, Claim, Claimant, Column, Connection, Database, Description, Dialect, Engine, Groundwork,
    Location, Options, Outcome, Presence, Process, Processes, Script, SessionState, SqlPolicy, THAW,
    Whereabouts,
};
pub use server::{Capacity, Server};
