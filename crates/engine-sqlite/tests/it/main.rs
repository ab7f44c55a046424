//! The SQLite engine, by the suite every engine passes and by what only it must hold.
mod caps;
mod copies;
mod crafted;
mod feed;
mod files;
mod group;
mod lanes;
mod log;
mod memory;
mod semantics;
mod subject;
mod suite;
mod support;
mod surface;
mod threats;
