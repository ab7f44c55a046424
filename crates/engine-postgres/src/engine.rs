//! The engine: finds, makes, opens and destroys databases.
use crate::admin::Admin;
use crate::config::Config;
use crate::copies;
use crate::database::PostgresDatabase;
use crate::dsn::Dsn;
use crate::errors::unreachable;
use crate::names::{MAX_NAME, NameTemplate};
use crate::occupancy::Occupancy;
use crate::password::password;
use crate::provision;
use crate::secret::Secret;
use crate::server::{Place, Server};
use crate::wire::{Login, LoginError, TlsError, Welcome, connect};
use futures::future::BoxFuture;
use rowhouse_engine::{
    Claim, Claimant, Course, Database, Dialect, Engine, EngineError, Groundwork, Location, Presence,
    Restoration, Script, Stamp, Whereabouts,
};
use rowhouse_types::DatabaseName;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// What a comment on a database begins with that holds the name it was made for.
pub(crate) const COMMENT: &str = "rowhouse: ";

/// PostgreSQL databases: one per tenant, on one or several servers, each with a role of its own.
#[derive(Debug)]
pub struct PostgresEngine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) servers: Vec<Arc<Server>>,
    pub(crate) occupancy: Occupancy,
    pub(crate) tracker: TaskTracker,
}

/// A server cannot be spoken with.
#[derive(Debug, thiserror::Error)]
pub enum EngineConfigError {
    /// There is none.
    #[error("there is no PostgreSQL server in the configuration")]
    NoServer,
    /// Two have one label, or one has none that can be part of a location.
    #[error("each PostgreSQL server needs a label of its own, without a slash")]
    Label,
    /// TLS cannot be spoken with it.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A database that is open in another process of ours: nothing is to be kept from anybody.
#[derive(Debug)]
struct Claimed(Arc<Inner>, Place);

// === impl PostgresEngine ===

impl PostgresEngine {
    /// An engine for these servers. Nothing is connected to yet.
    ///
    /// # Errors
    ///
    /// When there is no server, or TLS cannot be spoken.
    pub fn new(config: Config) -> Result<Self, EngineConfigError> {
        if config.servers.is_empty() {
            return Err(EngineConfigError::NoServer);
        }
        let mut labels = HashSet::new();
        let is_label = |label: &str| !label.is_empty() && !label.contains(['/', ':']);
        if !config.servers.iter().all(|server| is_label(&server.label) && labels.insert(&server.label)) {
            return Err(EngineConfigError::Label);
        }
        let servers: Result<Vec<_>, TlsError> =
            config.servers.iter().map(|server| Server::new(server, &config).map(Arc::new)).collect();
        let (servers, occupancy, tracker) = (servers?, Occupancy::default(), TaskTracker::new());
        Ok(Self { inner: Arc::new(Inner { config, servers, occupancy, tracker }) })
    }

    /// An engine for the database of a DSN and no other, and where that is. It is no tenant's: whoever is
    /// named in the DSN is who is connected to it, and makes it if it is not there. `label` is what its
    /// server is called: as elsewhere, if it is one that has databases of tenants, too.
    ///
    /// # Errors
    ///
    /// When TLS cannot be spoken.
    pub fn of_own(dsn: &Dsn, label: &str) -> Result<(Self, Location), EngineConfigError> {
        let admin = Dsn { database: "postgres".to_owned(), ..dsn.clone() };
        let names = NameTemplate::parse("{org_id}").expect("a template");
        // No role is made, so nothing is derived from it.
        let mut config = Config { spares: 0, ..Config::new(admin, names, Secret::new("")) };
        label.clone_into(&mut config.servers[0].label);
        let engine = Self::new(config)?;
        let server = engine.inner.servers[0].clone();
        let place = Place { server, name: dsn.database.clone(), is_own: true };
        Ok((engine, Location(place.location())))
    }

    /// Where a new database of this name would be on the server of this label.
    pub fn locate_on(&self, label: &str, name: &DatabaseName) -> Option<Location> {
        let server = self.inner.servers.iter().find(|server| server.label == label)?.clone();
        Some(Location(Place::tenant(server, self.inner.names().physical(name)).location()))
    }

