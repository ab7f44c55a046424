//! Which database a request is for, told by what the request says of itself.
//!
//! Pure: no I/O, no clock, no state. Several parts of a request may name a database: its path, the host it is
//! sent to, headers, the token. Which of them are read is configuration; of those, all that speak must agree,
//! so nothing can be checked for one database and done to another.
mod domain;
mod error;
mod facts;
mod hosts;
mod router;
mod rules;

pub use domain::{Domain, InvalidDomain};
pub use error::RouteError;
pub use facts::{Facts, Said};
pub use hosts::Hosts;
pub use router::{InvalidRules, Route, Router, Rule, Source};

#[cfg(test)]
mod tests;
