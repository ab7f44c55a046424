//! L1, lets connections of SQLite's keep the lock under which they read a write-ahead log, for a moment after
//! they have read.
//!
//! A read in WAL mode takes a shared lock on one of five marks in the `-shm` file and gives it back: two system
//! calls, made under a mutex of the process's for that file. For a short read they are most of what it costs, and
//! two threads that read one database wait for each other there. A connection that has joined a
//! [`Family`] keeps its lock instead: the next read finds it held.
//!
//! Where nothing is in the log, each read also asks for the file's length. While the lock is held that cannot change, so it is
//! asked for once.
//!
//! To SQLite's protocol a kept lock is the lock of a reader that has not ended yet, which every part of it
//! allows for. It takes a read's place only in what it keeps others from:
//!
//! - The connections of the family give up what they keep, and do not use, as soon as one of them asks for such a
//!   mark alone: to write it, to check the log into the database, to begin the log anew.
//! - Everybody else, other processes above all, is kept from these for at most [`WINDOW`]; then all is given
//!   up, and nothing is kept for [`BREATH`].
//!
//! Invariants: whoever reads holds the system's lock, from before the read to after it; a lock is given up
//! before its file is closed; a connection uses or keeps one lock at a time.
//!
//! | file | holds |
//! | --- | --- |
//! | `lock` | the lock of one connection, used, kept or given up |
//! | `family` | the connections to one database |
//! | `keeper` | when all give up what they keep |
//! | `methods` | how SQLite is made to ask here; the only `unsafe` |
mod family;
mod keeper;
mod lock;
mod methods;
#[cfg(test)]
mod tests;

pub use family::Family;
pub use keeper::{BREATH, Keeper, WINDOW};
