//! An application with a database per organization.
//!
//! Organizations and their users are in the metadata database. What an organization works on is in a database of
//! its own: jobs, their results and artifacts, and which job had an input before. That database is made when it is
//! first used, by somebody who may.
//!
//! | file | holds |
//! | --- | --- |
//! | `app` | the routes |
//! | `organizations` | organizations and users, in the metadata database |
//! | `jobs` | jobs, in the database of their organization: over HTTP |
//! | `repository` | jobs, in the database of their organization: as rows |
//! | `schema` | the tables of an organization's database |
//! | `ready` | whether the databases answer |
mod app;
mod jobs;
mod organizations;
mod ready;
mod repository;
mod schema;

pub use app::app;

/// The examples of the page about programs compile.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/library.md")]
struct Page;
