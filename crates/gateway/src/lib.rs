//! L3, the gateway: the one door through which protocols and management reach databases.
//!
//! It knows no protocol, no HTTP status and no SQLSTATE, and no engine by name.
mod backup;
mod catalog;
mod client;
mod clients;
mod configured;
mod event;
mod gateway;
mod journal;
mod limits;
mod pace;
mod pool;
mod registry;
mod tenant;

pub use backup::{Backup, BackupError, BackupParts, Backups, Plan, Schedule, Shelves};
pub use catalog::{Catalog, CatalogError, Dynamic, InvalidCatalog, Resolution, Spec};
pub use client::Client;
pub use clients::{
    Change, ChangeError, Changed, ClientInfo, Clients, ClientsFull, ClientsParts, ClientsStatus, Doing,
    Guest, Place, Word,
};
pub use event::{CloseReason, Event, Observer, Refusal, Silent};
pub use gateway::{ConnectError, Failing, Gateway, Parts, StartError, Status};
pub use journal::{
    Action, Break, Cause, Entry, Hash, Interface, Journal, JournalCounts, JournalError, JournalEvent,
    JournalParts, JournalReader, NoHash, Query, Recorded, Recording, Verdict, Verified,
};
pub use limits::{Limits, PoolLimits};
pub use pool::{AcquireError, Session};
pub use registry::{DynamicStatus, OpenError, RegistryStatus};
pub use tenant::{TenantKind, TenantStatus};
