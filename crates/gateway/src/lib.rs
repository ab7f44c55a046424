//! L3, the gateway: the one door through which protocols and management reach databases.
//!
//! It knows no protocol, no HTTP status and no SQLSTATE, and no engine by name.
mod admin;
mod backup;
mod book;
mod budget;
mod catalog;
mod client;
mod clients;
mod configured;
mod connect;
mod engines;
mod event;
mod gateway;
mod health;
mod hold;
mod journal;
mod limits;
mod live;
mod manager;
pub mod metadata;
pub mod migrate;
mod pace;
mod pinned;
mod places;
mod pool;
mod registry;
mod roster;
pub mod routing;
mod sql;
mod tenant;
mod uses;

pub use admin::{AdminError, DatabaseReport, LimitsChanged, OpenReport, Removal};
pub use backup::{Backup, BackupError, BackupParts, Backups, Plan, Schedule, Shelves};
pub use budget::{Backends, BudgetStatus};
pub use catalog::{Catalog, CatalogError, Dynamic, InvalidCatalog, Resolution, Spec};
pub use client::{Client, Principal, Rights};
pub use clients::{
    Change, ChangeError, Changed, ClientInfo, Clients, ClientsFull, ClientsParts, ClientsStatus, Doing,
    Guest, Place, Room, Socket, Word,
};
pub use connect::ConnectError;
pub use engines::Engines;
pub use event::{CloseReason, Event, Observer, Refusal, Silent};
pub use gateway::{Failing, Gateway, Parts, StartError, Status};
pub use health::Health;
pub use hold::Hold;
pub use journal::{
    Action, Break, Cause, Entry, Hash, Interface, Journal, JournalCounts, JournalError, JournalEvent,
    JournalParts, JournalReader, NoHash, Query, Recorded, Recording, Verdict, Verified,
};
pub use limits::{DatabaseLimits, InvalidLimit, Limits, LimitsPatch, OwnLimits, Patch, PoolSize, Takes};
pub use live::{
    Ended, InvalidPosition, LiveLimits, LiveStatus, Position, Subscribe, SubscribeError, Subscription, Told,
};
pub use manager::{
    Behalf, ConnectionManager, DatabaseConnectionError, DatabaseError, DatabaseProvisioningError,
    DatabaseSession, OrgEngine, OrganizationNotFoundError, Rows, StatementError, Unreachable,
};
pub use migrate::{MigrateError, Migrator};
pub use pinned::{Due, Expired, Pinned};
pub use places::PlaceError;
pub use pool::{AcquireError, Session};
pub use registry::{DynamicStatus, OpenError, RegistryStatus};
pub use roster::{Issued, NewToken, NewUser, Roster, RosterError};
pub use tenant::{Counts, TenantKind, TenantStatus};
