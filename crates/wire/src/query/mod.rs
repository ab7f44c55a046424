//! Plain SQL over HTTP: one statement in, its result out as JSON, as lines of JSON, or as CSV.
//!
//! Values are JSON's own. What they cannot carry has a form of its own, the same in both directions:
//! a number that a double cannot hold exactly, or that is not finite, is a string; bytes are
//! `{"base64": "..."}`. Results are written row by row; whoever writes may send what there is at any time.
mod csv;
#[cfg(feature = "openapi")]
mod description;
mod format;
mod request;
mod status;
mod value;
mod writer;

pub use crate::malformed::Malformed;
#[cfg(feature = "openapi")]
pub use description::description;
pub use format::Format;
pub use request::QueryRequest;
pub use status::status;
pub use value::put_value;
pub use writer::{QueryError, ResultWriter, failure};

#[cfg(test)]
mod tests;
