//! The databases opened by name that are open now: at most so many, least recently used out first.
mod failures;
mod lease;
mod open;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use lease::Lease;
pub use open::OpenError;
pub(crate) use open::{Registry, RegistryParts};
pub use table::RegistryStatus;

use crate::tenant::TenantStatus;
use rowhouse_types::DatabaseName;

/// What can be told of the databases opened by name.
#[derive(Clone, Debug)]
pub struct DynamicStatus {
    /// Counts, all of one moment.
    pub counts: RegistryStatus,
    /// The open ones.
    pub open: Vec<TenantStatus>,
    /// Names that could not be opened within the last minute, by the engine's fault, and have not
    /// been since; the latest first, at most 1024.
    pub failing: Vec<DatabaseName>,
}
