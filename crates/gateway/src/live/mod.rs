//! Feeds of changes: who subscribes to a database is told what is committed to it.
//!
//! Each open database has one window: the changes told last, numbered. A subscriber is a place in
//! it and has no buffer of its own, so who reads slowly holds up neither writers nor others: what it
//! has missed is a gap, which it is told. The engine is listened to while there are subscribers and a
//! little longer, so that who comes again soon goes on where it was.
//!
//! | file | holds |
//! | --- | --- |
//! | `window` | the changes told last, and their numbers |
//! | `position` | where somebody is, in a word to come again with |
//! | `feed` | the window of an open database, and who subscribes to it |
//! | `subscription` | one subscriber |
mod feed;
mod limits;
mod position;
mod subscription;
#[cfg(test)]
mod tests;
mod window;

pub(crate) use feed::{Counts, Live};
pub use limits::LiveLimits;
pub use position::{InvalidPosition, Position};
pub use subscription::{Ended, Subscribe, SubscribeError, Subscription};
pub use window::Told;

/// What can be told of all feeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveStatus {
    /// Subscribers there are.
    pub subscribers: u64,
    /// Changes that were told, to one subscriber or to many.
    pub changes: u64,
    /// Gaps: times when something was not told that was committed.
    pub gaps: u64,
}
