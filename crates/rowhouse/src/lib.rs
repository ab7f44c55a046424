//! L5, rowhouse as a program and as a library: one endpoint for very many databases.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let server = rowhouse::Server::builder()
//!     .bind_address("tcp://127.0.0.1:0")
//!     .default_database("system.db")
//!     .database_map([("users", ":memory:")])
//!     .data_directory(directory.path())
//!     .auto_connect(true)
//!     .auto_create(true)
//!     .max_connections(50)
//!     .build()?
//!     .start()
//!     .await?;
//! println!("sqlite_rx clients are served on {}", server.listeners()[0]);
//! server.shut_down().await?;
//! # Ok(())
//! # }
//! ```
#[cfg(windows)]
compile_error!("rowhouse runs on Linux and macOS; on Windows, run it inside WSL 2 or a container");

mod banner;
mod builder;
mod client_limit;
mod compose;
pub mod config;
mod connections;
mod directory;
pub mod doctor;
mod http;
pub mod life;
mod listening;
mod maintenance;
mod manage;
mod observe;
mod open_files;
mod postgres;
mod server;
mod sockets;
mod state;
mod worker;

pub use banner::Banner;
pub use builder::ServerBuilder;
pub use client_limit::ClientLimit;
pub use compose::{ComposeError, SecurityError};
pub use connections::{ConnectionManager, ConnectionManagerBuilder, NotConnected, SharedManager};
pub use directory::{Directory, DirectoryError};
pub use http::Exposed;
pub use listening::Listening;
pub use maintenance::{Maintenance, MaintenanceError};
pub use manage::ManagementError;
pub use observe::{Log, Metrics};
pub use open_files::{OpenFilesError, raise as raise_open_files};
pub use postgres::PostgresError;
pub use rowhouse_engine_worker::ServeError as WorkerError;
pub use rowhouse_protocol_sqlite_rx::curve;
pub use server::{Running, Server, StartError, StopError};
pub use state::{Audit, JournalStartError, MetadataStartError, StateError};
pub use worker::{WorkerTerms, own_program, serve_as_worker};
