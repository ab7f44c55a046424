//! Configuration as meant: parsed, defaults resolved, rules across options checked.
use super::curve::Curve;
use super::error::ConfigError;
use super::http::Http;
use super::layers::{Layers, Origin};
use super::management::Management;
use super::migrations::Migrations;
use super::postgres::Postgres;
use crate::life::Autoscale;
use rowhouse_access::AccessParts;
use rowhouse_engine::{Location, SqlPolicy};
use rowhouse_engine_postgres::Dsn;
use rowhouse_engine_sqlite::Synchronous;
use rowhouse_gateway::routing::Router;
use rowhouse_gateway::{Catalog, DatabaseLimits, Dynamic, Limits, LiveLimits, Plan, PoolSize, Spec};
use rowhouse_types::Target;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Configuration as meant.
#[derive(Clone, Debug)]
pub struct Config {
    /// The main port.
    pub port: u16,
    /// The most clients connected at once.
    pub client_limit: NonZeroU32,
    /// Whether signals change that.
    pub signal_limits: bool,
    /// How that follows its usage, if it does.
    pub autoscale: Option<Autoscale>,
    /// Whether a client limit set at run time is kept for the next start.
    pub persist_limit: bool,
    /// How many entries of the history of changes are kept.
    pub audit_keep: NonZeroU32,
    /// Where sqlite_rx clients are served.
    pub tcp_address: Option<SocketAddr>,
    /// How a request over HTTP tells which database it is for.
    pub router: Router,
    /// How HTTP clients are served, if they are.
    pub http: Option<Http>,
    /// By what one may come in over HTTP.
    pub access: AccessParts,
    /// How the server is managed over HTTP, if it is.
    pub management: Option<Management>,
    /// Whether being ready takes that every open organization answers.
    pub ready_takes_all: bool,
    /// Whether a taken port is skipped with a warning rather than an error.
    pub skip_taken_ports: bool,
    /// Where databases opened by name live, absolute.
    pub data_directory: Option<PathBuf>,
    /// Which databases there are.
    pub catalog: Catalog,
    /// Where the metadata database is, in PostgreSQL.
    pub database_url: Option<Dsn>,
    /// Where databases of new names are, in PostgreSQL; files if not.
    pub postgres: Option<Postgres>,
    /// How backups are made, if there is a place for them.
    pub backups: Option<Plan>,
    /// Where migrations are, and when they are applied.
    pub migrations: Migrations,
    /// What the gateway may use.
    pub limits: Limits,
    /// What SQL may do.
    pub sql_policy: SqlPolicy,
    /// The most bytes of a request.
    pub max_request_bytes: usize,
    /// The longest text, blob or row.
    pub max_value_bytes: u32,
    /// The most a statement may write to disk.
    pub max_written_bytes: u64,
    /// What a commit waits for.
    pub synchronous: Synchronous,
    /// The most threads that run SQL.
    pub executor_threads: usize,
    /// The most threads that run SQL of one database.
    pub database_threads: NonZeroU32,
    /// Where databases run.
    pub isolation: Isolation,
    /// The most memory the process of a database may take.
    pub worker_memory: u64,
    /// How sqlite_rx is encrypted, if it is.
    pub curve: Option<Curve>,
    /// The most connections that have not said who they are.
    pub handshake_limit: NonZeroU32,
    /// How long a client may take to say who it is.
    pub handshake_timeout: Duration,
    /// How long a client may take to read a reply.
    pub write_timeout: Duration,
    /// How long requests in flight may take to end.
    pub drain_timeout: Duration,
    /// What is logged.
    pub log_level: String,
    /// How it is logged.
    pub log_format: LogFormat,
}

