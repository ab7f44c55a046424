//! What the SQLite engine's own tests ask of it, asked of it in worker processes: the same files, with
//! another engine behind them. Not `log.rs`: its tests hold a thread of the engine by the waker that it
//! wakes, which is another process's here.
mod subject;

#[path = "../../../engine-sqlite/tests/it/caps.rs"]
mod caps;
#[path = "../../../engine-sqlite/tests/it/copies.rs"]
mod copies;
#[path = "../../../engine-sqlite/tests/it/crafted.rs"]
mod crafted;
#[path = "../../../engine-sqlite/tests/it/files.rs"]
mod files;
#[path = "../../../engine-sqlite/tests/it/group.rs"]
mod group;
#[path = "../../../engine-sqlite/tests/it/lanes.rs"]
mod lanes;
mod lives;
#[path = "../../../engine-sqlite/tests/it/memory.rs"]
mod memory;
#[path = "../../../engine-sqlite/tests/it/semantics.rs"]
mod semantics;
#[path = "../../../engine-sqlite/tests/it/suite.rs"]
mod suite;
#[path = "../../../engine-sqlite/tests/it/support.rs"]
mod support;
#[path = "../../../engine-sqlite/tests/it/surface.rs"]
mod surface;
#[path = "../../../engine-sqlite/tests/it/threats.rs"]
mod threats;
