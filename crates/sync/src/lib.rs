//! Concurrency mechanisms that know nothing of databases.
//!
//! | module | answers |
//! | --- | --- |
//! | [`allotment`] | whose is the next of a few things that many share? |
//! | [`limiter`] | how many may do this at once, and who is next? |
//! | [`singleflight`] | is somebody doing this already, and how did it end? |
//! | [`drain`] | may new work begin, and has the old work ended? |
//! | [`setting`] | what is it now? |
//!
//! Everything here is a cheap handle, cloned to share. No lock of ours is held
//! while a waker, a destructor or a caller's closure runs; the one exception is the
//! decision that [`Limiter::adjust`] makes one step with its change.
//!
//! # Checking under loom
//!
//! The limiter and the allotment own their state and are checked by loom. What stands on tokio's
//! primitives is compiled out there:
//!
//! ```sh
//! RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test -p rowhouse-sync --release --lib
//! ```

pub mod allotment;
#[cfg(not(loom))]
pub mod drain;
pub mod limiter;
mod primitives;
pub mod setting;
#[cfg(not(loom))]
pub mod singleflight;

pub use allotment::{
    Allotment, AllotmentStatus, Asked, Granted, Lent, Party, PartyStatus, Tidy, Unit, Waiting,
};
#[cfg(not(loom))]
pub use drain::{Drain, Guard};
pub use limiter::{Acquire, Limiter, LimiterStatus, Permit, Refused, Resized};
pub use setting::{Followed, Setting};
#[cfg(not(loom))]
pub use singleflight::{Flight, Singleflight};
