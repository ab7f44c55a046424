//! What one message may hold, however long it may be.

/// The most requests in one pipeline.
pub const MAX_REQUESTS: usize = 65_536;

/// The most steps in one batch.
pub const MAX_STEPS: usize = 65_536;

/// The most arguments of one statement, by position and by name: what SQLite takes.
pub const MAX_ARGUMENTS: usize = 32_766;

/// How deep conditions of a batch may be nested.
pub const MAX_CONDITION_DEPTH: usize = 32;

/// The most conditions in one `and` or `or`.
pub(super) const MAX_CONDITIONS: usize = 65_536;
