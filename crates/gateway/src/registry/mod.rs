//! The databases opened by name that are open now: at most so many, least recently used out first.
mod bring;
mod error;
mod failures;
mod ghosts;
mod lease;
mod open;
mod shares;
mod table;
#[cfg(test)]
mod tests;
mod thrash;

pub(crate) use bring::open_or_create;
pub use error::OpenError;
pub(crate) use failures::Failures;
pub(crate) use lease::Lease;
pub(crate) use open::{Asker, Registry, RegistryParts};
pub(crate) use shares::Owner;
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
