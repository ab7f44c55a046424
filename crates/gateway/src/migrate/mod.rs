//! Migrations: a directory of numbered steps, and databases that are brought through them.
//!
//! Each database has its own ledger of what it has had (`runner`: one step, one transaction, one row). Databases
//! are migrated when they are made or opened ([`Migrator`]) and all together ([`Fleet`]).
//!
//! Migrations run as the tenant does, under its rights: what lies in a tenant's database (a trigger, a function) may
//! run along with them, and must not come by more.
mod ask;
mod directory;
mod error;
mod fingerprint;
mod fleet;
mod ledger;
mod migrator;
mod plan;
mod reference;
mod report;
mod runner;
mod statements;

pub use directory::DirectoryError;
pub use error::MigrateError;
pub use fingerprint::{Difference, Schema};
pub use fleet::{Fleet, Order, OrderError, Subject};
pub(crate) use migrator::Opened;
pub use migrator::{Migrator, OnOpen};
pub use plan::{Plan, Plans, Step};
pub use report::{End, Errand, Finding, MAX_FINDINGS, Report, Tally, What};
pub use runner::Brought;
