//! L4, management: limits, databases and the server itself, seen and changed over HTTP while it runs.
//!
//! Runs on a thread and a runtime of its own, so that it answers while databases are busy; its own
//! connections are bounded, and outside of the limit of clients. It reaches databases only through the
//! gateway. The shapes of what is asked and answered are `rowhouse_wire::management`.
//!
//! | file | holds |
//! | --- | --- |
//! | `context`, `operator` | what it is made of, and what it asks of the program it is part of |
//! | `listener`, `server`, `crowd`, `serve` | sockets, thread, who is connected, one connection |
//! | `door`, `gate`, `token` | one request: who may ask at all |
//! | `routes`, `request`, `reply`, `handlers/` | what is asked, and what is answered |
mod context;
mod crowd;
mod door;
mod exposition;
mod gate;
mod handlers;
mod limits;
mod listener;
mod names;
mod operator;
mod page;
mod readiness;
mod reply;
mod request;
mod routes;
mod serve;
mod server;
mod shared;
mod token;

pub use context::{Context, Listen, Settings};

/// The most connections to management at once; each has one open file.
pub const CONNECTIONS_MAX: usize = crowd::Crowd::MOST;

/// What is spoken within TLS.
pub const PROTOCOLS: &[&[u8]] = &[b"http/1.1"];

pub use handlers::access::{told_token, told_user};
pub use handlers::migrations::{DEFAULT_JOBS, MAX_JOBS, migration_run};
pub use listener::BindError;
pub use operator::{ConfigChange, Operator, OperatorError, Readiness};
pub use server::{Management, Running};
pub use token::{TokenError, Tokens};
