//! L2, SQLite behind the engine port: one file (or one block of memory) per database.
//!
//! SQL is foreign: every connection is hardened before it sees any (`hardening`, `authorizer`).
//! SQLite's work is done by the threads of one [`Executor`], shared by all databases, but for reads that
//! are known to be short (`in_place`); an open database costs no thread, no task and no timer. Backups and restores have one thread of
//! their own, so that none of them takes one from SQL.
//!
//! A session has a connection of SQLite's only while it works, or while the connection holds
//! something of the session's: a transaction, temporary objects. In one database one connection
//! writes at a time; the others wait for their turn without a thread (`turn`), and plain changes
//! that wait together are committed together (`group`).
mod authorizer;
mod backup;
mod bind;
mod claim;
mod closing;
mod config;
mod connection;
mod control;
mod copying;
mod database;
mod directory;
mod engine;
mod errors;
mod executor;
mod facts;
mod feed;
mod files;
mod functions;
#[cfg(fuzzing)]
pub mod fuzzing;
mod glance;
mod group;
mod handle;
mod hardening;
#[cfg(test)]
mod house;
mod in_place;
mod job;
mod kept;
mod log;
mod look;
mod names;
mod occupancy;
mod output;
mod perform;
mod pipe;
mod quota;
mod restore;
mod spent;
mod text;
mod trust;
mod turn;
mod watch;

pub use config::{Access, Config, Limits, Synchronous};
pub use engine::SqliteEngine;
pub use executor::{Executor, ExecutorConfig};
