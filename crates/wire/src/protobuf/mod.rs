//! Protocol Buffers, read field by field where they lie, and the numbers that are written.
//!
//! Fields nobody knows are passed over; groups, which nobody has used for long, are refused. Of a field
//! that is there twice where one is meant, the last counts.
mod field;
mod varint;

pub(crate) use field::{Field, Message};
pub(crate) use varint::{put_varint, varint_len, zigzag};

#[cfg(test)]
mod tests;
