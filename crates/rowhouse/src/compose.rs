//! What the server is made of: the one place that knows which engines and protocols exist.
use crate::config::{Config, Http, Isolation};
use crate::life::{Effects, LogLevel};
use crate::observe::Everybody;
use crate::postgres::{self, PostgresError};
use crate::state::{Kept, MetadataStartError, OwnMetadata};
use crate::worker;
use rowhouse_access::{Access, AccessError, Tls};
use rowhouse_engine::Engine;
use rowhouse_engine_postgres::PostgresEngine;
use rowhouse_engine_sqlite::{Config as SqliteConfig, Executor, ExecutorConfig, Limits, SqliteEngine};
use rowhouse_engine_worker::WorkerEngine;
use rowhouse_gateway::metadata::Metadata;
use rowhouse_gateway::migrate::{DirectoryError, Fleet, MigrateError, OnOpen};
use rowhouse_gateway::{
    BackupParts, Backups, Clients, ClientsParts, Engines, Gateway, Journal, JournalError, Migrator, Parts,
    Roster, StartError,
};
use rowhouse_management::Operator;
use rowhouse_protocol_hrana as hrana;
use rowhouse_protocol_sqlite_rx::curve::{self, AllowedClients, AllowedError, KeyError, Security};
use rowhouse_protocol_sqlite_rx::{Context, Patience, Settings, Timeouts};
use rowhouse_sync::Drain;
use std::io;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The databases could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The engine cannot work here.
    #[error("cannot use the data directory")]
    Engine(#[from] io::Error),
    /// The metadata database cannot be had.
    #[error(transparent)]
    Metadata(#[from] MetadataStartError),
    /// Who may come in cannot be told.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The tokens and users that were kept cannot be read.
    #[error("cannot read the tokens and users that are kept")]
    Roster(#[from] JournalError),
    /// Databases cannot be had in PostgreSQL.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// The migrations of databases opened by name cannot be used.
    #[error("cannot use org_migrations")]
    Migrations(#[from] DirectoryError),
    /// The migrations of the metadata database cannot be used.
    #[error("cannot use metadata_migrations")]
    MetadataMigrations(#[source] DirectoryError),
    /// The metadata database cannot be migrated.
    #[error("cannot migrate the metadata database")]
    MetadataSchema(#[from] MigrateError),
    /// A configured database cannot be opened.
    #[error(transparent)]
    Configured(#[from] StartError),
    /// Databases shall run in processes, and nobody knows of which program.
    #[error(
        "isolation by processes needs the program that they run: give it with `worker_program`, or take isolation=thread"
    )]
    NoWorkerProgram,
}

/// The keys of encryption cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    /// The server's.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The clients'.
    #[error(transparent)]
    Clients(#[from] AllowedError),
}

/// The gateway, who is connected to it, the threads that run its SQL, and the record of what administration
/// does.
#[derive(Debug)]
pub(crate) struct Composed {
    pub(crate) roster: Roster,
    pub(crate) clients: Clients,
    pub(crate) journal: Journal,
    pub(crate) observer: Arc<Everybody>,
    pub(crate) patience: Patience,
    pub(crate) http_patience: hrana::Patience,
    pub(crate) http_counters: hrana::Counters,
    pub(crate) gateway: Gateway,
    pub(crate) fleet: Fleet,
    pub(crate) backups: Option<Backups>,
    pub(crate) executor: Executor,
    /// To be closed last.
    pub(crate) kept: Kept,
    pub(crate) metadata: OwnMetadata,
    /// Where databases run in processes of their own.
    pub(crate) workers: Option<Arc<WorkerEngine>>,
    /// Where databases of new names are in PostgreSQL.
    pub(crate) postgres: Option<Arc<PostgresEngine>>,
}

/// Who opens databases.
#[derive(Debug)]
pub(crate) struct Openers {
    /// All of them as one.
    pub(crate) engine: Arc<dyn Engine>,
    /// The threads that run SQL of this process.
    pub(crate) executor: Executor,
    pub(crate) workers: Option<Arc<WorkerEngine>>,
    pub(crate) postgres: Option<Arc<PostgresEngine>>,
}

// === impl Composed ===

impl Composed {
    /// What management looks at and changes. Needs the runtime that databases are served on.
    pub(crate) fn managed(&self, operator: Arc<dyn Operator>) -> rowhouse_management::Context {
        rowhouse_management::Context {
            clients: self.clients.clone(),
            gateway: self.gateway.clone(),
            fleet: self.fleet.clone(),
            backups: self.backups.clone(),
            journal: self.journal.clone(),
            roster: self.roster.clone(),
            operator,
            data: tokio::runtime::Handle::current(),
        }
    }

    /// Closes every database, and what serves them. What is left is the record, to be closed last.
    pub(crate) async fn shut_down(self) -> (Roster, Kept) {
        let Self { gateway, workers, postgres, executor, metadata, roster, kept, .. } = self;
        gateway.shut_down().await;
        if let Some(workers) = &workers {
            workers.shut_down().await;
        }
        if let Some(engine) = &postgres {
            postgres::shut_down(engine).await;
        }
        executor.shut_down();
        metadata.close().await;
        (roster, kept)
    }

    /// What of it the configuration changes while it runs.
    pub(crate) fn effects(&self, log: &LogLevel) -> Effects {
        Effects {
            log: log.clone(),
            gateway: self.gateway.clone(),
            clients: self.clients.clone(),
            patience: self.patience.clone(),
            http_patience: self.http_patience.clone(),
        }
    }
}

/// Makes the gateway and opens the configured databases.
pub(crate) async fn gateway(
    config: &Config,
    (kept, client_limit): (Kept, NonZeroU32),
    observer: Arc<Everybody>,
) -> Result<Composed, ComposeError> {
    let Openers { engine, executor, workers, postgres } = openers(config, KEPT_LOGS)?;
    let metadata = OwnMetadata::new(config)?;
    let catalog = config.catalog.clone();
    let journal = kept.journal().clone();
    let parts = Parts {
        catalog,
        engine: engine.clone(),
        observer: observer.clone(),
        limits: config.limits,
        journal: journal.clone(),
        metadata: Some(metadata.metadata.clone()),
        migrator: migrator(config)?,
    };
    let gateway = Gateway::start(parts).await?;
    let fleet = Fleet::new(gateway.clone(), metadata_migrations(config, &metadata)?);
    fleet.ready_metadata().await?;
    let clients = Clients::new(ClientsParts {
        limit: client_limit,
        handshake_limit: config.handshake_limit,
        observer: observer.clone(),
        journal: journal.clone(),
    });
    let patience = Patience::new(timeouts(config));
    let http_patience = hrana::Patience::new(http_timeouts(config));
    let backups = config.backups.clone().map(|plan| {
        let (catalog, gateway) = (config.catalog.clone(), Some(gateway.clone()));
        let hears = observer.clone();
        Backups::new(BackupParts { plan, catalog, engine, observer: hears, gateway })
    });
    let roster = Roster::open(Access::new(config.access.clone())?, journal.clone()).await?;
    Ok(Composed {
        roster,
        clients,
        journal,
        observer,
        patience,
        http_patience,
        http_counters: hrana::Counters::default(),
        gateway,
        fleet,
        backups,
        executor,
        workers,
        postgres,
        kept,
        metadata,
    })
}

/// What brings databases opened by name to the newest schema, if anything does. Blocks for a look at the directory.
pub(crate) fn migrator(config: &Config) -> Result<Option<Migrator>, DirectoryError> {
    let migrations = &config.migrations;
    let read = |directory: &PathBuf| Migrator::read(directory, migrations.on_open);
    migrations.organizations.as_ref().map(read).transpose()
}

/// The migrations of the metadata database, if there are any. Blocks for a look at the directory.
pub(crate) fn metadata_migrations(
    config: &Config,
    own: &OwnMetadata,
) -> Result<Option<(Migrator, Metadata)>, ComposeError> {
    let Some(directory) = &config.migrations.metadata else { return Ok(None) };
    let migrator = Migrator::read(directory, OnOpen::All).map_err(ComposeError::MetadataMigrations)?;
    Ok(Some((migrator, own.metadata.clone())))
}

/// Of how many closed databases a server lets the empty log stay for a while: 32 KiB each.
const KEPT_LOGS: usize = 1024;

/// The engines, the threads that run SQL, and the workers. In this process the logs of so many closed databases
/// stay; a worker ends with its database, and leaves none.
pub(crate) fn openers(config: &Config, kept_logs: usize) -> Result<Openers, ComposeError> {
    let launch = match &config.isolation {
        Isolation::Thread => None,
        Isolation::Process(None) => return Err(ComposeError::NoWorkerProgram),
        Isolation::Process(Some(program)) => Some(worker::launch(config, program.clone(), &sqlite(config))?),
    };
    let kept_logs = if launch.is_some() { 0 } else { kept_logs };
    let (engine, executor) = engine_here(config, kept_logs)?;
    let workers = launch.map(|launch| Arc::new(WorkerEngine::new(engine.clone(), launch)));
    let home = workers.clone().map_or(engine, |workers| workers);
    let postgres = config.postgres.as_ref().map(postgres::engine).transpose()?;
    let engine = match &postgres {
        Some(postgres) => Arc::new(Engines::new(home).with(postgres.clone()).newcomers_to(postgres.name())),
        None => home,
    };
    Ok(Openers { engine, executor, workers, postgres })
}

/// The engine of files in this process, whatever the isolation, for those who open nothing of a stranger's.
pub(crate) fn engine_here(config: &Config, kept_logs: usize) -> io::Result<(Arc<dyn Engine>, Executor)> {
    let executor = Executor::new(ExecutorConfig {
        max_threads: NonZeroUsize::new(config.executor_threads).expect("bounded by the table of options"),
        ..ExecutorConfig::default()
    });
    let sqlite = SqliteConfig { kept_logs, ..sqlite(config) };
    Ok((Arc::new(SqliteEngine::new(sqlite, executor.clone())?), executor))
}

fn sqlite(config: &Config) -> SqliteConfig {
    SqliteConfig {
        data_directory: config.data_directory.clone(),
        temporary_directory: config.data_directory.as_deref().map(temporary),
        synchronous: config.synchronous,
        lanes: config.database_threads,
        limits: Limits {
            value_bytes: config.max_value_bytes,
            written_bytes: config.max_written_bytes,
            ..Limits::default()
        },
        ..SqliteConfig::default()
    }
}

/// Reads the keys, if sqlite_rx is encrypted.
pub(crate) fn security(config: &Config) -> Result<Security, SecurityError> {
    let Some(curve) = &config.curve else { return Ok(Security::Plain) };
    let keys = curve.keys.load()?;
    let clients = match curve.listed_only {
        true => curve::Clients::Listed(Arc::new(AllowedClients::load(curve.keys.clients())?)),
        false => curve::Clients::Any,
    };
    Ok(Security::Curve(keys, clients))
}

/// Where SQLite puts what does not fit in memory: beside the server's own state, for that is where there
/// is room to write, and nobody else may look.
fn temporary(data_directory: &Path) -> PathBuf {
    data_directory.join(".rowhouse/tmp")
}

/// How long clients may take.
pub(crate) fn timeouts(config: &Config) -> Timeouts {
    Timeouts { handshake: config.handshake_timeout, write: config.write_timeout }
}

/// How long clients of HTTP may take.
pub(crate) fn http_timeouts(config: &Config) -> hrana::Timeouts {
    let (handshake, write) = (config.handshake_timeout, config.write_timeout);
    // Where HTTP is not served, nobody waits.
    let (body, idle, stream) = config.http.as_ref().map_or((write, write, write), |http| {
        (http.body_timeout, http.idle_timeout, http.stream_idle_timeout)
    });
    hrana::Timeouts { handshake, write, body, idle, stream }
}

/// What HTTP clients are served with.
pub(crate) fn http(
    (config, http): (&Config, &Http),
    composed: &Composed,
    tls: Option<Tls>,
    (drain, abort): (&Drain, &CancellationToken),
) -> hrana::Context {
    hrana::Context {
        gateway: composed.gateway.clone(),
        drain: drain.clone(),
        abort: abort.clone(),
        clients: composed.clients.clone(),
        access: composed.roster.access().clone(),
        router: config.router.clone(),
        tls,
        patience: composed.http_patience.clone(),
        counters: composed.http_counters.clone(),
        settings: hrana::Settings {
            policy: http.policy,
            compression: http.compression,
            allowed_hosts: http.allowed_hosts.clone(),
            allowed_origins: http.allowed_origins.clone(),
            max_request_bytes: config.max_request_bytes,
            version: env!("CARGO_PKG_VERSION"),
        },
    }
}

/// What sqlite_rx clients are served with.
pub(crate) fn sqlite_rx(
    config: &Config,
    composed: &Composed,
    security: Security,
    stop: (&Drain, &CancellationToken),
) -> Context {
    let (drain, abort) = stop;
    Context {
        gateway: composed.gateway.clone(),
        backups: composed.backups.clone(),
        journal: composed.journal.clone(),
        drain: drain.clone(),
        abort: abort.clone(),
        clients: composed.clients.clone(),
        security,
        patience: composed.patience.clone(),
        settings: Settings {
            policy: config.sql_policy,
            max_request_bytes: config.max_request_bytes,
            data_directory: config.data_directory.clone(),
            version: env!("CARGO_PKG_VERSION"),
        },
    }
}
