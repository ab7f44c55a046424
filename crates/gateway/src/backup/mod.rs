//! Backups: where they lie, how one is made, and when.
//!
//! A backup takes no place among the open databases and holds no lease: the engine copies from a
//! database whether it is open or not. So it evicts nobody, keeps nobody from being evicted, and
//! counts as no use. Only what lives in memory is copied through its tenant, which is configured
//! and never evicted.
mod keeper;
mod schedule;
mod shelf;

pub use keeper::{BackupError, BackupParts, Backups, Plan};
pub use schedule::Schedule;
pub use shelf::{Backup, Shelves};
