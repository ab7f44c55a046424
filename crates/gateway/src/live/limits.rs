//! What feeds of changes may take.
use std::num::NonZeroU32;

/// What the feed of each database may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveLimits {
    /// The changes that are kept for who falls behind, or comes again.
    pub window: NonZeroU32,
    /// The bytes they may take, about; one change is kept however large it is.
    pub window_bytes: u64,
    /// Those who may subscribe at once.
    pub subscribers: u32,
}

impl Default for LiveLimits {
    fn default() -> Self {
        Self { window: NonZeroU32::new(10_000).expect("not zero"), window_bytes: 8 << 20, subscribers: 1_000 }
    }
}
