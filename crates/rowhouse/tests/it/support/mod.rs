//! The one way through which these tests start the binary and speak to it.
mod bounded;
mod client;
mod cluster;
mod home;
mod libsql;
mod node;
mod operator;
mod python;
mod served;
mod server;

pub(crate) use bounded::{PATIENCE, await_line, finish};
pub(crate) use client::Client;
pub(crate) use cluster::{Cluster, Way};
pub(crate) use home::{Home, ended, text};
pub(crate) use libsql::Libsql;
pub(crate) use node::Node;
pub(crate) use operator::{Operator, has, with_ports};
pub(crate) use python::{Python, repository, scripts};
pub(crate) use served::{Served, serve};
pub(crate) use server::{Machine, Server};
