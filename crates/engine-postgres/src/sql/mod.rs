//! What is read of SQL here: where statements end, where arguments go, and what kind of statement it is.
//!
//! Nothing that protects anybody rests on it alone: one request is one statement because the server takes
//! no more, and who may only read is kept to it by the server.
mod lexer;
mod nature;
mod places;
mod script;

pub(crate) use nature::{Calls, Nature};
pub(crate) use places::Placed;
pub(crate) use script::statements;