    /// The label of the server with the fewest databases, of those that answer.
    ///
    /// # Errors
    ///
    /// When none answers.
    pub async fn roomiest(&self) -> Result<&str, EngineError> {
        let mut best: Result<(usize, &str), EngineError> = Err(EngineError::NoSuchDatabase);
        for server in &self.inner.servers {
            match self.inner.count(server).await {
                Ok(count) if best.as_ref().is_ok_and(|(least, _)| *least <= count) => {}
                Ok(count) => best = Ok((count, &server.label)),
                Err(error) => best = best.or(Err(error)),
            }
        }
        best.map(|(_, label)| label)
    }

    /// Makes ready what databases are made from, puts right what a process has left that was killed, and
    /// fills up the spares, on each server.
    ///
    /// # Errors
    ///
    /// When a server does not answer, or does not let it be done; the others are ready then.
    pub async fn prepare(&self) -> Result<(), EngineError> {
        let all = self.inner.servers.iter().map(|server| self.inner.prepare(server));
        futures::future::join_all(all).await.into_iter().collect()
    }

    /// Makes the database anew that all others are made from: `scripts` are run in it, each in one
    /// transaction. Spares that were made before are given up; databases in use stay as they are.
    ///
    /// # Errors
    ///
    /// When a script fails; the former template is kept then.
    pub async fn rebuild_template(&self, scripts: &[&str]) -> Result<(), EngineError> {
        let script = |sql: &&str| Script { sql: (*sql).to_owned(), in_transaction: true };
        self.found(&Groundwork { mark: String::new(), scripts: scripts.iter().map(script).collect() }).await
    }

    async fn found(&self, groundwork: &Groundwork) -> Result<(), EngineError> {
        for server in &self.inner.servers {
            provision::rebuild(&self.inner, server, groundwork).await?;
        }
        Ok(())
    }

    /// Waits until what was begun in the background has ended. To be called when every database is closed.
    pub async fn shut_down(&self) {
        self.inner.tracker.close();
        self.inner.tracker.wait().await;
        self.inner.servers.iter().for_each(|server| server.admins.close());
    }

    fn find(&self, at: &Location) -> Result<Place, EngineError> {
        Place::find(&self.inner.servers, at).ok_or(EngineError::NoSuchDatabase)
    }
}

impl Engine for PostgresEngine {
    fn name(&self) -> &'static str {
        "postgres"
    }

    /// On the first server.
    fn locate(&self, name: &DatabaseName) -> Location {
        let server = self.inner.servers[0].clone();
        Location(Place::tenant(server, self.inner.names().physical(name)).location())
    }

    /// On the server with the fewest databases, of those that answer.
    fn choose<'a>(&'a self, name: &'a DatabaseName) -> BoxFuture<'a, Result<Location, EngineError>> {
        Box::pin(async move {
            if self.inner.servers.len() == 1 {
                return Ok(self.locate(name));
            }
            let label = self.roomiest().await?;
            Ok(self.locate_on(label, name).expect("the label of one of the servers"))
        })
    }

    /// On each server, in the order of the configuration.
    fn places(&self, name: &DatabaseName) -> Vec<Location> {
        let name = self.inner.names().physical(name);
        let place = |server: &Arc<Server>| Place::tenant(server.clone(), name.clone());
        self.inner.servers.iter().map(|server| Location(place(server).location())).collect()
    }

    fn whereabouts(&self, name: &DatabaseName, at: &Location) -> Whereabouts {
        let (server, physical) = match self.find(at) {
            Ok(place) => (place.server.label.clone(), place.name),
            Err(_elsewhere) => (String::new(), self.inner.names().physical(name)),
        };
        Whereabouts { engine: Engine::name(self).to_owned(), server, physical }
    }

    fn place(&self, _name: &DatabaseName, kept: &Whereabouts) -> Option<Location> {
        let server = self.inner.servers.iter().find(|server| server.label == kept.server)?.clone();
        (kept.engine == Engine::name(self))
            .then(|| Location(Place::tenant(server, kept.physical.clone()).location()))
    }

    fn is_served(&self, _at: &Location) -> bool {
        true
    }

    fn probe<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<Presence, EngineError>> {
        Box::pin(async move {
            let Ok(place) = self.find(at) else { return Ok(Presence::Absent) };
            Ok(match self.inner.oid(&place).await? {
                Some(_) => Presence::Present,
                None => Presence::Absent,
            })
        })
    }

