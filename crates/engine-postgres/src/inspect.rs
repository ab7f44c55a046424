//! What an operator wants to know of a server before it is used.
use crate::dsn::Dsn;
use crate::names::NameTemplate;
use crate::server::login;
use crate::session::{Clock, Session};
use crate::wire::{LoginError, TlsError, connect};
use rowhouse_engine::EngineError;
use std::io;
use std::time::{Duration, Instant};

/// How long the server may take to answer, once it is logged in to.
const PATIENCE: Duration = Duration::from_secs(10);

/// What there is to know of a server, as the role that asks sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspection {
    /// Its version, such as 17.2.
    pub version: String,
    /// Its version as a number, such as 170002.
    pub version_number: u32,
    /// Who has asked.
    pub role: String,
    /// Whether that role may make databases.
    pub may_create_databases: bool,
    /// Whether that role may make roles.
    pub may_create_roles: bool,
    /// The most connections there may be.
    pub max_connections: u32,
    /// Those of them that are kept for superusers and the like.
    pub reserved_connections: u32,
    /// Connections of clients there are now.
    pub connections: u32,
    /// Whether it is a standby.
    pub is_standby: bool,
    /// Whether what is said is encrypted.
    pub is_encrypted: bool,
    /// What its clock says, in seconds since 1970.
    pub clock: f64,
    /// Whether the template of this name is there.
    pub has_template: bool,
    /// Databases that are kept ready.
    pub spares: u32,
}

/// Why a server cannot be looked at. For operators only.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// TLS cannot be spoken.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It lets nobody in, and says why.
    #[error("it refuses the login ({sqlstate}): {message}")]
    Refused {
        /// The code.
        sqlstate: String,
        /// Its own words.
        message: String,
    },
    /// It does not answer.
    #[error("it cannot be reached")]
    Unreachable(#[source] io::Error),
    /// It does not answer what it is asked.
    #[error("it does not answer")]
    Silent(#[source] EngineError),
}

const SQL: &str = "SELECT current_setting('server_version'), current_setting('server_version_num'), r.rolname, \
    r.rolsuper OR r.rolcreatedb, r.rolsuper OR r.rolcreaterole, current_setting('max_connections'), \
    current_setting('superuser_reserved_connections')::int + coalesce(current_setting('reserved_connections', true), '0')::int, \
    (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend'), \
    pg_catalog.pg_is_in_recovery(), \
    coalesce((SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()), false), \
    extract(epoch FROM pg_catalog.clock_timestamp()), \
    EXISTS (SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1), \
    (SELECT count(*) FROM pg_catalog.pg_database WHERE pg_catalog.starts_with(datname, $2)) \
    FROM pg_catalog.pg_roles r WHERE r.rolname = CURRENT_USER";

/// Looks at the server of a DSN, where databases are called so.
///
/// # Errors
///
/// When it cannot be logged in to, or does not answer.
pub async fn inspect(dsn: &Dsn, names: Option<&NameTemplate>) -> Result<Inspection, InspectError> {
    let welcome = connect(&login(dsn)?).await.map_err(|error| match error {
        LoginError::Refused { sqlstate, message } => InspectError::Refused { sqlstate, message },
        LoginError::Unreachable(error) => InspectError::Unreachable(error),
    })?;
    let mut session = Session::new(welcome);
    let own = |what: &str| names.map_or_else(String::new, |names| names.own(what));
    let (template, spare) = (own("template"), own("spare~"));
    let mut clock = Clock::new(Some(Instant::now() + PATIENCE));
    let rows = session.fetch((SQL, &[&template, &spare]), &mut clock).await.map_err(InspectError::Silent)?;
    // The end of the socket says the same.
    let _unheard = tokio::time::timeout(Duration::from_secs(1), session.link.terminate()).await;
    let mut inspection = rows
        .into_iter()
        .next()
        .and_then(|row| read(&row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>()))
        .ok_or(InspectError::Silent(EngineError::Lost))?;
    if names.is_none() {
        (inspection.has_template, inspection.spares) = (false, 0);
    }
    Ok(inspection)
}

fn read(row: &[String]) -> Option<Inspection> {
    let number = |index: usize| row.get(index)?.parse().ok();
    let truth = |index: usize| Some(row.get(index)? == "t");
    Some(Inspection {
        version: row.first()?.split(' ').next()?.to_owned(),
        version_number: number(1)?,
        role: row.get(2)?.clone(),
        may_create_databases: truth(3)?,
        may_create_roles: truth(4)?,
        max_connections: number(5)?,
        reserved_connections: number(6)?,
        connections: number(7)?,
        is_standby: truth(8)?,
        is_encrypted: truth(9)?,
        clock: row.get(10)?.parse().ok()?,
        has_template: truth(11)?,
        spares: number(12)?,
    })
}
