//! What the listener is made of, and what it is told to do.
use crate::operator::Operator;
use crate::token::Tokens;
use rowhouse_access::Tls;
use rowhouse_gateway::migrate::Fleet;
use rowhouse_gateway::{Backups, Clients, Gateway, Journal, Roster};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::runtime::Handle;

/// What management looks at and changes.
#[derive(Clone, Debug)]
pub struct Context {
    /// The connections of clients, and their limit.
    pub clients: Clients,
    /// The door to databases.
    pub gateway: Gateway,
    /// Runs over all databases: their migrations.
    pub fleet: Fleet,
    /// The backups of the databases, if there is a place for them.
    pub backups: Option<Backups>,
    /// Where what is done is recorded.
    pub journal: Journal,
    /// The API tokens and users that are kept.
    pub roster: Roster,
    /// What only the program knows.
    pub operator: Arc<dyn Operator>,
    /// The runtime that databases are served on: what touches them runs there.
    pub data: Handle,
}

/// How management is served.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where.
    pub listen: Listen,
    /// What `/health` calls the service.
    pub service_name: String,
    /// The names under which it may be called, beside localhost and the address called.
    pub allowed_hosts: Vec<String>,
    /// Who may call it; everybody who reaches it, without.
    pub tokens: Option<Tokens>,
    /// How it is encrypted, if it is.
    pub tls: Option<Tls>,
}

/// Where management listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// On this port of 127.0.0.1 and `[::1]`; 0 means any free one.
    Loopback(u16),
    /// There. Where that is not loopback, tokens and TLS are required.
    At(SocketAddr),
}
