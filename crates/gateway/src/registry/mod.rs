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

/// What can be told of the databases opened by name.
#[derive(Clone, Debug)]
pub struct DynamicStatus {
    /// Counts, all of one moment.
    pub counts: RegistryStatus,
    /// The open ones.
    pub open: Vec<TenantStatus>,
}
