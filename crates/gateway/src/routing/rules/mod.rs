//! The ways to read the name of a database off a request, one a file.
pub(super) mod header;
pub(super) mod path;
pub(super) mod subdomain;
