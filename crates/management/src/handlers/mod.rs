//! What is answered, by subject.
#![expect(unused_qualifications, reason = "in what utoipa makes of the paths' descriptions")]

pub(crate) mod access;
pub(crate) mod connections;
pub(crate) mod database_limits;
pub(crate) mod databases;
pub(crate) mod history;
pub(crate) mod limit;
pub(crate) mod members;
pub(crate) mod metrics;
pub(crate) mod migrations;
pub(crate) mod operate;
pub(crate) mod organizations;
pub(crate) mod pools;
pub(crate) mod server;
