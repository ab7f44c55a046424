//! The connection to a server: sockets, TLS, login, messages, and what cancels a statement.
mod cancel;
mod link;
mod login;
mod stream;
mod tls;

pub(crate) use cancel::Canceller;
pub(crate) use link::{Incoming, Link, MAX_MESSAGE};
pub(crate) use login::{Login, LoginError, Welcome, connect};
pub(crate) use stream::Waiting;
pub(crate) use tls::Tls;
pub use tls::TlsError;
