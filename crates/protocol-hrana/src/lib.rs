//! L4, HTTP and WebSocket: Hrana for every libSQL client, plain SQL over HTTP, and feeds of changes.
//!
//! One task per connection. A request's head says where it goes; who asks is known, and that they may, before
//! anything is opened or a byte of the body is read. What an endpoint answers with is pulled by the
//! connection: nothing is produced for a client that does not read, and nothing goes on for one that left.
//!
//! | file | holds |
//! | --- | --- |
//! | `listener`, `connection`, `requests`, `line` | the socket; one connection, its requests, and what is known of it |
//! | `shared`, `counters` | what all connections are served with, and what was answered |
//! | `plain/`, `prefixed` | plain requests, which are almost all; the rest is another server's |
//! | `dispatch`, `gate`, `endpoint`, `call` | from a request's head to who answers it |
//! | `sent`, `intake`, `body`, `error`, `page` | a request's body; an answer's; what went wrong; what needs no database |
//! | `room`, `aside` | what long requests take together; where they are decoded |
//! | `seldom` | what seldom happens to a connection, apart from what often does |
//! | `stream/` | what a stream of Hrana's does, whatever it is spoken over |
//! | `patient`, `taking`, `compress` | writing to a client that may not read, or take an answer; answers that are compressed |
//! | `hrana/`, `socket/`, `query/`, `live/` | the endpoints |

mod aside;
mod body;
mod call;
mod compress;
mod connection;
mod counters;
mod dispatch;
mod endpoint;
mod error;
mod gate;
mod hrana;
mod intake;
mod line;
mod listener;
mod live;
mod page;
mod patient;
mod plain;
mod prefixed;
mod query;
mod requests;
mod room;
mod seldom;
mod sent;
mod shared;
mod socket;
mod stream;
mod taking;

/// What is spoken within TLS, the preferred first.
pub const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

pub use counters::Counters;
pub use gate::Origins;
pub use listener::{BindError, Listener};
pub use shared::{Context, Patience, Settings, Timeouts};
