//! One server, and where a database is on it.
use crate::admin::Admins;
use crate::config::{Config, Server as Settings};
use crate::dsn::Dsn;
use crate::wire::{Login, Tls, TlsError};
use futures::future::BoxFuture;
use rowhouse_engine::{Capacity, EngineError, Location, Server as Port};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, OnceCell};

/// A server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) label: String,
    pub(crate) admins: Admins,
    /// How tenants log in, but for who they are.
    tenants: Login,
    /// Whether everything that databases are made from is there.
    pub(crate) is_ready: OnceCell<()>,
    /// Held by who makes spares.
    pub(crate) spares: Mutex<()>,
    pub(crate) chores: Chores,
}

/// When what killed processes may have left was looked for last.
#[derive(Debug, Default)]
pub(crate) struct Chores(std::sync::Mutex<Option<Instant>>);

/// How often that is done at most.
const CHORES_EVERY: Duration = Duration::from_secs(60);

/// Where a database is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) server: Arc<Server>,
    /// The name of the database, and of the role that it belongs to.
    pub(crate) name: String,
    /// Whether it is one of ours, and no tenant's: who administers the server is who is connected to it.
    pub(crate) is_own: bool,
}

/// What the location of a database of ours begins with. No label has a colon.
const OWN: &str = "own:";

/// A server, as the port has it.
#[derive(Debug)]
pub(crate) struct Host(Arc<Server>);

/// What is left on a server for backups and for a person who has a look, beside what administers it.
const GUESTS: u32 = 2;

/// How one logs in by a DSN.
pub(crate) fn login(dsn: &Dsn) -> Result<Login, TlsError> {
    Ok(Login {
        hosts: dsn.hosts.clone().into(),
        tls: Tls::of(dsn)?,
        user: dsn.user.clone(),
        password: dsn.password.clone(),
        database: dsn.database.clone(),
        application_name: dsn.application_name.clone(),
        timeout: dsn.connect_timeout,
        target: dsn.target,
        settings: Vec::new(),
    })
}

// === impl Server ===

impl Server {
    pub(crate) fn new(settings: &Settings, config: &Config) -> Result<Self, TlsError> {
        // Of the locks that whoever works at a name waits for.
        let patience = vec![("lock_timeout".to_owned(), "60s".to_owned())];
        let login = Login { settings: patience, ..login(&settings.admin)? };
        let tenants = Login { password: None, settings: config.settings.clone(), ..login.clone() };
        let admins = Admins::new(login, config.administrators.get());
        let label = settings.label.clone();
        let (is_ready, spares, chores) = (OnceCell::new(), Mutex::new(()), Chores::default());
        Ok(Self { label, admins, tenants, is_ready, spares, chores })
    }

    /// How the role of this database logs in to it.
    pub(crate) fn tenant(&self, name: &str, password: crate::Secret) -> Login {
        Login {
            user: name.to_owned(),
            database: name.to_owned(),
            password: Some(password),
            ..self.tenants.clone()
        }
    }
}

// === impl Chores ===

impl Chores {
    /// Whether it is time for them; who is told so does them.
    pub(crate) fn is_due(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| CHORES_EVERY <= last.elapsed());
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }
}

// === impl Place ===

impl Place {
    /// Where a tenant's database is.
    pub(crate) fn tenant(server: Arc<Server>, name: String) -> Self {
        Self { server, name, is_own: false }
    }

    pub(crate) fn location(&self) -> String {
        let own = if self.is_own { OWN } else { "" };
        format!("{own}{}/{}", self.server.label, self.name)
    }

    /// The place that a location says, if it is one of these servers'.
    pub(crate) fn find(servers: &[Arc<Server>], at: &Location) -> Option<Self> {
        let tenants = at.0.strip_prefix(OWN);
        let (is_own, at) = (tenants.is_some(), tenants.unwrap_or(&at.0));
        let (label, name) = at.split_once('/')?;
        let server = servers.iter().find(|server| server.label == label)?.clone();
        Some(Self { server, name: name.to_owned(), is_own })
    }
}

// === impl Host ===

impl Host {
    pub(crate) fn new(server: &Arc<Server>) -> Self {
        Self(server.clone())
    }
}

impl Port for Host {
    fn label(&self) -> &str {
        &self.0.label
    }

    fn capacity(&self) -> BoxFuture<'_, Result<Capacity, EngineError>> {
        let sql = "SELECT pg_catalog.current_setting('max_connections')::int \
                   - pg_catalog.current_setting('superuser_reserved_connections')::int \
                   - coalesce(pg_catalog.current_setting('reserved_connections', true), '0')::int";
        Box::pin(async move {
            let mut admin = self.0.admins.connect().await?;
            let connections = admin.value(sql, &[]).await?;
            admin.end().await;
            let connections = connections.and_then(|value| value.parse().ok()).ok_or(EngineError::Lost)?;
            // An errand may have one connection beside its own.
            let reserved = self.0.admins.most().saturating_mul(2).saturating_add(GUESTS);
            Ok(Capacity { connections, reserved })
        })
    }
}
