//! What the upper floors' tests share: an engine of no substance that counts, and fails on demand.
mod fake;

pub use fake::{Fake, Tally};
