//! JSON, read from front to back without a tree, and written value by value.
//!
//! Numbers are read exactly, places of errors are told, and depth has a bound. What a general reader
//! accepts (RFC 8259) is accepted, but for numbers and texts that Rust's types cannot hold; of a key
//! that is there twice, the last counts.
mod reader;
mod string;
mod write;

pub(crate) use reader::{Kind, Number, Reader};
pub(crate) use write::{put_float, put_integer, put_str, put_unsigned};

#[cfg(test)]
mod tests;
