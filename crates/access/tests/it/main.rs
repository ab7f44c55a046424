//! Who is let in, and what they may do then.
mod corpus;
mod jwt;
mod keys;
mod tokens;
mod users;
