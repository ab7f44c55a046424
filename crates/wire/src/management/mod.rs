//! The messages of the management API: what its requests say and what its replies look like.
//!
//! Server and command line share them. Invariants: the keys of every reply stand in the order of the
//! alphabet; the texts and keys that existing scripts read do not change.
mod access;
mod answer;
mod clients;
mod databases;
mod limit;
mod migrations;
mod operate;
mod organizations;
mod percentage;
mod pools;
mod record;
mod request;

pub use access::{CreateToken, CreateUser, Token, TokenCreated, Tokens, User, Users};
pub use answer::{Done, Failed, Health, Ready, ReadyChecks, Stats, StatsDetail};
pub use clients::{Client, Clients};
pub use databases::{Backup, Confirmation, CreateDatabase, Database, DatabaseDetail, Databases, Limits};
pub use limit::{DecreaseRefused, Decreased, Increased, LimitSet, LimitStatus};
pub use migrations::{MigrationDifference, MigrationFinding, MigrationRun, Migrations, StartMigration};
pub use operate::{Config, ConfigChanged, ConfigEntry, LogLevel};
pub use organizations::{
    ChangeSetting, CreateMember, CreateOrganization, Identities, Identity, Member, Members, Organization,
    OrganizationDetail, Organizations, Setting, Settings, Suspension,
};
pub use percentage::Percentage;
pub use pools::{Pool, Pools, Server};
pub use record::{Audit, AuditEntry, History, LimitChange};
pub use request::{Amount, Malformed, NewLimit};

/// The header by which the command line says that it is the one who asks: `rowhouse-interface: cli`.
pub const INTERFACE_HEADER: &str = "rowhouse-interface";

/// What the command line sends in [`INTERFACE_HEADER`].
pub const INTERFACE_CLI: &str = "cli";

/// The name of the default database in paths and replies. No database can have it.
pub const DEFAULT_DATABASE: &str = "~default";

/// How far the management port lies above the main port, unless another is said.
pub const PORT_OFFSET: u16 = 1000;

/// The greatest limit: what a signed number of 32 bits holds.
pub const MAX_LIMIT: u32 = i32::MAX as u32;

/// How much a limit is changed by when no amount is said.
pub const DEFAULT_AMOUNT: u32 = 100;

/// The `status` of what was done.
pub const SUCCESS: &str = "success";

/// The `status` of what was not.
pub const FAILED: &str = "failed";

#[cfg(test)]
mod tests;