/// Where databases run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// On threads of the server.
    Thread,
    /// Each in a process of its own, which is this program, if there is one.
    Process(Option<PathBuf>),
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Works out what the layers mean.
    ///
    /// # Errors
    ///
    /// When a value is not one its option takes, or two options do not go together.
    pub fn resolve(layers: &Layers) -> Result<Self, ConfigError> {
        let data_directory = layers.text("data_directory")?.map(|path| absolute(Path::new(&path)));
        let tcp_address = layers.address("tcp_address")?;
        let synchronous = match layers.word("synchronous")?.as_str() {
            "normal" => Synchronous::Normal,
            "off" => Synchronous::Off,
            _ => Synchronous::Full,
        };
        let log_format = if layers.word("log_format")? == "json" { LogFormat::Json } else { LogFormat::Text };
        let postgres = Postgres::resolve(layers, data_directory.as_deref())?;
        let catalog = catalog(layers, data_directory.as_deref(), postgres.is_some())?;
        super::reserved::check(&catalog, data_directory.as_deref())?;
        Ok(Self {
            port: narrow(layers.integer("port")?),
            client_limit: positive(layers.integer("client_limit")?),
            signal_limits: layers.boolean("signal_limits")?,
            autoscale: autoscale(layers)?,
            persist_limit: persist_limit(layers)?,
            audit_keep: positive(layers.integer("audit_keep")?),
            tcp_address,
            router: super::routing::router(layers)?,
            http: Http::resolve(layers)?,
            access: super::access::access(layers)?,
            management: Management::resolve(layers)?,
            ready_takes_all: layers.word("ready_requires")? == "all",
            skip_taken_ports: layers.origin("tcp_address") == Origin::Dev,
            backups: super::backups::plan(layers, data_directory.as_deref(), &catalog)?,
            migrations: Migrations::resolve(layers)?,
            catalog,
            data_directory,
            database_url: layers.dsn("database_url")?,
            postgres,
            limits: limits(layers)?,
            sql_policy: policy(layers, "sql_policy")?,
            max_request_bytes: narrow(layers.bytes("max_request_bytes")?),
            max_value_bytes: narrow(layers.bytes("max_value_bytes")?),
            max_written_bytes: layers.bytes("max_written_bytes")?,
            synchronous,
            executor_threads: narrow(layers.integer("executor_threads")?),
            database_threads: positive(layers.integer("database_threads")?),
            isolation: match layers.word("isolation")?.as_str() {
                "process" => Isolation::Process(layers.worker_program().map(Path::to_owned)),
                _ => Isolation::Thread,
            },
            worker_memory: layers.bytes("worker_memory")?,
            curve: Curve::resolve(layers)?,
            handshake_limit: positive(layers.integer("handshake_limit")?),
            handshake_timeout: layers.duration("handshake_timeout")?,
            write_timeout: layers.duration("write_timeout")?,
            drain_timeout: layers.duration("drain_timeout")?,
            log_level: layers.text("log_level")?.expect("an option with a default"),
            log_format,
        })
    }

    /// As many clients as there may be without anybody raising the limit.
    pub fn clients_most(&self) -> u32 {
        self.client_limit.get().max(self.autoscale.map_or(0, |plan| plan.max.get()))
    }

    /// The open files this configuration may need at most.
    pub fn files_needed(&self) -> u64 {
        const PER_DATABASE: u64 = 3;
        // Each client may use one more connection, with a socket, a file and its log.
        const PER_CLIENT: u64 = 3;
        // The files of the server itself, and 64 clients that are told that they are too many.
        const RESERVE: u64 = 128;
        const MANAGEMENT: u64 = rowhouse_management::CONNECTIONS_MAX as u64;
        let databases =
            u64::from(self.limits.max_connections.get()) + self.catalog.configured().count() as u64;
        let clients = self.clients_most();
        databases * PER_DATABASE + u64::from(clients) * PER_CLIENT + MANAGEMENT + RESERVE
    }
}

/// What SQL may do by one of the options that say so.
pub(super) fn policy(layers: &Layers, key: &str) -> Result<SqlPolicy, ConfigError> {
    Ok(match layers.word(key)?.as_str() {
        "standard" => SqlPolicy::Standard,
        _ => SqlPolicy::Guarded,
    })
}

fn persist_limit(layers: &Layers) -> Result<bool, ConfigError> {
    let persists = layers.boolean("persist_limit")?;
    if persists && layers.text("data_directory")?.is_none() {
        let message = "--persist-limit needs --data-directory, the place where the limit is kept";
        return Err(ConfigError::Conflict(message.to_owned()));
    }
    Ok(persists)
}

fn catalog(
    layers: &Layers,
    data_directory: Option<&Path>,
    in_postgres: bool,
) -> Result<Catalog, ConfigError> {
    let dynamic = if in_postgres { dynamic_in_postgres(layers)? } else { dynamic(layers)? };
    if dynamic != Dynamic::Off && data_directory.is_none() && !in_postgres {
        let message = "--auto-connect and --auto-create need --data-directory, the place where databases opened by name live, or --results-db-template";
        return Err(ConfigError::Conflict(message.to_owned()));
    }
    let place = |text: &str| match text {
        ":memory:" => Location(text.to_owned()),
        path => {
            let path =
                data_directory.map_or_else(|| absolute(Path::new(path)), |directory| directory.join(path));
            Location(path.to_string_lossy().into_owned())
        }
    };
    let default = layers.text("default_database")?.expect("an option with a default");
    let default = Spec { target: Target::Default, location: place(&default) };
    let map = layers.database_map("database_map")?;
    let named =
        map.into_iter().map(|(name, text)| Spec { target: Target::Named(name), location: place(&text) });
    Catalog::new([default].into_iter().chain(named), dynamic)
        .map_err(|error| ConfigError::Conflict(format!("database_map: {error}")))
}

