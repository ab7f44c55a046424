//! Databases of organizations within a program, without a server: the gateway and all behind it, and no listener.
use crate::compose::{self, ComposeError, Composed};
use crate::config::{Config, ConfigError, Layers, Opt};
use crate::observe::Everybody;
use crate::server;
use crate::state::{JournalStartError, Kept, State, StateError};
use rowhouse_access::Access;
use rowhouse_gateway as gateway;
use rowhouse_gateway::Journal;
use rowhouse_gateway::routing::Router;
use rowhouse_sync::Drain;
use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;
use tokio_util::task::TaskTracker;

/// What a manager has other defaults for than a server: it is there for databases by name.
const DEFAULTS: &[(&str, &str)] = &[("auto_connect", "true"), ("auto_create", "true")];

/// Databases of organizations within a program: the metadata database, and one for each organization, made and
/// opened when it is first asked for. Cloning yields another handle.
///
/// It is a [`rowhouse_gateway::ConnectionManager`], and what serves it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// // In PostgreSQL: `.metadata_dsn("postgresql://…/mad")` and `.results_dsn_template("postgresql://…/mad_{org_id}")`.
/// let manager =
///     rowhouse::ConnectionManager::builder().data_directory(directory.path()).open().await?;
/// let acme = "acme".parse()?;
/// let mut session = manager.org_session(&acme).await?;
/// session.execute("CREATE TABLE docking_jobs (id TEXT PRIMARY KEY)", []).await?;
/// session.execute("INSERT INTO docking_jobs VALUES (?1)", [rowhouse_types::Value::Text("j1".into())]).await?;
/// assert_eq!(session.query("SELECT id FROM docking_jobs", []).await?.rows.len(), 1);
/// drop(session);
/// assert!(manager.health_check().await["results_acme"]);
/// manager.shut_down().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ConnectionManager {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    manager: gateway::ConnectionManager,
    access: Access,
    journal: Journal,
    config: Config,
    warnings: Vec<String>,
    /// There until it is shut down.
    home: Mutex<Option<Home>>,
}

/// What serves the databases.
#[derive(Debug)]
struct Home {
    composed: Composed,
    drain: Drain,
    tasks: TaskTracker,
    /// Held for its lock until everything is closed.
    state: Option<State>,
}

/// Configures a [`ConnectionManager`]; every option not set has its documented default, but names are opened and
/// created when they are used. What is set later is over what was set before.
#[derive(Clone, Debug)]
pub struct ConnectionManagerBuilder {
    layers: Layers,
}

