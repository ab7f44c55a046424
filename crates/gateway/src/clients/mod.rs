//! The client connections of every listener: who is connected, and how many may be.
//!
//! A connection holds one permit from accept to close, whatever ends it. [`Clients::admit`] gives a
//! [`Guest`], who has not said who he is; a protocol that has learnt it makes him a [`Place`]. Both
//! give back by `Drop`.
//!
//! # Invariants
//!
//! There is one ledger (`ledger.rs`), under one lock, which asserts at each step:
//!
//! 1. **Every permit is somebody's:** as many permits are out as clients are listed.
//! 2. **None above the limit:** a step that lets somebody in leaves no more in than the limit.
//!    Only a change that drains leaves more, and nobody is let in until they have gone.
//! 3. **Strangers are few:** a step that lets in somebody who has not said who he is leaves no more of
//!    them than a quarter of the limit, and than `handshake_limit`; one may always be.
//! 4. **A newcomer cuts one at most:** the stranger that has been there for longest, of the address with
//!    the most of them, so that a crowd costs itself and not others. With IPv6, an address is its
//!    network (/64): who has one has all of it. Nobody is cut within the moment that shaking hands takes.
//! 5. **What is told is enforced:** a change is checked, applied and given to the journal in one step,
//!    so that the journal's order is the order of the changes.
mod change;
mod guest;
mod handle;
mod host;
mod ledger;
mod room;
mod seat;
mod socket;
mod strangers;
#[cfg(test)]
mod tests;

pub use change::{Change, ChangeError, Changed};
pub use guest::{Guest, Place};
pub use handle::{Clients, ClientsFull, ClientsParts, ClientsStatus, Word};
pub(crate) use host::Host;
pub use room::Room;
pub use seat::{ClientInfo, Doing};
pub use socket::Socket;
