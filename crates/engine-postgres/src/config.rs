//! What an operator decides about PostgreSQL databases.
use crate::dsn::Dsn;
use crate::names::NameTemplate;
use crate::provision::{NoSteps, Steps};
use crate::secret::Secret;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

/// The settings of a [`PostgresEngine`](crate::PostgresEngine).
#[derive(Clone, Debug)]
pub struct Config {
    /// The servers; new databases are put on the first, unless somebody says otherwise.
    pub servers: Vec<Server>,
    /// What databases are called.
    pub names: NameTemplate,
    /// What the passwords of tenants' roles are derived from: the same in every process that shares the
    /// servers, and kept.
    pub secret: Secret,
    /// How many administrative connections to one server there may be at once.
    pub administrators: NonZeroU32,
    /// How many databases are kept ready to be taken.
    pub spares: u32,
    /// How many connections a tenant's role may have, over all processes.
    pub role_connections: Option<NonZeroU32>,
    /// Whether `CONNECT` to the databases that every server comes with is taken from everybody.
    pub seclude: bool,
    /// Settings that each session of a tenant's begins with.
    pub settings: Vec<(String, String)>,
    /// Where `pg_dump` and `pg_restore` are; where the system finds them if it is not said.
    pub programs: Option<PathBuf>,
    /// Who is told how provisioning goes on.
    pub steps: Arc<dyn Steps>,
}

/// One server.
#[derive(Clone, Debug)]
pub struct Server {
    /// What it is called in the catalog.
    pub label: String,
    /// How to log in to it to administer databases: as a role that may create databases and roles.
    pub admin: Dsn,
}

// === impl Config ===

impl Config {
    /// One server, with everything else as it is best by default.
    pub fn new(admin: Dsn, names: NameTemplate, secret: Secret) -> Self {
        Self {
            servers: vec![Server { label: "main".to_owned(), admin }],
            names,
            secret,
            administrators: NonZeroU32::new(4).expect("not zero"),
            spares: 0,
            role_connections: None,
            seclude: true,
            settings: Vec::new(),
            programs: None,
            steps: Arc::new(NoSteps),
        }
    }
}