fn dynamic(layers: &Layers) -> Result<Dynamic, ConfigError> {
    Ok(match (layers.boolean("auto_connect")?, layers.boolean("auto_create")?) {
        (false, true) => {
            return Err(ConfigError::Conflict(format!(
                "--auto-create ({}) needs --auto-connect, which is off ({}): give --auto-connect, or --no-auto-create",
                layers.origin("auto_create"),
                layers.origin("auto_connect"),
            )));
        }
        (false, false) => Dynamic::Off,
        (true, false) => Dynamic::Open,
        (true, true) => Dynamic::Create,
    })
}

/// Who says where databases of new names are wants them opened, and created, unless somebody says otherwise.
fn dynamic_in_postgres(layers: &Layers) -> Result<Dynamic, ConfigError> {
    let unless_off = |key| {
        let is_said = !matches!(layers.origin(key), Origin::Default | Origin::Command(_));
        layers.boolean(key).map(|on| on || !is_said)
    };
    let creates = unless_off("auto_create")? && layers.boolean("auto_create_org_dbs")?;
    Ok(match (unless_off("auto_connect")?, creates) {
        (false, _) => Dynamic::Off,
        (true, false) => Dynamic::Open,
        (true, true) => Dynamic::Create,
    })
}

/// How the limit of clients follows its usage; `None` where it does not.
fn autoscale(layers: &Layers) -> Result<Option<Autoscale>, ConfigError> {
    let plan = Autoscale {
        min: positive(layers.integer("autoscale_min")?),
        max: positive(layers.integer("autoscale_max")?),
        up_at: narrow(layers.integer("autoscale_up_at")?),
        down_at: narrow(layers.integer("autoscale_down_at")?),
        step_up: positive(layers.integer("autoscale_step_up")?),
        step_down: positive(layers.integer("autoscale_step_down")?),
        interval: layers.duration("autoscale_interval")?,
        cooldown: layers.duration("autoscale_cooldown")?,
    };
    let conflict = |low: &str, rule: &str, high: &str| {
        let (low_origin, high_origin) = (layers.origin(low), layers.origin(high));
        let message = format!(
            "{low} ({low_origin}) must {rule} {high} ({high_origin}): lower the one or raise the other"
        );
        Err(ConfigError::Conflict(message))
    };
    if plan.max < plan.min {
        return conflict("autoscale_min", "not be above", "autoscale_max");
    }
    if plan.up_at <= plan.down_at {
        return conflict("autoscale_down_at", "be below", "autoscale_up_at");
    }
    Ok(layers.boolean("autoscale")?.then_some(plan))
}

fn limits(layers: &Layers) -> Result<Limits, ConfigError> {
    Ok(Limits {
        max_connections: positive(layers.integer("max_connections")?),
        max_waiting: narrow(layers.integer("max_waiting")?),
        room_timeout: layers.duration("room_timeout")?,
        fair_window: layers.duration("fair_window")?,
        create_rate: positive(layers.integer("create_rate")?),
        live: LiveLimits {
            window: positive(layers.integer("live_window")?),
            window_bytes: layers.bytes("live_window_bytes")?,
            subscribers: narrow(layers.integer("live_subscribers")?),
        },
        database: DatabaseLimits {
            sessions: positive(layers.integer("pool_size")?),
            overflow: narrow(layers.integer("max_overflow")?),
            pre_ping: layers.boolean("pre_ping")?,
            idle_timeout: layers.duration("idle_timeout")?,
            max_lifetime: layers.duration("max_lifetime")?,
            acquire_timeout: layers.duration("acquire_timeout")?,
            queue: narrow(layers.integer("pool_queue")?),
            requests_per_second: layers.integer_if_set("requests_per_second")?.map(positive),
            statement_timeout: layers.duration("statement_timeout")?,
            idle_transaction_timeout: layers.duration("idle_transaction_timeout")?,
            transaction_timeout: layers.duration("transaction_timeout")?,
            max_result_rows: Some(layers.integer("max_result_rows")?),
            max_result_bytes: Some(layers.bytes("max_result_bytes")?),
            max_database_bytes: layers.bytes_if_set("max_database_bytes")?,
        },
        server_connections: layers.integer_if_set("server_connections")?.map(positive),
        organizations: pool(layers, ("org_pool_size", "org_max_overflow"))?,
        metadata: pool(layers, ("metadata_pool_size", "metadata_max_overflow"))?,
    })
}

fn pool(layers: &Layers, (size, overflow): (&str, &str)) -> Result<PoolSize, ConfigError> {
    Ok(PoolSize { size: positive(layers.integer(size)?), overflow: narrow(layers.integer(overflow)?) })
}

pub(super) fn absolute(path: &Path) -> PathBuf {
    // Only an empty path fails, and options are not empty.
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A number that the table of options has bounded to its type.
fn narrow<T: TryFrom<u64, Error: std::fmt::Debug>>(n: u64) -> T {
    T::try_from(n).expect("bounded by the table of options")
}

pub(super) fn positive(n: u64) -> NonZeroU32 {
    NonZeroU32::new(narrow(n)).expect("bounded by the table of options")
}
