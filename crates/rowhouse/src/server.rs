//! A server: configured, started, running, shut down.
use crate::builder::ServerBuilder;
use crate::client_limit::ClientLimit;
use crate::compose::{self, ComposeError, Composed, SecurityError};
use crate::config::{Config, ConfigError, Layers};
use crate::http;
use crate::life::{Attendant, InForce, InForceParts, LogLevel, Source, Watch};
use crate::listening::Listening;
use crate::manage::{self, ManagementError, Secrets};
use crate::observe::Everybody;
use crate::postgres;
use crate::sockets::Sockets;
use crate::state::{JournalStartError, Kept, State, StateError};
use rowhouse_gateway::{Backups, Clients, Gateway, Journal, Roster, Schedule};
use rowhouse_management::Operator;
use rowhouse_protocol_sqlite_rx::BindError;
use rowhouse_protocol_sqlite_rx::curve::Security;
use rowhouse_sync::Drain;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A configured server, not started.
#[derive(Clone, Debug)]
pub struct Server {
    source: Source,
    layers: Layers,
    config: Config,
    log: LogLevel,
}

/// A server that serves. Dropping it without [`Running::shut_down`] ends it as a crash would.
#[derive(Debug)]
pub struct Running {
    listeners: Vec<Listening>,
    warnings: Vec<String>,
    config: Config,
    in_force: Arc<InForce>,
    operator: Arc<Attendant>,
    management: Option<rowhouse_management::Running>,
    secrets: Secrets,
    client_limit: ClientLimit,
    security: Security,
    composed: Composed,
    schedule: Option<Schedule>,
    drain: Drain,
    abort: CancellationToken,
    tasks: TaskTracker,
    /// Held for its lock until everything is closed.
    state: Option<State>,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nothing is to be listened on.
    #[error(
        "nothing would listen: give --tcp-address tcp://127.0.0.1:5000 for sqlite_rx clients, or --http true"
    )]
    NoListener,
    /// Every port asked for is taken.
    #[error("every port of --dev is taken: stop what uses them, or give --tcp-address with a free port")]
    AllTaken,
    /// The server's state cannot be had.
    #[error(transparent)]
    State(#[from] StateError),
    /// The history of changes cannot be had.
    #[error(transparent)]
    Journal(#[from] JournalStartError),
    /// The keys of encryption cannot be had.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// A port cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The port of HTTP cannot be had.
    #[error(transparent)]
    Http(#[from] rowhouse_protocol_hrana::BindError),
    /// The certificate of HTTP or its key cannot be had.
    #[error(transparent)]
    Tls(#[from] rowhouse_access::TlsError),
    /// Whoever comes from another machine would be served over HTTP.
    #[error(transparent)]
    Exposed(#[from] http::Exposed),
    /// It cannot be managed over HTTP.
    #[error(transparent)]
    Management(#[from] ManagementError),
    /// The databases could not be made ready.
    #[error(transparent)]
    Compose(#[from] ComposeError),
}

/// The server ended, but not as it should.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// Requests in flight did not end in time; they were interrupted.
    #[error("requests in flight did not end within drain_timeout ({} s) and were interrupted", .0.as_secs_f64())]
    TookTooLong(Duration),
}

// === impl Server ===

impl Server {
    /// Configures a server in code.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// A server with the configuration that is read from `source`, now and whenever it is to reload.
    ///
    /// # Errors
    ///
    /// When it cannot be read, a value is not one its option takes, or two options do not go together.
    pub fn new(source: Source) -> Result<Self, ConfigError> {
        let layers = source.read()?;
        let config = Config::resolve(&layers)?;
        let log = LogLevel::detached(&config.log_level);
        Ok(Self { source, layers, config, log })
    }

    /// Lets changes of `log_level` take effect in the process's log.
    #[must_use]
    pub fn log_level(mut self, log: LogLevel) -> Self {
        self.log = log;
        self
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Locks the state, binds the ports, opens the configured databases, and serves.
    ///
    /// Needs a Tokio runtime with time and I/O enabled.
    ///
    /// # Errors
    ///
    /// When nothing is to be listened on, keys are missing or not as they should be, the data directory
    /// is in use, the history of changes is damaged, a port is taken, or a configured database cannot be
    /// opened.
    pub async fn start(self) -> Result<Running, StartError> {
        let Self { source, layers, config, log } = self;
        if config.tcp_address.is_none() && config.http.is_none() {
            return Err(StartError::NoListener);
        }
        let security = compose::security(&config)?;
        let state = config.data_directory.as_deref().map(State::lock).transpose()?;
        let mut warnings = layers.warnings().to_vec();
        // Bound before anything is opened, so that a taken port costs nothing.
        let sockets = Sockets::bind(&config, &mut warnings)?;
        let listeners = sockets.listening();
        if listeners.is_empty() {
            return Err(StartError::AllTaken);
        }
        warnings.extend(sockets.sqlite_rx().map(|address| exposure(address, &security)).unwrap_or_default());
        let (management, secrets) = manage::bind(config.management.as_ref(), &mut warnings)?;
        let secrets = secrets.with_http(sockets.http_tls());
        let observer = Arc::new(Everybody::default());
        let kept = Kept::open(&config, observer.clone()).await?;
        let client_limit = kept.client_limit(&config, layers.origin("client_limit")).await?;
        let composed = compose::gateway(&config, (kept, client_limit.get()), observer).await?;
        warnings.extend(sockets.http_exposure(&config, composed.roster.access())?);
        let (drain, abort, tasks) = (Drain::new(), CancellationToken::new(), TaskTracker::new());
        let in_force = Arc::new(InForce::new(InForceParts {
            source,
            read: (layers, config.clone()),
            effect: Box::new(composed.effects(&log)),
            journal: composed.journal.clone(),
        }));
        let operator = Arc::new(Attendant {
            in_force: in_force.clone(),
            log,
            observer: composed.observer.clone(),
            journal: composed.journal.clone(),
            access: composed.roster.access().clone(),
            http: composed.http_counters.clone(),
            drain: drain.clone(),
        });
        let management = management.map(|bound| bound.start(composed.managed(operator.clone()))).transpose();
        let management = management.map_err(ManagementError::Thread)?;
        sockets.serve((&config, &composed), &security, (&drain, &abort), &tasks);
        prepare(&composed, &drain, &tasks);
        let schedule = composed.backups.clone().map(Schedule::start);
        let watch = Watch {
            clients: composed.clients.clone(),
            observer: composed.observer.clone(),
            in_force: in_force.clone(),
        };
        tasks.spawn(until_drained(drain.clone(), watch.run()));
        Ok(Running {
            listeners,
            warnings,
            config,
            in_force,
            operator,
            management,
            secrets: secrets.and(composed.roster.access().clone()),
            client_limit,
            security,
            composed,
            schedule,
            drain,
            abort,
            tasks,
            state,
        })
    }
}

/// Makes ready in the background what new databases are made from.
pub(crate) fn prepare(composed: &Composed, drain: &Drain, tasks: &TaskTracker) {
    if let Some(engine) = composed.postgres.clone() {
        let parts = (engine, composed.fleet.clone());
        tasks.spawn(postgres::prepare(parts, composed.observer.clone(), drain.clone()));
    }
}

/// Runs something for as long as the server takes new work.
async fn until_drained(drain: Drain, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = drain.draining() => {}
    }
}

/// What an operator should know of who can reach the server.
fn exposure(address: SocketAddr, security: &Security) -> Vec<String> {
    let mut warnings = Vec::new();
    let outside = !address.ip().is_loopback();
    match (security.encrypts(), security.allowed()) {
        (false, _) if outside => warnings.push(format!(
            "sqlite_rx on {address} is reachable from other machines, without encryption: consider --curvezmq and --zap"
        )),
        (true, None) if outside => warnings.push(format!(
            "sqlite_rx on {address} is reachable from other machines, and serves clients whatever their key: consider --zap"
        )),
        (_, Some(allowed)) => {
            let directory = allowed.directory().display();
            if allowed.count() == 0 {
                warnings.push(format!(
                    "no client is authorized, so none is served: put the public keys of clients (*.key) into {directory}"
                ));
            }
            if allowed.is_open_to_others() {
                warnings.push(format!(
                    "others than its owner may change {directory}, and so let clients in: `chmod 700` it"
                ));
            }
        }
        _ => {}
    }
    warnings
}

// === impl Running ===

impl Running {
    /// What is served where.
    pub fn listeners(&self) -> &[Listening] {
        &self.listeners
    }

    /// What an operator should know.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The configuration of the start.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The configuration in force, which changes while the server runs.
    pub fn in_force(&self) -> &Arc<InForce> {
        &self.in_force
    }

    /// How clients are let in.
    pub fn security(&self) -> &Security {
        &self.security
    }

    /// Where the server is managed over HTTP, if it is.
    pub fn management(&self) -> Option<&rowhouse_management::Running> {
        self.management.as_ref()
    }

    /// The files with secrets that are read again on demand.
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The door to databases, for use inside this process.
    pub fn gateway(&self) -> &Gateway {
        &self.composed.gateway
    }

    /// What management asks of this server.
    pub fn operator(&self) -> Arc<dyn Operator> {
        self.operator.clone()
    }

    /// The API tokens and users that are kept, and who may come in by them.
    pub fn roster(&self) -> &Roster {
        &self.composed.roster
    }

    /// The client connections, and their limit.
    pub fn clients(&self) -> &Clients {
        &self.composed.clients
    }

    /// The client limit in force at the start, and why.
    pub fn client_limit(&self) -> &ClientLimit {
        &self.client_limit
    }

    /// What administration did.
    pub fn journal(&self) -> &Journal {
        &self.composed.journal
    }

    /// The backups of the databases, if there is a place for them.
    pub fn backups(&self) -> Option<&Backups> {
        self.composed.backups.as_ref()
    }

    /// Stops listening, lets requests in flight be answered, closes every database.
    ///
    /// # Errors
    ///
    /// When requests in flight did not end within `drain_timeout`; what they did not commit is undone.
    pub async fn shut_down(self) -> Result<(), StopError> {
        let Self { in_force, management, composed, schedule, drain, abort, tasks, state, .. } = self;
        drain.begin();
        tasks.close();
        let patience = in_force.config().drain_timeout;
        let late = timeout(patience, tasks.wait()).await.is_err();
        if late {
            // Interrupts what they run, so that every database still closes.
            abort.cancel();
            tasks.wait().await;
        }
        // Before the databases close: a backup reads them.
        if let Some(schedule) = schedule {
            schedule.stop().await;
        }
        let (roster, kept) = composed.shut_down().await;
        if let Some(management) = management {
            management.stop().await;
        }
        roster.access().close().await;
        // After all that could be recorded.
        kept.close().await;
        drop(state);
        if late { Err(StopError::TookTooLong(patience)) } else { Ok(()) }
    }
}
