//! The PostgreSQL engine against a real server, which `cargo xtask test` starts: by the suite every engine
//! passes, and by what only it must hold.
mod isolation;
mod provisioning;
mod recovery;
mod semantics;
mod sessions;
mod support;
mod transport;

rowhouse_engine::conformance!(support::Cluster: essential);
