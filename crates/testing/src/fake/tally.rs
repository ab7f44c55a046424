//! What has happened at a fake engine.

/// What has happened at a fake engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Databases created.
    pub created: u64,
    /// Databases opened.
    pub opened: u64,
    /// Databases open now.
    pub open: u64,
    /// The most that were open at once.
    pub most_open: u64,
    /// Connections opened.
    pub connected: u64,
    /// Connections reset.
    pub reset: u64,
    /// Checkpoints made.
    pub checkpoints: u64,
    /// How often it was looked whether others have written.
    pub looked: u64,
    /// Backups finished.
    pub backed_up: u64,
    /// The most backups that were under way at once.
    pub most_copying: u64,
    pub(super) copying: u64,
}