/// Why there is no manager.
#[derive(Debug, thiserror::Error)]
pub enum NotConnected {
    /// A value is not one its option takes, or two options do not go together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The state of the data directory cannot be had.
    #[error(transparent)]
    State(#[from] StateError),
    /// The history of changes cannot be had.
    #[error(transparent)]
    Journal(#[from] JournalStartError),
    /// The databases could not be made ready.
    #[error(transparent)]
    Compose(#[from] ComposeError),
}

/// One manager for all of a program, made when it is first asked for. Cloning yields another handle.
///
/// The program makes it once and passes it on, or keeps it in a `static` of its own: it is a value, so that two
/// programs, or two tests, in one process do not meet in it unawares.
#[derive(Clone, Debug)]
pub struct SharedManager {
    shared: Arc<(ConnectionManagerBuilder, OnceCell<ConnectionManager>)>,
}

// === impl ConnectionManager ===

impl ConnectionManager {
    /// Configures one in code.
    pub fn builder() -> ConnectionManagerBuilder {
        ConnectionManagerBuilder::default()
    }

    /// Configures one by what is found around the process: the file that `ROWHOUSE_CONFIG` names, `.env` in the
    /// working directory, and the environment, with the seven variables `DB_*` and all others of the table of
    /// options. The environment is over `.env`.
    ///
    /// # Errors
    ///
    /// When one of them cannot be read, or names an option that there is not.
    pub fn from_environment() -> Result<ConnectionManagerBuilder, ConfigError> {
        let mut builder = ConnectionManagerBuilder::default();
        builder.layers.surroundings(None)?;
        Ok(builder)
    }

    /// By what people come in, as configured.
    pub fn access(&self) -> &Access {
        &self.shared.access
    }

    /// How requests are routed, as configured.
    pub fn router(&self) -> &Router {
        &self.shared.config.router
    }

    /// What administration did.
    pub fn journal(&self) -> &Journal {
        &self.shared.journal
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// What an operator should know, such as variables `DB_*` that mean nothing here.
    pub fn warnings(&self) -> &[String] {
        &self.shared.warnings
    }

    /// Closes every database, each when its last session has ended, and lets go of the data directory. Nothing can
    /// be asked afterwards; a second call does nothing.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the closing as a crash would: what was committed is safe.
    pub async fn shut_down(&self) {
        let home = self.shared.home.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Home { composed, drain, tasks, state }) = home else { return };
        drain.begin();
        tasks.close();
        tasks.wait().await;
        let (roster, kept) = composed.shut_down().await;
        roster.access().close().await;
        kept.close().await;
        drop(state);
    }
}

impl Deref for ConnectionManager {
    type Target = gateway::ConnectionManager;

    fn deref(&self) -> &Self::Target {
        &self.shared.manager
    }
}

// === impl ConnectionManagerBuilder ===

impl Default for ConnectionManagerBuilder {
    fn default() -> Self {
        let mut layers = Layers::new();
        layers.command("ConnectionManager", DEFAULTS);
        Self { layers }
    }
}

impl ConnectionManagerBuilder {
    /// Where the metadata database is, in PostgreSQL; a file of the data directory unless set, and without one in
    /// memory.
    #[must_use]
    pub fn metadata_dsn(self, dsn: &str) -> Self {
        self.option("database_url", dsn)
    }

    /// Where the databases of organizations are, in PostgreSQL, with `{org_id}` in the place of the name; files in
    /// the data directory unless set.
    #[must_use]
    pub fn results_dsn_template(self, template: &str) -> Self {
        self.option("results_db_template", template)
    }

    /// Where files are: databases unless they are in PostgreSQL, and what has to be remembered.
    #[must_use]
    pub fn data_directory(self, path: impl AsRef<Path>) -> Self {
        self.option("data_directory", &path.as_ref().to_string_lossy())
    }

    /// Any option by its key in the table of options.
    ///
    /// # Panics
    ///
    /// When there is no such option.
    #[must_use]
    pub fn option(mut self, key: &str, value: &str) -> Self {
        let option = Opt::find(key).expect("an option of the table");
        self.layers.code(option.key, value);
        self
    }

    /// Makes the manager. No database of an organization's is opened, nor the metadata database.
    ///
    /// Needs a Tokio runtime with time and I/O enabled, which it lives on.
    ///
    /// # Errors
    ///
    /// When the configuration is not as it should be, or the data directory is in use or cannot be used.
    pub async fn open(self) -> Result<ConnectionManager, NotConnected> {
        let config = Config::resolve(&self.layers)?;
        let state = config.data_directory.as_deref().map(State::lock).transpose()?;
        let observer = Arc::new(Everybody::default());
        let kept = Kept::open(&config, observer.clone()).await?;
        let composed = compose::gateway(&config, (kept, config.client_limit), observer).await?;
        let (drain, tasks) = (Drain::new(), TaskTracker::new());
        server::prepare(&composed, &drain, &tasks);
        let shared = Shared {
            manager: gateway::ConnectionManager::new(composed.gateway.clone()),
            access: composed.roster.access().clone(),
            journal: composed.journal.clone(),
            warnings: self.layers.warnings().to_vec(),
            config,
            home: Mutex::new(Some(Home { composed, drain, tasks, state })),
        };
        Ok(ConnectionManager { shared: Arc::new(shared) })
    }

    /// One manager for all of a program, made by this when it is first asked for.
    #[must_use]
    pub fn shared(self) -> SharedManager {
        SharedManager { shared: Arc::new((self, OnceCell::new())) }
    }
}

// === impl SharedManager ===

impl SharedManager {
    /// The manager: whoever asks, from whichever thread, has the same. It lives on the runtime that asked first.
    ///
    /// # Errors
    ///
    /// As [`ConnectionManagerBuilder::open`]; who asks next tries again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it to who asks next.
    pub async fn get(&self) -> Result<ConnectionManager, NotConnected> {
        let (builder, manager) = &*self.shared;
        manager.get_or_try_init(|| builder.clone().open()).await.cloned()
    }
}