    fn create<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(async move { provision::create(&self.inner, &self.find(at)?).await })
    }

    fn claim<'a>(
        &'a self,
        at: &'a Location,
        _by: Claimant,
    ) -> BoxFuture<'a, Result<Box<dyn Claim>, EngineError>> {
        Box::pin(async move {
            let claim: Box<dyn Claim> = Box::new(Claimed(self.inner.clone(), self.find(at)?));
            Ok(claim)
        })
    }

    fn open<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<Arc<dyn Database>, EngineError>> {
        Box::pin(async move {
            let place = self.find(at)?;
            let oid = self.inner.oid(&place).await?.ok_or(EngineError::NoSuchDatabase)?;
            if place.is_own {
                // Whoever made it: tenants' roles have no business there.
                let mut admin = place.server.admins.connect().await?;
                provision::seclude(&mut admin, &[&place.name]).await?;
                admin.end().await;
            }
            let database: Arc<dyn Database> = Arc::new(PostgresDatabase::new(self.inner.clone(), place, oid));
            Ok(database)
        })
    }

    fn destroy<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(async move { provision::destroy(&self.inner, &self.find(at)?).await })
    }

    fn size<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Option<u64>> {
        Box::pin(async move { self.inner.size(&self.find(at).ok()?).await })
    }

    /// What killed processes have left, and databases that were renamed to be dropped, in the background and
    /// once a minute on each server. With none to be left, nothing: it is nobody's in particular.
    fn clear_leftovers(&self, age: Duration) -> BoxFuture<'_, ()> {
        let servers = self.inner.servers.iter().inspect(|server| server.admins.trim());
        for server in servers.filter(|server| !age.is_zero() && server.chores.is_due()) {
            let (inner, server) = (self.inner.clone(), server.clone());
            self.inner.tracker.spawn(async move {
                if let Err(error) = inner.prepare(&server).await {
                    tracing::debug!(%error, server = server.label, "what was left is cleared later");
                }
            });
        }
        Box::pin(async {})
    }

    fn lay<'a>(
        &'a self,
        dialect: Dialect,
        groundwork: &'a Groundwork,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(async move {
            match dialect {
                Dialect::Postgres => self.found(groundwork).await,
                Dialect::Sqlite => Ok(()),
            }
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<DatabaseName>, EngineError>> {
        Box::pin(async move {
            let mut names = HashSet::new();
            for server in &self.inner.servers {
                names.extend(self.inner.list(server).await?);
            }
            let mut names: Vec<_> = names.into_iter().collect();
            names.sort();
            Ok(names)
        })
    }

    fn stamp<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<Stamp, EngineError>> {
        Box::pin(async move { self.inner.stamp(&self.find(at)?).await })
    }

    fn backup<'a>(
        &'a self,
        at: &'a Location,
        to: &'a Path,
        course: &'a Course,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(async move { copies::back_up(&self.inner, &self.find(at)?, to, course).await })
    }

    fn restore<'a>(
        &'a self,
        at: &'a Location,
        restoration: Restoration<'a>,
        course: &'a Course,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(async move { copies::restore(&self.inner, &self.find(at)?, restoration, course).await })
    }
}

// === impl Claimed ===

impl Claim for Claimed {
    fn verify(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn size(&self) -> BoxFuture<'_, Option<u64>> {
        Box::pin(self.0.size(&self.1))
    }
}

// === impl Inner ===

impl Inner {
    pub(crate) fn names(&self) -> &NameTemplate {
        &self.config.names
    }

    async fn prepare(&self, server: &Server) -> Result<(), EngineError> {
        provision::ready(self, server).await?;
        provision::recover(self, server).await?;
        provision::refill(self, server).await
    }

    /// How the role of a database logs in to it.
    pub(crate) fn tenant(&self, place: &Place) -> Login {
        match place.is_own {
            true => place.server.admins.login_to(&place.name),
            false => place.server.tenant(&place.name, password(&self.config.secret, &place.name)),
        }
    }

