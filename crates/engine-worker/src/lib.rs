//! L2, databases in processes of their own: an engine that has each database of another engine run by
//! a worker, and the worker.
//!
//! A worker is a process of the same program. It has one database, or makes one copy, and speaks with
//! the server over one socket, which is all the two share: frames of bounded length (`frame`), many
//! channels on one socket, one for each session or call (`channel`). What a worker sends is a
//! stranger's: SQL of a client's, or a file of a client's, may have broken it. So everything is
//! checked when it is read, and whoever breaks the rules is killed.
//!
//! A worker that ends, however it ends, takes with it what its database's clients had asked and
//! nothing else. It never outlives the server: when the socket ends, so does it, at once.
mod channel;
mod codec;
mod connection;
mod copy;
mod database;
mod engine;
mod errors;
mod frame;
mod launch;
mod link;
mod message;
mod news;
mod pace;
mod request;
mod serve;

pub use engine::WorkerEngine;
pub use launch::Launch;
pub use serve::{ServeError, serve};
