//! L0, the vocabulary: values every floor speaks. No I/O, no async, no clock.
mod error;
mod name;
mod statement;
mod value;

pub use error::{ErrorCode, ErrorKind, Reportable};
pub use name::{DatabaseName, InvalidName, Target};
pub use statement::{Arguments, Request};
pub use value::{Value, ValueRef};