    /// Begins a session as the role of a database.
    pub(crate) async fn log_in(&self, place: &Place) -> Result<Welcome, EngineError> {
        let login = self.tenant(place);
        match connect(&login).await {
            // The tenant, or another process with another secret, has changed it.
            Err(LoginError::Refused { sqlstate, .. })
                if !place.is_own && matches!(&*sqlstate, "28P01" | "28000") =>
            {
                self.renew_role(place).await?;
                connect(&login).await.map_err(unreachable)
            }
            welcome => welcome.map_err(unreachable),
        }
    }

    /// What the server calls a database that may be connected to.
    pub(crate) async fn oid(&self, place: &Place) -> Result<Option<String>, EngineError> {
        if MAX_NAME < place.name.len() {
            return Ok(None);
        }
        let mut admin = place.server.admins.connect().await?;
        let oid = find(&mut admin, &place.name).await?;
        admin.end().await;
        Ok(oid)
    }

    pub(crate) async fn size(&self, place: &Place) -> Option<u64> {
        let sql = "SELECT pg_catalog.pg_database_size(oid) FROM pg_catalog.pg_database \
                   WHERE datname = $1 AND datallowconn";
        let mut admin = place.server.admins.connect().await.ok()?;
        let size = admin.value(sql, &[&place.name]).await.ok()?;
        admin.end().await;
        size?.parse().ok()
    }

    /// The server's log only grows, and grows with whatever is committed: where it is at the same place,
    /// nothing has changed.
    pub(crate) async fn stamp(&self, place: &Place) -> Result<Stamp, EngineError> {
        let sql = "SELECT d.oid, s.system_identifier, \
                   CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL \
                   ELSE pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_catalog.pg_lsn END \
                   FROM pg_catalog.pg_database d, pg_catalog.pg_control_system() s \
                   WHERE d.datname = $1 AND d.datallowconn";
        let mut admin = place.server.admins.connect().await?;
        let rows = admin.rows(sql, &[&place.name]).await?;
        admin.end().await;
        let row = rows.into_iter().next().ok_or(EngineError::NoSuchDatabase)?;
        let parts: Option<Vec<u64>> = row.into_iter().map(|value| value?.parse().ok()).collect();
        Ok(parts.map_or(Stamp::UNKNOWN, |parts| Stamp::of(&parts)))
    }

    async fn count(&self, server: &Server) -> Result<usize, EngineError> {
        let mut admin = server.admins.connect().await?;
        let count = admin.value("SELECT count(*) FROM pg_catalog.pg_database", &[]).await?;
        admin.end().await;
        Ok(count.and_then(|count| count.parse().ok()).unwrap_or(usize::MAX))
    }

    async fn list(&self, server: &Server) -> Result<Vec<DatabaseName>, EngineError> {
        let sql = "SELECT datname, pg_catalog.shobj_description(oid, 'pg_database') \
                   FROM pg_catalog.pg_database WHERE pg_catalog.starts_with(datname, $1) AND datallowconn";
        let mut admin = server.admins.connect().await?;
        let rows = admin.rows(sql, &[self.names().beginning()]).await?;
        admin.end().await;
        Ok(rows.iter().filter_map(|row| self.named(row)).collect())
    }

    /// The name that a database was made for, or that can be read off what it is called.
    fn named(&self, row: &[Option<String>]) -> Option<DatabaseName> {
        let (physical, comment) = (row.first()?.as_deref()?, row.get(1)?.as_deref());
        let told = comment.and_then(|comment| comment.strip_prefix(COMMENT)?.parse().ok());
        let told = told.filter(|name| self.names().physical(name) == physical);
        told.or_else(|| self.names().logical(physical).filter(|name| self.names().physical(name) == physical))
    }

    /// Gives the role of a database its password again, and what it needs to use it.
    pub(crate) async fn renew_role(&self, place: &Place) -> Result<(), EngineError> {
        let mut admin = place.server.admins.connect().await?;
        provision::renew_role(self, &mut admin, &place.name).await?;
        admin.end().await;
        Ok(())
    }
}

/// What the server calls a database that may be connected to.
pub(crate) async fn find(admin: &mut Admin<'_>, name: &str) -> Result<Option<String>, EngineError> {
    let sql = "SELECT oid FROM pg_catalog.pg_database WHERE datname = $1 AND datallowconn";
    admin.value(sql, &[name]).await
}
